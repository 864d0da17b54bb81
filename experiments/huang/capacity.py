"""Memory capacity by width: how many rows of random labels a model answers rightly.

Claim: HUANG-2. Source: Huang et al. 2024, figure 4.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(ADDITION, axes={"width": [4, 8, 12, 16, 20, 24, 28, 32], "seed": range(3)}).but(
    operation="random_symmetric",
    train_fraction=1.0,
    size="modulus 113, widths 4 to 32, three seeds",
)
QUICK = PAPER.but(**SMALL, width=[4, 8, 12, 16, 24, 32], size="")

EXPERIMENT = Experiment(
    name="huang/capacity",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
