"""x+y mod p on ordered rows x1 <= x2 against all rows, with controls for what else differs between them.

Claims: PKU-12, PKU-18. Source: the PKU study, figure 7: modulus 97, 4,753 ordered rows against 9,409, AdamW 5e-4 with
decay 1, batch 1,024, 50,000 epochs on ordered rows and 5,000 on all, train fractions .3, .5 and .7.

All rows at the same fraction are twice as many, and hold both orders of a pair, of which one may train and the other
validate. So two controls are ours: all rows with as many of them training as in the ordered set, and all rows split by
unordered pair.

Pilot (seed 100), modulus 47, fraction .7, batches of 256, 6,000 steps, 4.2 minutes with AVX-512 (some ten without, so
quick has 31). Steps to 99 % training and validation: ordered 332 and 4,467, all 395 and 1,328, split by pair 395 and
3,158; as many of all 235 and not within 6,000 (92 %).
"""

from grokjax.cli import run
from grokjax.experiments.pku.arms import FRACTIONS, of_rows
from grokjax.experiments.pku.common import REPLAY, SHORT, TRANSFORMER
from grokjax.study import Arm, Experiment, Preset, sizes


def arms(modulus: int, fraction: float, **budget) -> list[Arm]:
    """Ordered rows, all rows and both controls at one train fraction; a budget for ordered and one for all rows."""
    ordered_rows = int(modulus * (modulus + 1) // 2 * fraction)
    share = round(ordered_rows / modulus**2, 6)
    base = dict(modulus=modulus, ordered=False, split_by="row", train_fraction=fraction)
    kinds = {
        "ordered": dict(ordered=True),
        "all": {},
        "all-as-many-rows": dict(train_fraction=share),
        "all-by-pair": dict(split_by="pair"),
    }
    return [
        Arm(*of_rows(rows, fraction), base | own | {n: v[rows != "ordered"] for n, v in budget.items()})
        for rows, own in kinds.items()
    ]


PAPER = Preset(TRANSFORMER, axes={"seed": range(5)}).but(
    arms=[arm for alpha in FRACTIONS for arm in arms(97, alpha, epochs=(50_000, 5_000))],
    learning_rate=5e-4,
    eps=1e-9,
    batch_size=1024,
    size="the source's grid and the controls, five seeds",
)
QUICK = PAPER.but(
    **SHORT,
    arms=arms(31, 0.7),
    batch_size=64,
    seed=range(1),
    steps=10_000,
    size=(
        "modulus 31, fraction .7, batches of 64, one seed, up to 10,000 steps: leaves out "
        "fractions .3 and .5; a run ends once validation accuracy has held 99 %"
    ),
)

EXPERIMENT = Experiment(
    name="pku/ordered_pairs",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER) | {"replay": PAPER.but(**REPLAY)},
)


if __name__ == "__main__":
    run(EXPERIMENT)
