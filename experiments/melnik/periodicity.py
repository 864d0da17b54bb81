"""Accuracy, effective learning rate and effective gradient of scale-invariant networks of one and two layers.

Claims: PERIODIC-1, PERIODIC-2, PERIODIC-3, PERIODIC-4, PERIODIC-9, PERIODIC-10. Source: Melnik, Yuzhakov and Vetrov,
figures 4 and 5.
"""

from grokjax.cli import run
from grokjax.experiments.melnik.common import SCALE_INVARIANT
from grokjax.study import Experiment, Preset

PAPER = Preset(SCALE_INVARIANT, axes={"num_layers": [1, 2], "seed": range(5)}).but(
    steps=300_000, size="modulus 97, width 128, five seeds, 3*10^5 steps"
)
PART = Preset(
    SCALE_INVARIANT,
    axes={"num_layers": [2] * 3 + [1] * 6, "seed": [*range(3), *range(6)]},
    zipped=(("num_layers", "seed"),),
    size="the source's own size for 10^5 steps: three seeds with two layers, six with one",
)

EXPERIMENT = Experiment(
    name="melnik/periodicity",
    doc=__doc__,
    presets={
        "quick": PART,
        "part": PART,
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
