"""Feed-forward layers split between addition and random labels: does the addition emerge in smaller models?

Claim: HUANG-9. Source: Huang et al. 2024, figure 10: 3,000 additions beside 3,000 subtractions with random labels,
three seeds; half of each layer's hidden units work on either task. Models as in `emergence`.
"""

from grokjax.cli import run
from grokjax.experiments.huang.emergence import PAPER as EMERGENCE
from grokjax.experiments.huang.emergence import QUICK as QUICK_EMERGENCE
from grokjax.study import Experiment, sizes

PAPER = EMERGENCE.but(second_rows=3000, split_mlp=[False, True], size="modulus 113, beside 3,000 random rows")
QUICK = QUICK_EMERGENCE.but(
    second_rows=480,
    split_mlp=[False, True],
    size="modulus 31, 720 additions beside 480 random labels, widths 4 to 64, one seed, up to 3,000 epochs",
)

EXPERIMENT = Experiment(
    name="huang/split_feed_forward",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
