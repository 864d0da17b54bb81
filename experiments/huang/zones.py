"""The zones of width and training rows: which dynamics where.

Source: Huang et al. 2024, figure 1, there a sketch. Drawn here from runs; its figure also has the lines that
`critical_size` and `capacity` measured with the same preset, so run these first. No claim is judged on it alone: the
order of the zones is HUANG-11, of `width`.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, ENDS, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(
    ADDITION,
    axes={"width": [4, 8, 12, 16, 24, 32, 48, 64], "train_rows": list(range(2000, 5001, 500)), "seed": range(3)},
).but(**ENDS, size="modulus 113, eight widths, seven numbers of rows, three seeds")
QUICK = PAPER.but(
    **SMALL,
    width=[4, 8, 16, 24, 32, 48],
    train_rows=[400, 480, 560, 640, 720, 800],
    seed=range(1),
    size="modulus 31, six widths from 4 to 48, 400 to 800 rows by 80, one seed, up to 3,000 epochs",
)

EXPERIMENT = Experiment(
    name="huang/zones",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
