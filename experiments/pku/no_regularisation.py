"""The Transformer on x+y mod p without weight decay and dropout: does it generalise in the end?

Claim: PKU-16. Source: the PKU study's discussion of what regularisation is needed for; the run is ours. In float32 the
loss of a fitted row becomes exactly 0 ("softmax collapse"), and then nothing more is learned: `train_softmax_collapse`
is the share of such rows. The same runs with a loss in float64 show how much depends on that.
"""

import dataclasses

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.pku.common import ENCODER_DECODER
from grokjax.study import Experiment, Preset, sizes

CONFIG = dataclasses.replace(
    ENCODER_DECODER, optimizer=gj.optimizers.Adam(warmup_steps=0), stop_accuracy=0.99, metrics=("softmax_collapse",)
)
PAPER = Preset(CONFIG, axes={"loss_dtype": ["float32", "float64"], "seed": range(5)}).but(
    batch_size=256,
    steps=100_000,
    size="modulus 97, fraction .5, batch 256, five seeds, 10^5 steps, loss in float32 and float64",
)
QUICK = PAPER.but(
    modulus=31,
    train_fraction=0.7,
    batch_size=64,
    loss_dtype="float32",
    seed=range(2),
    steps=15_000,
    size=("modulus 31, fraction .7, batches of 64, two seeds, 15,000 steps, loss in float32 only: 15 % of the steps"),
)

EXPERIMENT = Experiment(
    name="pku/no_regularisation",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
