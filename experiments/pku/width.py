"""Grokking of the Transformer on x+y mod p over its width: does a stronger model grok more strongly?

Claim: PKU-15. Source: the PKU study's discussion; the sweep is ours, with the settings of `modular_addition`. A run
ends once validation accuracy has held 99 %.
"""

from grokjax.cli import run
from grokjax.experiments.pku.common import SHORT, TRANSFORMER
from grokjax.study import Experiment, Preset, sizes

PAPER = Preset(TRANSFORMER, axes={"width": [32, 64, 128, 256], "seed": range(5)}).but(
    train_fraction=0.3,
    batch_size=256,
    epochs=5000,
    stop_accuracy=0.99,
    size="modulus 97, fraction .3, widths 32 to 256, five seeds, 5,000 epochs",
)
QUICK = PAPER.but(
    **SHORT,
    modulus=31,
    train_fraction=0.5,
    width=[32, 64, 128],
    seed=range(3),
    batch_size=64,
    steps=6000,
    size=(
        "modulus 31, fraction .5, batches of 64, widths 32, 64 and 128, three seeds, up to 6,000 "
        "steps: leaves out width 256"
    ),
)

EXPERIMENT = Experiment(
    name="pku/width",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
