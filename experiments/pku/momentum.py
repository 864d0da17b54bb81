"""RMSprop and Adam, each with and without momentum, at equal learning rates: is RMSprop slower for want of it?

Claim: PKU-9. Source: the PKU study's explanation of figure 4; the test is ours. In PyTorch's RMSprop momentum adds up
directions, so .9 also makes steps up to ten times longer; Adam's b1 averages them.
"""

from grokjax.cli import run
from grokjax.experiments.pku.common import ENCODER_DECODER, NO_WARMUP, SHORT
from grokjax.study import Arm, Experiment, Preset, sizes

ARMS = (
    Arm("rmsprop", "RMSprop", dict(optimizer="rmsprop", momentum=0.0) | NO_WARMUP),
    Arm("rmsprop-momentum", "RMSprop, momentum .9", dict(optimizer="rmsprop", momentum=0.9) | NO_WARMUP),
    Arm("adam-b1-0", "Adam, b1 0", dict(optimizer="adam", b1=0.0) | NO_WARMUP),
    Arm("adam-b1-0.9", "Adam, b1 .9", dict(optimizer="adam", b1=0.9) | NO_WARMUP),
)
PAPER = Preset(ENCODER_DECODER, axes={"learning_rate": [5e-4, 1e-3], "seed": range(5)}, arms=ARMS).but(
    train_fraction=0.8,
    batch_size=1024,
    epochs=1000,
    size=("modulus 97, fraction .8, batch 1,024, 1,000 epochs, learning rate 5e-4 and 1e-3, five seeds"),
)
QUICK = PAPER.but(
    **SHORT,
    modulus=31,
    batch_size=64,
    learning_rate=[5e-4],
    seed=range(2),
    steps=3000,
    size=(
        "modulus 31, fraction .8, batches of 64, learning rate 5e-4, two seeds, up to 3,000 "
        "steps; a run ends once validation accuracy has held 99 %"
    ),
)

EXPERIMENT = Experiment(
    name="pku/momentum",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
