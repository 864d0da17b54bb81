"""What the experiments of this study share: the scale-invariant decoder, its optimizer, what is measured.

The paper names the norms' places and no more, so the rest is ours: norms before each branch, inside each MLP between
its first matrix and the ReLU, and before the output, without affine parameters, eps 1e-5; learned positions, since a
fixed position added to an embedding would keep the embedding from being scale-invariant; initial weights
N(0, 1)/sqrt(d).
"""

import grokjax as gj

DECODER = gj.models.Decoder(
    num_layers=1, norm="pre", inner_norm=True, norm_affine=False, positions="learned", init_scheme="normal"
)
SGD = gj.optimizers.Sgd(learning_rate=0.1, weight_decay=0.001, decay="gradient", warmup_steps=0)

METRICS = ("gradient_norm", "train_mode_accuracy")
"""Means over the updates since the last evaluation, so that nothing that happens between two is missed."""

SCALE_INVARIANT = gj.Config(
    task=gj.tasks.modular("add", 97, tokens="a b"),
    model=DECODER,
    optimizer=SGD,
    train_fraction=0.4,
    batch_size=512,
    steps=100_000,
    eval_at="every:16",
    metrics=(*METRICS, "invariant_norms"),
)
"""x+y mod 97 without operator and '='; an epoch is 8 updates. A run is evaluated every second epoch: it costs
as much as five updates, so one in each epoch would take 40 % of the time."""

SMALL = dict(
    modulus=31,
    width=64,
    train_fraction=0.6,
    batch_size=64,
    weight_decay=0.005,
    steps=15_000,
    eval_at="every:18",
)
"""What quick presets change: an epoch is 9 updates, and periods are shorter, since decay is five times as strong."""
