"""The U over width on the sum and on its square, at equal training rows: does the harder task deepen it?

Claim: HUANG-5. Source: Huang et al. 2024, figure 7: (a+b)^2 modulo 113, 3,000 rows, eleven seeds. The sum at the same
rows is trained beside it, so that depths are compared seed by seed. Rate, decay and epochs are as in `dynamics`,
whose docstring has the pilots.
"""

from grokjax.cli import run
from grokjax.experiments.huang.width import PAPER as WIDTH
from grokjax.experiments.huang.width import QUICK as QUICK_WIDTH
from grokjax.study import Experiment, Preset, sizes


def with_square(preset: Preset, rows: int, size: str) -> Preset:
    """A preset of `width` at one number of rows, on the sum and on its square."""
    return preset.but(operation=["add", "(x+y)^2"], train_rows=rows, size=size)


EXPERIMENT = Experiment(
    name="huang/square",
    doc=__doc__,
    presets=sizes(
        quick=with_square(
            QUICK_WIDTH, 640, "modulus 31, 640 rows, six widths from 4 to 48, one seed, up to 3,000 epochs"
        ),
        paper=with_square(WIDTH, 3000, "modulus 113, 3,000 rows, fifteen widths, eleven seeds"),
    ),
)


if __name__ == "__main__":
    run(EXPERIMENT)
