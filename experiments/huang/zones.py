"""The zones of width and training rows: which dynamics where.

Source: Huang et al. 2024, figure 1, there a sketch. Its figure also has the lines of `critical_size` and `capacity`.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, ENDS, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(
    ADDITION,
    axes={"width": [4, 8, 12, 16, 24, 32, 48, 64], "train_rows": list(range(2000, 5001, 500)), "seed": range(3)},
).but(**ENDS, size="modulus 113, eight widths, seven numbers of rows, three seeds")
QUICK = PAPER.but(
    **SMALL, width=[4, 8, 12, 16, 24, 32], train_rows=[500, 600, 700, 800, 900, 1000], seed=range(1), size=""
)

EXPERIMENT = Experiment(
    name="huang/zones",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
