"""The sharpness of minima that many seeds end in, against their validation accuracy.

Claim: POWER-12. Source: Power et al. 2022, appendix A.5 and figure 8 there: x·y in S5, 70 % of the table, twenty
seeds; Spearman's correlation of sharpness and validation accuracy is -0.795.

Sharpness is Keskar et al.'s (arXiv:1609.04836) of the training loss: the largest rise within a small box of a random
subspace of ten directions, which each seed draws for itself. The source does not say which optimizer it used. Where
all seeds generalise there is nothing to correlate, so Adam without decay stands beside AdamW with decay 1. The top
eigenvalue of the Hessian is measured beside it. Runs go to the end of their budget: one that stopped as soon as it
generalised would be sharper than one that went on.

Pilots: those of S4 that `common.py` tells of, and those of `division`, after which quick trains x/y mod 31.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.power.arms import DECAYS
from grokjax.experiments.power.common import DECAYED, FREE, QUOTIENTS, S5
from grokjax.experiments.power.measures import sharpness_and_curvature
from grokjax.study import Arm, Experiment, Preset

ARMS = (Arm("none", DECAYS["none"], FREE), Arm("decay", DECAYS["decay"], DECAYED))
PAPER = Preset(S5, axes={"seed": range(20)}, arms=ARMS).but(
    train_fraction=0.7, size="the source's setting, twenty seeds, Adam and AdamW"
)
QUICK = dataclasses.replace(PAPER, config=dataclasses.replace(QUOTIENTS, stop_accuracy=None)).but(
    arms=ARMS[:1],
    seed=range(10),
    steps=5_500,
    size="x/y mod 31 instead of S5, Adam alone, lean rows, width 64, ten seeds, 5,500 steps",
)

EXPERIMENT = Experiment(
    name="power/sharpness",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(
            arms=ARMS, seed=range(20), size="the same with AdamW beside it and twenty seeds, for verdicts"
        ),
        "paper": PAPER,
        "claim": PAPER.but(size="the same: the source has twenty seeds"),
    },
    measure=sharpness_and_curvature,
)


if __name__ == "__main__":
    run(EXPERIMENT)
