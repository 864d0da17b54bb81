"""x+y mod p with and without weight decay, with the loss in float32 and float64: over-fitting, and early stopping.

Source: Nanda et al. 2023, arXiv:2301.05217, whose text and slides say that without decay the network over-fits with
large weights and does not grok, that early stopping would end a run before it groks, and that a loss in float32 spoils
late training. `train_softmax_collapse` is the share of training rows whose loss is exactly 0 in the loss's precision.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.nanda.common import ADDITION, SMALLER
from grokjax.study import Experiment, Preset, sizes

CONFIG = dataclasses.replace(ADDITION, metrics=("softmax_collapse",))
PAPER = Preset(
    CONFIG,
    axes={"weight_decay": [1.0, 0.0], "loss_dtype": ["float64", "float32"], "seed": range(5)},
    size="modulus 113, fraction .3, decay 1 and none, loss in float64 and float32, five seeds, 40,000 steps",
)

QUICK = PAPER.but(
    **SMALLER,
    seed=range(1),
    steps=6000,
    eval_at="every:20",
    size="modulus 53, fraction .4, width 64, rate 3e-3, the same four, one seed, 6,000 steps",
)

EXPERIMENT = Experiment(
    name="nanda/precision_and_decay",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
