"""MLP and ResNet on x+y mod 97, over learning rate and batch: do they grok only with smaller ones?

Claim: PKU-17. Source: the PKU study's text on figure 3, which gives no values; the arms are ours: learning rate 7e-4,
3e-4 and 1e-4, batch 80 and 40, the budget 5,000 epochs.
"""

from grokjax.cli import run
from grokjax.experiments.pku.common import OTHERS
from grokjax.study import Experiment, Preset

PAPER = Preset(
    OTHERS,
    axes={
        "model": ["mlp", "resnet"],
        "learning_rate": [7e-4, 3e-4, 1e-4],
        "batch_size": [80, 40],
        "train_fraction": [0.3, 0.5, 0.7],
        "seed": range(5),
    },
).but(epochs=5000, size="fractions .3, .5 and .7, all rates, five seeds, 5,000 epochs")

EXPERIMENT = Experiment(
    name="pku/step_and_batch",
    doc=__doc__,
    presets={
        "quick": PAPER.but(
            learning_rate=[7e-4, 1e-4],
            train_fraction=[0.3],
            seed=range(1),
            epochs=1000,
            size=("fraction .3, learning rate 7e-4 and 1e-4, one seed, 1,000 epochs: leaves out the middle rate"),
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
