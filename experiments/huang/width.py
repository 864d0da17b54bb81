"""Validation accuracy over width at several numbers of training rows: a U where data are few?

Claims: HUANG-4, HUANG-11. Source: Huang et al. 2024, figure 6.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, ENDS, SMALL
from grokjax.study import Experiment, Preset, sizes

WIDTHS = [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 56, 64, 100]
PAPER = Preset(ADDITION, axes={"train_rows": [2600, 3000, 4000, 5000], "width": WIDTHS, "seed": range(11)}).but(
    **ENDS, size="modulus 113, four numbers of rows, fifteen widths, eleven seeds"
)
QUICK = PAPER.but(**SMALL, train_rows=[600, 700, 900, 1100], width=[4, 8, 12, 16, 24, 32], seed=range(1), size="")

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
