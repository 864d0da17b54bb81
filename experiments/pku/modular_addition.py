"""Grokking of a Transformer on x+y mod p, over modulus and train fraction: accuracy and loss over epochs.

Claims: PKU-1, PKU-2, PKU-3, PKU-14. Source: the PKU study, figures 1 and 2: modulus 47 and 97, train fraction .3, .5
and .7, AdamW 1e-3 with decay 1, dropout .1, batch 256.

In quick, small and part a run ends once validation accuracy has held 99 %.

Pilots (seeds 100 and 101, not among those judged), modulus 31: with batches of 256, 5,000 steps, fraction .3 memorised
after 83 steps and did not generalise; .5: 70 and 3,027 steps; .7: 108 and 1,548. With batches of 64, 8,000 steps: .3:
99 and 6,889; .5: 173 and 4,096; .7: 292 and 2,332.
"""

from grokjax.cli import run
from grokjax.experiments.pku.common import REPLAY, SHORT, TRANSFORMER
from grokjax.study import Experiment, Preset

FRACTIONS = [0.3, 0.5, 0.7]
QUICK = Preset(TRANSFORMER, axes={"train_fraction": FRACTIONS, "seed": range(1)}).but(
    **SHORT,
    modulus=[23, 31],
    batch_size=64,
    steps=8000,
    size=(
        "modulus 23 and 31, one seed, up to 8,000 steps, batches of 64, so that an epoch of these"
        " small tables still has several; a run ends once validation accuracy has held 99 %"
    ),
)
PAPER = Preset(
    TRANSFORMER,
    axes={"train_fraction": FRACTIONS, "epochs": [5000, 500, 500], "modulus": [47, 97], "seed": range(5)},
    zipped=(("train_fraction", "epochs"),),
).but(
    batch_size=256,
    size=("the source's grid; --modulus=47 runs half of it"),
)

PART = PAPER.but(
    seed=range(6),
    stop_accuracy=0.99,
    size="the source's grid with six seeds; runs end as in quick",
)

EXPERIMENT = Experiment(
    name="pku/modular_addition",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(
            seed=range(6),
            size="the same with six seeds, for verdicts",
        ),
        "part": PART,
        "replay": PART.but(**REPLAY),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the source's grid with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
