"""Grokking on x+y mod p over the amount of data: with little it only memorises, with much there is no gap.

Claim: NANDA-7. Source: Nanda et al. 2023, arXiv:2301.05217, and its notebook: train fractions .25 to .95, a run ends
once the test loss is 3e-6; recorded is the first step with a test loss below 1, 7,583 at .3 and 744 at .5. It does not
say how many steps a run may take: 40,000 here, as its other runs, in `part` 20,000.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.nanda.common import ADDITION, SMALLER
from grokjax.study import Experiment, Preset

CONFIG = dataclasses.replace(ADDITION, stop_loss=3e-6, metrics=())
PAPER = Preset(
    CONFIG,
    axes={"train_fraction": [0.25, 0.28, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95], "seed": range(5)},
    size="modulus 113, the source's ten fractions, five seeds, up to 40,000 steps",
)
QUICK = PAPER.but(
    **SMALLER | dict(train_fraction=[0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 0.95], stop_loss=None, stop_accuracy=0.99),
    seed=range(2),
    steps=6000,
    eval_at="every:20",
    size=(
        "modulus 53, width 64, rate 3e-3, eight fractions, two seeds, up to 6,000 steps; a run ends once test "
        "accuracy has held 99 %"
    ),
)

EXPERIMENT = Experiment(
    name="nanda/data_size",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(
            seed=range(2),
            steps=20_000,
            size="the source's ten fractions at modulus 113, two seeds, up to 20,000 steps",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
