"""Emergence of the addition beside random labels to memorise: from which model size on?

Claim: HUANG-6. Source: Huang et al. 2024, figure 8.
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
).but(**ENDS, train_rows=3000, size="modulus 113")
QUICK = PAPER.but(
    **SMALL,
    arms=models(*((1, d) for d in (8, 16, 32, 64, 128))),
    train_rows=900,
    second_rows=[0, 900],
    seed=range(1),
    size="",
)

EXPERIMENT = Experiment(
    name="huang/emergence",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
