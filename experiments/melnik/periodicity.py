"""Accuracy, effective learning rate and effective gradient of scale-invariant networks of one and two layers.

Claims: PERIODIC-1, PERIODIC-2, PERIODIC-3, PERIODIC-4, PERIODIC-9, PERIODIC-10. Source: Melnik, Yuzhakov and Vetrov,
figures 4 and 5, and the weight norm beside the accuracy.

Training accuracy in the figure, and where dips are looked for, is that of the batches, in the mean over the updates
since the last evaluation: an evaluation of all rows costs as much as five updates, so it is made every second epoch
only, and a dip in between must not be missed.

Pilots (modulus 31, width 64, fraction .6, batches of 64, seed 100, one layer, 20,000 steps): rate .1 and decay .001
memorised after 261 steps and ended at 53 %, with one collapse of the training accuracy after 10,200 steps; .1 and
.005, the quick setting, reached 99 % validation after 4,230 steps and showed 16 dips, 1,260 steps apart; .3 and .001
after 4,698, with dips 1,700 steps apart; .3 and .005 after 927, with a hundred dips without a period. With two layers
the quick setting reached 99 % after 3,060 steps, with a dip each 1,000 to 1,400 steps, several short ones in a row at
times.
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
