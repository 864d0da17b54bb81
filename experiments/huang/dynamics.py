"""Four dynamics in four cells of width and training rows: progression, ungrokking, grokking and semi-grokking.

Claims: HUANG-3, HUANG-7, HUANG-10. Source: Huang et al. 2024, figures 2, 5 and 9.

PILOTS
"""

from collections.abc import Sequence

from grokjax.cli import run
from grokjax.experiments.huang.arms import CELLS
from grokjax.experiments.huang.common import ADDITION, SMALL
from grokjax.study import Arm, Experiment, Preset


def arms(sizes: Sequence[tuple[int, int]]) -> tuple[Arm, ...]:
    """The four cells at these widths and rows, in the order of `CELLS`."""
    return tuple(
        Arm(cell.name, f"{cell.name}: d={width}, N={rows}", dict(width=width, train_rows=rows))
        for cell, (width, rows) in zip(CELLS, sizes, strict=True)
    )


PAPER = Preset(ADDITION, axes={"seed": range(11)}, arms=arms([(cell.width, cell.rows) for cell in CELLS])).but(
    eval_at="every:25",
    size="modulus 113, the source's four cells and eleven seeds",
)
QUICK = PAPER.but(
    **SMALL,
    arms=arms([(4, 700), (16, 600), (32, 800), (16, 700)]),
    seed=range(3),
    size="",
)
SENSITIVITY = dict(weight_decay=0.3, epochs=100_000)

EXPERIMENT = Experiment(
    name="huang/dynamics",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(seed=range(6), size="the source's four cells with six seeds"),
        "sensitivity": PAPER.but(
            **SENSITIVITY,
            eval_at="every:100",
            seed=range(3),
            size="the source's cells with weight decay .3, 100,000 epochs and three seeds",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
