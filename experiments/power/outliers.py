"""The product of two permutations with k training answers exchanged for those of other rows, over the train fraction.

Claim: POWER-11. Source: Power et al. 2022, figure 6: x·y in S5 with k of 0, 10, 100, 1,000, 2,000 and 3,000 outliers
among the training rows, validation accuracy over the train fraction, a line for each k.

Fractions that have fewer than k training rows are left out of the source's grid (3,000 of 14,400 rows are 21 %). On
x/y mod 31, which has 930 rows, k are the same shares of the table. `paper` trains the whole grid, the other presets
bisect it. A run ends once validation accuracy has held 99 %.

Pilots: those of S4 that `common.py` tells of, and those of `division`, after which quick trains x/y mod 31.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.power.common import QUOTIENTS, S5, SHORT
from grokjax.study import Experiment, Preset

FRACTIONS = [round(0.05 * i, 2) for i in range(5, 20)]
PAPER = Preset(
    S5, axes={"outliers": [0, 10, 100, 1000, 2000, 3000], "train_fraction": FRACTIONS, "seed": range(3)}
).but(**SHORT, size="S5, the source's numbers of outliers, fractions .25 to .95 by .05, three seeds")
QUICK = dataclasses.replace(PAPER, config=QUOTIENTS).but(
    search="train_fraction",
    outliers=[0, 1, 6, 64, 129, 194],
    train_fraction=[0.5, 0.6, 0.7, 0.8, 0.9],
    seed=range(1),
    steps=5_500,
    size=(
        "x/y mod 31 instead of S5 with as large shares of outliers, five fractions of which three are trained at "
        "most, lean rows, width 64, one seed, up to 5,500 steps"
    ),
)

EXPERIMENT = Experiment(
    name="power/outliers",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(seed=range(1), search="train_fraction", size="S5 bisected, one seed"),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), search="train_fraction", size="bisected, ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
