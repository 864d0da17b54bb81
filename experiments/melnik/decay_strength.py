"""The slope of the saw-tooth over the strength of weight decay: lambda halved, as it is and doubled.

Claim: PERIODIC-3. Source: Melnik, Yuzhakov and Vetrov: between jumps the effective learning rate grows by 2 eta lambda
per step. The other strengths are ours. One layer, as `controls`, which has these arms too but, as one of its networks
has no scale-invariant weights, only the norms of all weights.
"""

from grokjax.cli import run
from grokjax.experiments.melnik.arms import DECAYS
from grokjax.experiments.melnik.common import SCALE_INVARIANT, SMALL
from grokjax.study import Arm, Experiment, Preset, sizes


def arms(weight_decay: float) -> tuple[Arm, ...]:
    """All strengths, around one."""
    return tuple(Arm(id, label, dict(weight_decay=factor * weight_decay)) for id, (label, factor) in DECAYS.items())


PAPER = Preset(SCALE_INVARIANT, axes={"seed": range(5)}, arms=arms(0.001)).but(
    steps=100_000, size="three strengths at modulus 97 and width 128, five seeds, 10^5 steps"
)
QUICK = PAPER.but(
    **{name: value for name, value in SMALL.items() if name != "weight_decay"},
    arms=arms(0.005),
    seed=range(2),
    size="three strengths at modulus 31, width 64, batches of 64, decay around .005, two seeds, 15,000 steps",
)

EXPERIMENT = Experiment(name="melnik/decay_strength", doc=__doc__, presets=sizes(quick=QUICK, paper=PAPER))


if __name__ == "__main__":
    run(EXPERIMENT)
