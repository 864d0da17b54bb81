"""Ten optimizers on x+y mod p with a Transformer: the highest validation accuracy over train fraction.

Claims: PKU-6, PKU-7, PKU-8. Source: the PKU study, figure 4: modulus 97, train fraction .30 to .80 by .05, batch
1,024, 1,000 epochs, three repeats. The settings are those of its recorded code (its text labels RMSprop 5e-4 as 1e-4);
SGD without momentum, which only the text names, is added at learning rate 1e-2. RMSprop is PyTorch's.

Pilots (seed 100): modulus 47, batch 256: at fraction .5 decay 1 reached 52 % in 5,000 steps, the others less; at .7 it
reached 99 % after 3,597 steps, Adam with dropout 68 %, decay .05 65 % and SGD with momentum 33 % in 4,500. Modulus 31,
batch 64, fraction .7: decay 1 reached 99 % after 3,025 steps, Adam 68 %, with dropout 66 % and SGD with momentum 8 % in
4,000.
"""

from grokjax.cli import run
from grokjax.experiments.pku.arms import OPTIMIZERS
from grokjax.experiments.pku.common import ENCODER_DECODER, NO_WARMUP, REPLAY
from grokjax.study import Arm, Experiment, Preset


def arm(id: str, optimizer: str, learning_rate: float, weight_decay: float = 0.0, dropout: float = 0.0) -> Arm:
    """One optimizer; Adam kinds with the source's eps of 1e-9."""
    settings = dict(optimizer=optimizer, learning_rate=learning_rate, weight_decay=weight_decay, dropout=dropout)
    settings |= NO_WARMUP
    return Arm(id, OPTIMIZERS[id], settings | (dict(eps=1e-9) if optimizer.startswith("adam") else {}))


ARMS = (
    arm("adam-1e-4", "adam", 1e-4),
    arm("adam-1e-3", "adam", 1e-3),
    arm("adam-3e-3", "adam", 3e-3),
    arm("adam-1e-4-dropout", "adam", 1e-4, dropout=0.1),
    arm("adamw-decay-0.05", "adamw", 5e-4, 0.05),
    arm("adamw-decay-1", "adamw", 5e-4, 1.0),
    arm("rmsprop-5e-4", "rmsprop", 5e-4),
    arm("rmsprop-1e-3", "rmsprop", 1e-3),
    arm("sgd-momentum", "sgd_momentum", 1e-2),
    arm("sgd", "sgd", 1e-2),
)
COMPARED = ("adam-1e-4", "adam-1e-4-dropout", "adamw-decay-0.05", "adamw-decay-1", "sgd-momentum")
"""The arms that claims compare."""

FRACTIONS = [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]
PAPER = Preset(ENCODER_DECODER, axes={"train_fraction": FRACTIONS, "seed": range(3)}, arms=ARMS).but(
    batch_size=1024,
    epochs=1000,
    size="the source's grid; --train_fraction=0.5 --num_seeds=1 runs a part of it",
)
GRID = PAPER.but(
    modulus=31,
    batch_size=64,
    steps=3500,
    eval_at="log:100",
    size=("all eleven fractions and three repeats at modulus 31; as many updates as decay 1 takes there"),
)

EXPERIMENT = Experiment(
    name="pku/optimizers",
    doc=__doc__,
    presets={
        "quick": GRID.but(
            train_fraction=[0.7],
            seed=range(1),
            size=("modulus 31, batches of 64, fraction .7, one seed, 3,500 steps: leaves out all other fractions"),
        ),
        "small": GRID.but(
            arms=[one for one in ARMS if one.id in COMPARED],
            train_fraction=[0.3, 0.5, 0.7],
            seed=range(6),
            size=("the five optimizers that claims compare, fractions .3, .5 and .7, six seeds, for verdicts"),
        ),
        "grid": GRID,
        "paper": PAPER,
        "replay": PAPER.but(**REPLAY, train_fraction=[0.3, 0.5, 0.7]),
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
