"""Thirteen binary operations over the train fraction: validation accuracy, and the least fraction that suffices.

Claims: POWER-4, POWER-5, POWER-6, POWER-7. Source: Power et al. 2022, figure 2 (right): ten operations mod 97 and
three on S5, fractions .05 to .95 by .05, the best validation accuracy within 10^5 steps, three seeds. Two more
operations are ours: x+y mod 96, and x·y mod 97 without zeros, which are one group under two namings.

`paper` trains the whole grid, as the source does. The other presets bisect it, for what is claimed is the least
fraction with which an operation is learned: a line of the grid then takes 3 or 5 runs instead of 5 or 19, and a
figure shows those that ran. A run ends once validation accuracy has held 99 %.

Pilots: those of S4 that `common.py` tells of, and those of `division`. In quick S4 is there for the comparison alone.
"""

from grokjax.cli import run
from grokjax.experiments.power.arms import MODULAR, PERMUTATIONS, SAME
from grokjax.experiments.power.common import LEAN, SHORT, SMALL, WRITTEN
from grokjax.experiments.power.common import MODULAR as CONFIG
from grokjax.study import Arm, Experiment, Preset


def arms(modulus: int, degree: int, rows: dict) -> tuple[Arm, ...]:
    """The operations modulo a prime and on S_n, with rows written so."""
    numbers = dict(task="modular", modulus=modulus, **rows)
    swaps = dict(task="permutations", degree=degree, **rows)
    return (
        *(Arm(id, label, numbers | dict(operation=of)) for id, (label, of) in MODULAR.items()),
        *(Arm(id, f"{label} in S{degree}", swaps | dict(operation=of)) for id, (label, of) in PERMUTATIONS.items()),
        Arm("add-less-one", SAME["add-less-one"], numbers | dict(operation="add", modulus=modulus - 1)),
        Arm("multiply-nonzero", SAME["multiply-nonzero"], numbers | dict(operation="1/(1/(x*y))")),
    )


FRACTIONS = [round(0.05 * i, 2) for i in range(1, 20)]
PAPER = Preset(CONFIG, axes={"train_fraction": FRACTIONS, "seed": range(3)}, arms=arms(97, 5, WRITTEN)).but(
    **SHORT, size="the source's whole grid and two more operations, three seeds"
)
QUICK = PAPER.but(
    **{name: value for name, value in SMALL.items() if name not in LEAN},
    arms=arms(23, 4, LEAN),
    search="train_fraction",
    train_fraction=[0.3, 0.45, 0.6, 0.75, 0.9],
    seed=range(1),
    steps=4_000,
    size=(
        "modulus 23 and S4, five fractions of which three are trained at most, lean rows, width 64, one seed, up "
        "to 4,000 steps"
    ),
)

EXPERIMENT = Experiment(
    name="power/operations",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(
            seed=range(1),
            search="train_fraction",
            size="the source's grid bisected, one seed; --num_seeds=3 is the source's",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), search="train_fraction", size="bisected, ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
