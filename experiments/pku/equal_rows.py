"""The control for PKU-3: two moduli with as many training rows, not the same share of the table.

Claim: PKU-3. A smaller modulus at the same train fraction has fewer training rows. Whether it groks more for being
smaller or for having fewer rows is seen where the rows are equal. Source: the PKU study's claim on figures 1 to 3; the
control is ours. The rest is `modular_addition`.
"""

from grokjax.cli import run
from grokjax.experiments.pku.common import SHORT, TRANSFORMER
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(TRANSFORMER, axes={"modulus": [47, 97], "seed": range(5)}).but(
    train_rows=1546,
    batch_size=256,
    steps=15_000,
    size="modulus 47 and 97 with 1,546 rows (fractions .7 and .164), five seeds, 15,000 steps",
)
QUICK = PAPER.but(
    **SHORT,
    modulus=[23, 31],
    train_rows=370,
    seed=range(3),
    batch_size=64,
    steps=8000,
    size=(
        "modulus 23 and 31 with 370 rows (fractions .7 and .385), batches of 64, three seeds, up "
        "to 8,000 steps; a run ends once validation accuracy has held 99 %"
    ),
)

EXPERIMENT = Experiment(
    name="pku/equal_rows",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
