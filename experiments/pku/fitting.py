"""How soon each model fits its training set, at two moduli: steps and epochs to 99 % training accuracy.

Claim: PKU-5. Source: the PKU study's text on figure 3; the settings are those of `modular_addition` and
`architectures` at train fraction .3, with budgets that only fitting needs.

Pilots (seed 100), steps at modulus 47 and 97: Transformer 512 at 97, LSTM 206 and 899, MLP 2,656 and 25,268,
ResNet 1,722 and more than 40,000.
"""

from grokjax.cli import run
from grokjax.experiments.pku.architectures import MODELS
from grokjax.experiments.pku.common import ENCODER_DECODER
from grokjax.study import Arm, Experiment, Preset, sizes


def arms(transformer_steps: int) -> list[Arm]:
    """Every model with its own learning rate, betas and budget."""
    transformer = dict(
        model="encoder_decoder",
        learning_rate=1e-3,
        batch_size=256,
        b1=0.9,
        b2=0.98,
        dropout=0.1,
        steps=transformer_steps,
    )
    budgets = {"lstm": 2500, "mlp": 60_000, "resnet": 60_000}
    others = [
        Arm(model, MODELS[model][0], MODELS[model][1] | dict(b1=0.96, b2=0.99, dropout=0.0, steps=steps))
        for model, steps in budgets.items()
    ]
    return [Arm("transformer", "Transformer", transformer), *others]


PAPER = Preset(
    ENCODER_DECODER, axes={"modulus": [47, 97], "seed": range(5)}, arms=tuple(arms(2000)), size="five seeds"
).but(train_fraction=0.3, eval_at="log:100", size="modulus 47 and 97 as in the source, five seeds")
QUICK = PAPER.but(
    arms=arms(750),
    seed=range(2),
    size="modulus 47 and 97 as in the source, two seeds; the Transformer has 750 steps",
)

EXPERIMENT = Experiment(
    name="pku/fitting",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
)


if __name__ == "__main__":
    run(EXPERIMENT)
