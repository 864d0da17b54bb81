"""Validation accuracy over width at several numbers of training rows: a U where data are few?

Claims: HUANG-4, HUANG-11. Source: Huang et al. 2024, figure 6: 2,600 to 5,000 rows, fifteen widths, eleven seeds; it
prints some of the widths, the others are ours. Rate, decay and epochs are as in `dynamics`, whose docstring has the
pilots.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, ENDS, SMALL
from grokjax.study import Experiment, Preset, sizes

WIDTHS = [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 56, 64, 100]
PAPER = Preset(ADDITION, axes={"train_rows": [2600, 3000, 4000, 5000], "width": WIDTHS, "seed": range(11)}).but(
    **ENDS, size="modulus 113, four numbers of rows, fifteen widths, eleven seeds"
)
QUICK = PAPER.but(
    **SMALL,
    train_rows=[560, 640, 720, 800],
    width=[4, 8, 16, 24, 32, 48],
    seed=range(1),
    size="modulus 31, 560 to 800 rows by 80, six widths from 4 to 48, one seed, up to 3,000 epochs",
)

EXPERIMENT = Experiment(
    name="huang/width",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER)
    | {
        "part": PAPER.but(
            train_rows=[2600, 3000],
            width=[4, 8, 12, 16, 24, 32, 44, 56, 64],
            seed=range(3),
            size="2,600 and 3,000 rows, nine widths, three seeds",
        )
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
