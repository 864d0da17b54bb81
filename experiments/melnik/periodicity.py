"""Accuracy, effective learning rate and effective gradient of scale-invariant networks of one and two layers.

Claims: PERIODIC-1, PERIODIC-2, PERIODIC-3, PERIODIC-4, PERIODIC-9, PERIODIC-10. Source: Melnik, Yuzhakov and Vetrov,
figures 4 and 5, and the weight norm beside the accuracy.
"""

from grokjax.cli import run
from grokjax.experiments.melnik.common import SCALE_INVARIANT, SMALL
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(
    SCALE_INVARIANT,
    axes={"num_layers": [1, 2], "seed": range(5)},
).but(steps=300_000, size="modulus 97, width 128, one and two layers, five seeds, 3*10^5 steps")
PART = Preset(
    SCALE_INVARIANT,
    axes={"num_layers": [2] * 3 + [1] * 6, "seed": [*range(3), *range(6)]},
    zipped=(("num_layers", "seed"),),
    size="the source's own size for 10^5 steps: three seeds with two layers, six with one",
)
QUICK = PAPER.but(
    **SMALL,
    seed=range(2),
    size="modulus 31, width 64, fraction .6, batches of 64, decay .005, two seeds, 15,000 steps: some ten periods",
)

EXPERIMENT = Experiment(
    name="melnik/periodicity",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER) | {"part": PART},
)


if __name__ == "__main__":
    run(EXPERIMENT)
