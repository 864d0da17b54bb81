"""The output layer of networks that grokked, in two dimensions: a number line for x+y, cosets for permutations.

Claim: POWER-13. Source: Power et al. 2022, figure 3: t-SNE of the rows of the output layer for x+y mod 97, with a line
that joins x to x+8, and for x·y in S5, coloured by the cosets of <(0 3)(1 4), (1 2)(3 4)> and its conjugates.

What the source shows is also measured. Of x+y: in which order the residues lie around the centre of the picture,
against random orders, and the share of power that the rows have in their top frequency. Of permutations: the
silhouette of cosets, of the named subgroup and its conjugates, left and right, against random partitions of the same
sizes. S4 has no such subgroup; there it is that of the double transpositions.

Pilots: those of S4 that `common.py` tells of, after which quick trains 90 % of it.
"""

from grokjax.cli import run
from grokjax.experiments.power.arms import DECAYS
from grokjax.experiments.power.common import DECAYED, FREE, LEAN, MODULAR, SMALL, WRITTEN
from grokjax.experiments.power.measures import picture
from grokjax.study import Arm, Experiment, Preset, sizes


def arms(modulus: int, degree: int, rows: dict) -> tuple[Arm, ...]:
    """Both tasks with and without decay, with rows written so."""
    tasks = {
        "add": (f"x+y mod {modulus}", dict(task="modular", operation="add", modulus=modulus)),
        "permutations": (f"x·y in S{degree}", dict(task="permutations", operation="xy", degree=degree)),
    }
    optimizers = {"decay": DECAYED, "none": FREE}
    return tuple(
        Arm(f"{id}-{decay}", f"{label}: {DECAYS[decay]}", settings | rows | optimizers[decay])
        for id, (label, settings) in tasks.items()
        for decay in DECAYS
    )


PAPER = Preset(MODULAR, axes={"seed": range(3)}, arms=arms(97, 5, WRITTEN)).but(
    size="x+y mod 97 and S5, half of the table, with and without decay, three seeds, 10^5 steps"
)
QUICK = PAPER.but(
    **{name: value for name, value in SMALL.items() if name not in LEAN},
    arms=arms(31, 4, LEAN),
    train_fraction=0.9,
    seed=range(1),
    steps=8_000,
    size="x+y mod 31 and S4, fraction .9, lean rows, width 64, one seed, 8,000 steps",
)

EXPERIMENT = Experiment(name="power/embeddings", doc=__doc__, presets=sizes(quick=QUICK, paper=PAPER), measure=picture)


if __name__ == "__main__":
    run(EXPERIMENT)
