"""Four dynamics in four cells of width and training rows: progression, ungrokking, grokking and semi-grokking.

Claims: HUANG-3, HUANG-7, HUANG-10. Source: Huang et al. 2024, figures 2, 5 and 9.

No run ends early here, so that collapses and switches are seen; runs of the other experiments end once validation
accuracy has held 99 % over 500 steps, after which only a collapse could change their kind.

The source gives neither learning rate, weight decay nor number of epochs. For its modulus we take what its
architecture's authors (Nanda et al.) use, rate 1e-3 and decay 1, for 40,000 epochs. `sensitivity` has decay .3 and
100,000 epochs.

Pilots for the small presets (seed 100, decay 1):
* modulus 31, rows split one by one, rate 3e-3, 10,000 epochs, widths 4, 8, 16 and 24. 200 rows: all but width 4
  memorise and end at 1 to 4 % validation. 300 rows: width 8 ends at 12 %, wider ones memorise and end at 2 and 5 %.
  400 rows: widths 16 and 24 memorise at 215 and 140 and generalise at 7,512 and 4,277, width 8 reaches 88 % training
  and 19 % validation. 500 rows: they generalise at 1,218 and 1,961, width 4 reaches 93 % training and 78 %
  validation. But from 400 rows on validation accuracy passes 10 % before the training set is memorised and soon
  reaches 40 %: these are rows whose swap was memorised. So no cell counts as grokking, and this split was given up.
* modulus 47, the same split and rate, width 32, 8,000 epochs: 600 rows memorise and stay at 3 % (seen up to epoch
  1,961), 700 end at 10 %, 800 at 29 % without generalising: swaps again, and slow. Given up.
* modulus 31, both rows of a pair on one side of the split, rate 1e-2, width 24, 720 rows, seen up to epoch 2,389:
  memorises at 75 with validation at 2 %, which passes 10 % at 270 and 94 % at 900, and reaches 99 % near the end:
  grokking. This setting was taken.
* the same, 2,500 epochs. Width 16: 520 rows memorise at 100, stay at chance up to epoch 1,000 and generalise at 2,200;
  620 rows generalise at 600, 720 at 200 with hardly a delay. Width 8, 720 rows: validation passes 10 % at 200, training
  99 % at 1,300, and validation ends at 88 %: progression. Width 24, 600 rows: memorises at 100 and stays at chance:
  ungrokking. So at this size the wider of 16 and 24 needs more rows, against HUANG-1; whether much wider ones need
  fewer again, as the U has it, was not seen. Semi-grokking was not seen either: its cell here, 640 rows at width 24,
  lies between ungrokking and grokking. Rate 3e-3 with this split, other decays and other budgets were not tried.
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
    arms=arms([(8, 720), (24, 560), (24, 720), (24, 640)]),
    seed=range(3),
    size="modulus 31, four scaled cells, three seeds, 3,000 epochs",
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
