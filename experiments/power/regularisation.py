"""Thirteen ways to train on the product of two permutations, over the train fraction: which needs the least data?

Claims: POWER-8, POWER-9, POWER-16, POWER-17. Source: Power et al. 2022, figure 2 (left): x·y in S5 over the train
fraction, the best validation accuracy within 10^5 steps, for Adam with a full batch, with mini-batches, with other
learning rates, with noise on the update or the weights, with dropout, with weight decay towards zero or the initial
weights, and for plain gradient descent. Two more kinds of decay are ours: random factors on the weights, and L2 in
the gradient.

The source does not say how strong the noise on the update is (1 here, times the learning rate), nor the learning rate
of gradient descent (.1 here). Its fractions are not printed; here they are .05 to .95 by .05.

Every arm is also measured: the sharpness of the training loss where each run ends. `paper` trains the whole grid; the
other presets bisect it. The first fraction that a bisection trains is the middle one, for every arm and seed, so that
sharpness can be compared there. A run ends once validation accuracy has held 99 %.

Pilots: those of S4 that `common.py` tells of, and those of `division`, after which quick trains x/y mod 31.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.power.arms import NOISES, REGULARISATIONS
from grokjax.experiments.power.common import QUOTIENTS, S5, SHORT
from grokjax.experiments.power.measures import sharpness_of
from grokjax.study import Arm, Experiment, Preset

ADAM = dict(optimizer="adam", weight_decay=0.0)
ADAMW = dict(optimizer="adamw", weight_decay=1.0)
SGD = dict(optimizer="sgd", weight_decay=0.0, learning_rate=0.1)
FULL_BATCH = ADAM | dict(batch_rule="full")
SETTINGS = {
    "full-batch": FULL_BATCH,
    "adam": ADAM,
    "adam-low": ADAM | dict(learning_rate=3e-4),
    "adam-high": ADAM | dict(learning_rate=3e-3),
    "update-noise": FULL_BATCH | dict(update_noise=1.0),
    "weight-noise": ADAM | dict(weight_noise=0.01),
    "dropout": ADAM | dict(dropout=0.1),
    "decay": ADAMW,
    "decay-init": ADAMW | dict(decay="init"),
    "gradient-descent": SGD | dict(batch_rule="full"),
    "sgd": SGD,
    "decay-jiggle": ADAMW | dict(decay="jiggle"),
    "decay-gradient": ADAM | dict(decay="gradient", weight_decay=1e-3),
}
TO_THE_END = {id for ids in NOISES.values() for id in ids}
"""Arms whose sharpness is compared: a run that ends as soon as it generalises is sharper than one that goes on."""

ARMS = tuple(
    Arm(id, label, SETTINGS[id] | (dict(stop_accuracy=None) if id in TO_THE_END else {}))
    for id, label in REGULARISATIONS.items()
)

FRACTIONS = [round(0.05 * i, 2) for i in range(1, 20)]
PAPER = Preset(S5, axes={"train_fraction": FRACTIONS, "seed": range(3)}, arms=ARMS).but(
    **SHORT, size="S5, the whole grid, three seeds"
)
QUICK = dataclasses.replace(PAPER, config=QUOTIENTS).but(
    search="train_fraction",
    train_fraction=[0.5, 0.6, 0.7, 0.8, 0.9],
    seed=range(1),
    steps=5_500,
    size=(
        "x/y mod 31 instead of S5, five fractions of which three are trained at most, lean rows, "
        "width 64, one seed, up to 5,500 steps"
    ),
)

EXPERIMENT = Experiment(
    name="power/regularisation",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(seed=range(1), search="train_fraction", size="S5 bisected, one seed"),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), search="train_fraction", size="bisected, ten seeds"),
    },
    measure=sharpness_of,
)


if __name__ == "__main__":
    run(EXPERIMENT)
