"""The feed-forward layers split between the addition and the random labels: does the addition emerge in smaller models?

Claim: HUANG-9. Source: Huang et al. 2024, figure 10.
"""

from grokjax.cli import run
from grokjax.experiments.huang.emergence import PAPER as EMERGENCE
from grokjax.experiments.huang.emergence import QUICK as QUICK_EMERGENCE
from grokjax.study import Experiment, sizes

PAPER = EMERGENCE.but(second_rows=3000, split_mlp=[False, True], size="modulus 113, beside 3,000 random rows")
QUICK = QUICK_EMERGENCE.but(second_rows=900, split_mlp=[False, True], size="")

EXPERIMENT = Experiment(
    name="huang/split_feed_forward",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
