"""What the experiments of the NANDA study share: modular addition on its one-layer transformer, and its measures.

The source's network: tokens 'a b =', one layer without LayerNorm, width 128, 4 heads, 512 hidden units with ReLU and a
bias, learned positions, 226,816 parameters. It trains on 30 % of all pairs modulo 113, 3,830 rows, at once (so an epoch
is a step), with AdamW at rate 1e-3 and decay 1, a warm-up of 10 steps, and a loss in float64.
"""

import grokjax as gj

MODEL = gj.models.Decoder(num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda")

ADDITION = gj.Config(
    task=gj.tasks.modular("add", 113, tokens="a b ="),
    model=MODEL,
    optimizer=gj.optimizers.AdamW(learning_rate=1e-3, weight_decay=1.0),
    train_fraction=0.3,
    batch_rule="full",
    loss_dtype="float64",
    steps=40_000,
    eval_at="every:50",
    metrics=("gini",),
)

SMALLER = dict(modulus=53, width=64, train_fraction=0.4, learning_rate=3e-3)
"""What quick presets change: 1,123 training rows, a quarter of the parameters, and thrice the learning rate."""
