"""The critical data size by width: final validation accuracy over the number of training rows.

Claims: HUANG-1, HUANG-8. Source: Huang et al. 2024, figure 3: 2,000 to 4,000 rows by 200, seven widths from 32 to 64,
eleven seeds. Rate, decay and epochs are as in `dynamics`, whose docstring has the pilots.

The band of semi-grokking is also read at a third of the budget, off the same runs: that shows whether it narrows with
more epochs.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, ENDS, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(
    ADDITION,
    axes={"width": [32, 36, 40, 44, 48, 56, 64], "train_rows": list(range(2000, 4001, 200)), "seed": range(11)},
).but(**ENDS, size="modulus 113, 2,000 to 4,000 rows, widths 32 to 64, eleven seeds")
QUICK = PAPER.but(
    **SMALL,
    width=[16, 24, 48],
    train_rows=[400, 480, 560, 640, 720, 800],
    seed=range(1),
    size="modulus 31, widths 16, 24 and 48, 400 to 800 rows by 80, one seed, up to 3,000 epochs",
)

EXPERIMENT = Experiment(
    name="huang/critical_size",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER)
    | {"part": PAPER.but(width=[32, 64], seed=range(3), size="widths 32 and 64, three seeds")},
)


if __name__ == "__main__":
    run(EXPERIMENT)
