"""Grokking of x/y mod p with and without weight decay: accuracy and loss over optimization steps.

Claims: POWER-1, POWER-14. Source: Power et al. 2022, figures 1 (left) and 4: x/y mod 97, half of the table, Adam
without weight decay for 10^6 updates, three seeds; AdamW with decay 1, for 10^5, beside it.

The curve that everybody knows is that without decay: memorised before 10^3 steps, right towards 10^6. With decay 1 the
same network is right after some thousand steps.

A step at the source's size takes 3.2 billion operations, so that two cores that do 85 billion a second need an hour
for 10^5 steps of one run, and ten hours for 10^6.

Pilots (seed 100), modulus 31 in lean rows at width 64, AdamW with decay 1, up to 6,000 steps: fraction .5 memorised
after 181 steps and ended at 10 %; .7 memorised after 235 and generalised after 4,871.
"""

from grokjax.cli import run
from grokjax.experiments.power.arms import DECAYS
from grokjax.experiments.power.common import DECAYED, FREE, MODULAR, SHORT, SMALL
from grokjax.study import Arm, Experiment, Preset


def arms(decayed: int, free: int) -> tuple[Arm, ...]:
    """AdamW and Adam, each with its budget in steps."""
    budgets = {"decay": DECAYED | dict(steps=decayed), "none": FREE | dict(steps=free)}
    return tuple(Arm(id, DECAYS[id], settings) for id, settings in budgets.items())


PAPER = Preset(
    MODULAR,
    axes={"seed": range(3)},
    arms=arms(100_000, 1_000_000),
    size="the source's setting, three seeds: 10^5 steps with decay, 10^6 without; --variant=decay runs a tenth of it",
)
QUICK = PAPER.but(
    **SMALL,
    **SHORT,
    modulus=31,
    train_fraction=0.7,
    seed=range(2),
    arms=arms(8_000, 20_000),
    size=(
        "modulus 31, fraction .7, lean rows, width 64, two seeds, up to 8,000 steps with decay and 20,000 without; a "
        "run ends once validation accuracy has held 99 %"
    ),
)

EXPERIMENT = Experiment(
    name="power/division",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(
            **SHORT,
            arms=arms(100_000, 1_000_000)[:1],
            size="the source's setting with decay alone, three seeds, each until it has generalised",
        ),
        "long": PAPER.but(
            **SHORT,
            modulus=47,
            seed=range(6),
            arms=arms(100_000, 300_000)[1:],
            size="modulus 47 without decay, six seeds, up to 3·10^5 steps, each until it has generalised",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
