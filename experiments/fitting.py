"""How soon each model fits its training set, at two moduli: steps and epochs to 99 % training accuracy.

Claim: PKU-5. Source: the PKU study's text on figure 3; the settings are those of `modular_addition` and
`architectures` at train fraction .3, with budgets that only fitting needs.

  --preset=quick   modulus 47 and 97 as in the source, two seeds; the Transformer has 750 steps
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   five seeds
  --preset=claim   ten seeds

Pilots (seed 100), steps at modulus 47 and 97: Transformer 512 at 97, LSTM 206 and 899, MLP 2,656 and 25,268,
ResNet 1,722 and more than 40,000.

Took (quick): 3.5 minutes on two cores with AVX-512; 8.1 on an AMD EPYC with AVX2, where the Transformer had 500 steps.
(small): 10 minutes with AVX-512. Median steps of six seeds at modulus 47 and 97: Transformer 99 and 524, LSTM 185 and
939, MLP 4,484 and more than 60,000 (five of six), ResNet 1,722 and 29,440 (two of six more than 60,000). In epochs:
Transformer 33 and 44, LSTM 62 and 78, MLP 498 and more than 1,667, ResNet 191 and 818.

Command: `python experiments/fitting.py`, then `python figures/fitting.py`.
"""

from architectures import MODELS
from pku import DATA, labelled

from grokjax.command import main

ADAM = dict(b1="0.96", b2="0.99", dropout="0")
ARMS = {
    "Transformer": dict(
        model="encoder_decoder", learning_rate="1e-3", batch_size="256", b1="0.9", b2="0.98", dropout="0.1", steps=2000
    ),
    "LSTM": MODELS["LSTM"] | ADAM | dict(steps=2500),
    "MLP": MODELS["MLP"] | ADAM | dict(steps=60_000),
    "ResNet": MODELS["ResNet"] | ADAM | dict(steps=60_000),
}
SHORT = ARMS | {"Transformer": ARMS["Transformer"] | dict(steps=750)}
PAPER = DATA | dict(
    variant=labelled(*ARMS.items()), modulus="47,97", train_fraction="0.3", num_seeds="5", eval_at="log:100"
)
QUICK = PAPER | dict(variant=labelled(*SHORT.items()), num_seeds="2")
SMALL = QUICK | dict(num_seeds="6")

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/fitting-{preset}.npz")
