"""Typical grokking under AdamW: accuracy, points 1 and 2, effective learning rate and gradient.

Claim: PERIODIC-6. Source: Melnik, Yuzhakov and Vetrov, figure 1, after Power et al. 2022, whose decoder and optimizer
these are: LayerNorm with affine parameters after each residual sum, AdamW 1e-3 with decay 1, inputs with operator and
'='. The effective statistics and the arm without decay are ours. The weights of this network are not scale-invariant,
and AdamW divides its gradient by its size, so they need not move as under SGD.
"""

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.melnik.arms import TYPICAL
from grokjax.experiments.melnik.common import METRICS
from grokjax.study import Arm, Experiment, Preset, sizes

CONFIG = gj.Config(
    task=gj.tasks.modular("add", 97, tokens="a o b ="),
    model=gj.models.Decoder(),
    optimizer=gj.optimizers.AdamW(learning_rate=1e-3, weight_decay=1.0),
    train_fraction=0.4,
    steps=100_000,
    eval_at="every:16",
    metrics=METRICS,
)
DECAY = {"decay": 1.0, "no-decay": 0.0}
ARMS = tuple(Arm(id, label, dict(learning_rate=1e-3, weight_decay=DECAY[id])) for id, label in TYPICAL.items())
PAPER = Preset(CONFIG, axes={"seed": range(5)}, arms=ARMS, size="modulus 97, width 128, five seeds, 10^5 steps")
QUICK = PAPER.but(
    modulus=31,
    width=64,
    train_fraction=0.6,
    batch_size=64,
    steps=6000,
    eval_at="every:18",
    seed=range(2),
    size="modulus 31, width 64, fraction .6, batches of 64, two seeds, 6,000 steps",
)

EXPERIMENT = Experiment(
    name="melnik/typical",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
