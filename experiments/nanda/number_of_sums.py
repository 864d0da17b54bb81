"""Addition from few sums to many: how long generalising takes after memorising, over the number of sums.

Claim: NANDA-12. Source: the NANDA study's slides: few sums are memorised, about 700 grok, many generalise at once.
Model and training are those of `digits`, all sums in one batch; a run ends once its test loss is .05 nats or less. Of
the 4,000 sums of the table those that do not train are tested.

Pilots (seed 100), 3-digit sums, width 64: 200 sums were memorised by step 200 and not generalised in 8,000 (test loss
14); 400 were memorised by 230, the test loss rose to 2.9 at step 2,200 and was 2.8 at 4,100; of 800 the test loss was
below 1 nat at step 200, before the training loss was below .1. So the band lies between 400 and 800.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.nanda import digits
from grokjax.study import Experiment, Preset, sizes

CONFIG = dataclasses.replace(digits.CONFIG, metrics=())
PAPER = Preset(CONFIG, axes={"train_rows": [200, 400, 700, 1500, 3000], "seed": range(1)}).but(
    examples=4000,
    batch_rule="full",
    loss_dtype="float64",
    steps=40_000,
    stop_loss=0.05,
    size="5-digit sums, five sizes from 200 to 3,000, one seed each, up to 40,000 steps",
)
QUICK = PAPER.but(
    digits=3,
    width=64,
    train_rows=[100, 500, 1000],
    examples=1500,
    steps=12_000,
    eval_at="log:100",
    size="3-digit sums, width 64, 100, 500 and 1,000 of them, one seed, up to 12,000 steps",
)

EXPERIMENT = Experiment(
    name="nanda/number_of_sums",
    doc=__doc__,
    presets=sizes(QUICK, PAPER)
    | {
        "part": PAPER.but(
            train_rows=[200, 700, 3000],
            steps=15_000,
            size="5-digit sums, 200, 700 and 3,000 of them, one seed, up to 15,000 steps",
        )
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
