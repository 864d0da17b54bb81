"""Memory capacity by width: how many rows of random labels a model answers rightly.

Claim: HUANG-2. Source: Huang et al. 2024, figure 4: random labels shared by (a, b) and (b, a), all pairs train, three
seeds. The figure's widths are not given; ours are 4 to 32. Rate, decay and epochs are as in `dynamics`, whose
docstring has the pilots: with weight decay a model holds fewer rows than it could without.
"""

from grokjax.cli import run
from grokjax.experiments.huang.common import ADDITION, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(ADDITION, axes={"width": [4, 8, 12, 16, 20, 24, 28, 32], "seed": range(3)}).but(
    operation="random_symmetric",
    train_fraction=1.0,
    size="modulus 113, widths 4 to 32, three seeds",
)
QUICK = PAPER.but(
    **SMALL,
    width=[4, 8, 12, 16, 20, 24],
    size="modulus 31, all 961 rows, widths 4 to 24, three seeds, 3,000 epochs",
)

EXPERIMENT = Experiment(
    name="huang/capacity",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
