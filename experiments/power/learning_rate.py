"""The product of two permutations over the learning rate: how wide is the window within which it generalises?

Claim: POWER-10. Source: Power et al. 2022, section 3.3: the learning rate has to lie within about an order of
magnitude. The sweep is ours: the source prints no figure of it. AdamW with decay 1, and Adam without decay beside it,
at one train fraction; a run ends once validation accuracy has held 99 %.

Pilots: those of S4 that `common.py` tells of, and those of `division`, after which quick trains x/y mod 31.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.power.arms import DECAYS
from grokjax.experiments.power.common import DECAYED, FREE, QUOTIENTS, S5, SHORT
from grokjax.study import Arm, Experiment, Preset, sizes

ARMS = (Arm("decay", DECAYS["decay"], DECAYED), Arm("none", DECAYS["none"], FREE))
RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]
PAPER = Preset(S5, axes={"learning_rate": RATES, "seed": range(3)}, arms=ARMS).but(
    **SHORT, size="S5, half of the table, seven learning rates from 1e-4 to 1e-2, three seeds"
)
QUICK = dataclasses.replace(PAPER, config=QUOTIENTS).but(
    train_fraction=0.8,
    arms=ARMS[:1],
    learning_rate=[2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2],
    seed=range(1),
    steps=5_500,
    size=(
        "x/y mod 31 instead of S5, fraction .8, AdamW alone, six rates, lean rows, width 64, one seed, up to 5,500 "
        "steps"
    ),
)

EXPERIMENT = Experiment(name="power/learning_rate", doc=__doc__, presets=sizes(quick=QUICK, paper=PAPER))


if __name__ == "__main__":
    run(EXPERIMENT)
