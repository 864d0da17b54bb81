"""The product of two permutations over the train fraction: steps to 99 % validation accuracy.

Claims: POWER-2, POWER-3, POWER-15. Source: Power et al. 2022, figure 1 (centre): x·y in S5, fractions .25 to .30 by
.01 and .35 to .80 by .05, defaults, medians of five seeds.

Claims on the slope rest on .25 to .30. Presets that cannot go there say what they take: the fewer the data, the longer
the runs. A run ends once validation accuracy has held 99 %, in all presets.

A step on S5 takes 3.2 billion operations: an hour of two cores, at 85 billion a second, for the 10^5 steps of a run
that does not generalise.

Pilots: those of S4 that `common.py` tells of, and those of `division`, after which quick trains x/y mod 31.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.power.common import QUOTIENTS, S5, SHORT
from grokjax.study import Experiment, Preset

LOW = [0.25, 0.26, 0.27, 0.28, 0.29, 0.3]
HIGH = [0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]
PAPER = Preset(S5, axes={"train_fraction": [*LOW, *HIGH], "seed": range(5)}).but(
    **SHORT, size="the source's grid, five seeds"
)
QUICK = dataclasses.replace(PAPER, config=QUOTIENTS).but(
    train_fraction=[0.6, 0.65, 0.7, 0.8, 0.9],
    seed=range(2),
    steps=8_000,
    size="x/y mod 31 instead of S5, fractions .6 to .9, lean rows, width 64, two seeds, up to 8,000 steps",
)

EXPERIMENT = Experiment(
    name="power/data_fraction",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(
            train_fraction=[0.3, 0.35, 0.4], seed=range(3), size="S5 at fractions .30, .35 and .40, three seeds"
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
