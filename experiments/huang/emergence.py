"""Emergence of the addition beside random labels to memorise: from which model size on?

Claim: HUANG-6. Source: Huang et al. 2024, figure 8: 3,000 additions beside 3,000 to 6,000 subtractions with random
labels, told apart by the operator, the highest of three seeds, models from one layer of width 64 to eight of 1,024,
which have 1,570 times as many parameters. The models between these are ours, as are the two narrower ones. Without
random rows (0) the same model trains on the additions alone, with the same tokens. Every seed is shown, not the
highest alone. Rate, decay and epochs are as in `dynamics`, whose docstring has the pilots.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ENDS, MIXTURE, SMALL
from grokjax.study import Arm, Experiment, Preset, sizes


def models(*shapes: tuple[int, int]) -> tuple[Arm, ...]:
    """Models by layers and width."""
    return tuple(
        Arm(f"{layers}x{width}", f"{layers} x {width}", dict(num_layers=layers, width=width))
        for layers, width in shapes
    )


PAPER = Preset(
    MIXTURE,
    arms=models((1, 16), (1, 32), (1, 64), (1, 128), (1, 256), (1, 512), (2, 512), (4, 512), (4, 1024), (8, 1024)),
    axes={"second_rows": [0, 3000, 4000, 5000, 6000], "seed": range(3)},
).but(
    **ENDS,
    train_rows=3000,
    size=("modulus 113, 3,000 additions, 0 and 3,000 to 6,000 random labels, one layer of width 16 to eight of 1,024"),
)
QUICK = PAPER.but(
    **SMALL,
    arms=models((1, 4), (1, 8), (1, 16), (1, 32), (1, 64)),
    train_rows=720,
    second_rows=[0, 480],
    seed=range(1),
    size=(
        "modulus 31, 720 additions alone and beside 480 random labels, one layer of widths 4 to 64, one seed, up to "
        "3,000 epochs: leaves out deeper models"
    ),
)

EXPERIMENT = Experiment(
    name="huang/emergence",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
