"""Where the norms stand, and whether they are affine: accuracy and effective learning rate.

Claim: PERIODIC-1, of which these are controls. Source: Melnik, Yuzhakov and Vetrov name the places of LayerNorm (before
attention, before the MLP, inside it, before the output) and not whether they have affine parameters or normalise the
residual stream itself; these are the variants. One layer.
"""

from grokjax.cli import run
from grokjax.experiments.melnik.arms import NORMS
from grokjax.experiments.melnik.common import SCALE_INVARIANT, SMALL
from grokjax.study import Arm, Experiment, Preset, sizes

ARMS = tuple(
    Arm(id, label, dict(norm=id.removesuffix("-affine"), norm_affine=id.endswith("-affine")))
    for id, label in NORMS.items()
)
PAPER = Preset(SCALE_INVARIANT, axes={"seed": range(5)}, arms=ARMS).but(
    steps=300_000, size="four variants at modulus 97 and width 128, five seeds, 3*10^5 steps"
)
QUICK = PAPER.but(
    **SMALL,
    seed=range(2),
    size="four variants at modulus 31, width 64, fraction .6, batches of 64, decay .005, two seeds, 15,000 steps",
)

EXPERIMENT = Experiment(
    name="melnik/norms",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
