"""x+y+z mod 31 on ordered rows x1 <= x2 <= x3 against all rows, with a control at as many training rows.

Claims: PKU-13, PKU-18. Source: the PKU study, figure 8: modulus 31, 5,456 ordered rows against 29,791, train fraction
.3, AdamW 7e-4 with decay 1, dropout .1, batch 1,024, 5,000 epochs.

A run ends once validation accuracy has held 99 %: all rows get there within a hundred of their 5,000 epochs.
"""

from grokjax.cli import run
from grokjax.experiments.pku.arms import of_rows
from grokjax.experiments.pku.common import REPLAY, SHORT, TRANSFORMER
from grokjax.study import Arm, Experiment, Preset


def arms(modulus: int, fraction: float) -> list[Arm]:
    """Ordered rows, all rows, and all rows with as many of them training as in the ordered set."""
    ordered_rows = int(modulus * (modulus + 1) * (modulus + 2) // 6 * fraction)
    share = round(ordered_rows / modulus**3, 6)
    kinds = {
        "ordered": dict(ordered=True, train_fraction=fraction),
        "all": dict(ordered=False, train_fraction=fraction),
        "all-as-many-rows": dict(ordered=False, train_fraction=share),
    }
    return [Arm(*of_rows(rows, fraction), own) for rows, own in kinds.items()]


PAPER = Preset(TRANSFORMER, axes={"seed": range(5)}).but(
    **SHORT,
    arms=arms(31, 0.3),
    modulus=31,
    operands=3,
    learning_rate=7e-4,
    eps=1e-9,
    batch_size=1024,
    epochs=5000,
    size="the source's two arms and the control, five seeds",
)

EXPERIMENT = Experiment(
    name="pku/ordered_triples",
    doc=__doc__,
    presets={
        "quick": PAPER.but(
            arms=arms(13, 0.3),
            modulus=13,
            batch_size=64,
            seed=range(2),
            steps=3000,
            size="modulus 13 (455 ordered rows of 2,197), batches of 64, two seeds, up to 3,000 steps",
        ),
        "paper": PAPER,
        "replay": PAPER.but(**REPLAY, seed=range(6)),
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
