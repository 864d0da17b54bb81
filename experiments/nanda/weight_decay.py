"""The time to generalise on x+y mod p over weight decay: shorter with more, until too much prevents it.

Claim: NANDA-8. Source: Nanda et al. 2023, arXiv:2301.05217, which compares decay .1 and 1 at train fraction .3; the
other decays are ours. A run ends once test accuracy has held 99 %.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.nanda.common import ADDITION, SMALLER
from grokjax.study import Experiment, Preset, sizes

CONFIG = dataclasses.replace(ADDITION, stop_accuracy=0.99, metrics=())
PAPER = Preset(
    CONFIG,
    axes={"weight_decay": [0.1, 0.3, 1.0, 3.0, 10.0], "seed": range(5)},
).but(
    steps=100_000,
    size="modulus 113, fraction .3, decay .1 to 10, five seeds, up to 100,000 steps",
)

QUICK = PAPER.but(
    **SMALLER,
    weight_decay=[0.3, 1.0, 3.0, 10.0],
    seed=range(2),
    steps=15_000,
    eval_at="every:20",
    size="modulus 53, fraction .4, width 64, rate 3e-3, decay .3 to 10, two seeds, up to 15,000 steps",
)

EXPERIMENT = Experiment(
    name="nanda/weight_decay",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
