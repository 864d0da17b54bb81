"""Grokking of LSTM, MLP and ResNet on x+y mod p: accuracy over epochs.

Claims: PKU-2, PKU-4. Source: the PKU study, figure 3. Its MLP and ResNet pool the operands' embeddings, so they cannot
tell (a, b) from (b, a): a network that merely memorises is right on the swaps of its training rows. The accuracy on
validation rows whose swap was not trained on is kept as `unswapped_accuracy`.

The budget of MLP and ResNet is given by the source as 100,000 epochs at fraction .3, otherwise 30,000, 20,000 or
5,000, without saying where; here 30,000 at .5 and 20,000 at .7. Modulus 97 of these two is in `step_and_batch`.

  --preset=quick   modulus 47, fraction .5: LSTM up to 3,000 epochs, MLP and ResNet 10,000, two seeds; a run ends once
                   validation accuracy has held 99 %: leaves out fraction .3, on which an LSTM takes 12,000 epochs, and
                   modulus 97
  --preset=small   the same with six seeds, for verdicts
  --preset=part    modulus 47, fraction .3, two seeds: 14 minutes on two cores with AVX-512; runs end as in quick
  --preset=paper   the source's grid, 5 seeds; --variant='LSTM, p=47, alpha=0.3' runs one cell of it
  --preset=text    the ResNet as the text reads, each block with a matrix of its own, modulus 47
  --preset=claim   the paper's grid with ten seeds

Pilots (seed 100, fraction .5): LSTM at modulus 31 did not generalise in 3,000 epochs (56 % of validation rows), at 47
after 974; MLP and ResNet at modulus 47, batch 80, after 17,867 and 6,889 steps; in full batches MLP after 9,742,
ResNet not in 10,000.

Took (quick): 5.6 minutes beside other work; (small): 11.5 minutes, on two cores of an AMD EPYC (AVX2). Median steps to
99 % training and validation of the six seeds: LSTM 304 and 5,312 (all six), MLP 3,170 and 54,631 (four), ResNet 2,435
and 43,938 (five). (part): 14 minutes on two cores with AVX-512. LSTM memorised after 197 and generalised after 32,832
steps (10,944 epochs); MLP (8,316 steps) and ResNet (1,722) stopped at 34 and 83 % validation, where the source's
recorded runs of both stop near 80 to 90 %.

Command: `python experiments/architectures.py`, then `python figures/architectures.py`.
"""

from pku import DATA, SHORT, labelled

from grokjax.command import main

MODELS = {
    "LSTM": dict(model="lstm", learning_rate="1e-3", batch_size="256"),
    "MLP": dict(model="mlp", learning_rate="7e-4", batch_size="80"),
    "ResNet": dict(model="resnet", learning_rate="7e-4", batch_size="80"),
}
LONG = {0.3: 100_000, 0.5: 30_000, 0.7: 20_000}
EPOCHS = {
    ("LSTM", 47): {0.3: 30_000, 0.5: 5_000, 0.7: 5_000},
    ("LSTM", 97): {0.3: 30_000, 0.5: 5_000, 0.7: 5_000},
    ("MLP", 47): LONG,
    ("ResNet", 47): LONG,
}
SHARED = DATA | dict(b1="0.96", b2="0.99", metrics="unswapped_accuracy")


def cell(model: str, modulus: int, fraction: float, epochs: int) -> tuple[str, dict]:
    """One cell of the grid, labelled."""
    label = f"{model}, p={modulus}, alpha={fraction}"
    return label, MODELS[model] | dict(modulus=modulus, train_fraction=fraction, epochs=epochs)


QUICK = SHARED | SHORT | dict(num_seeds="2")
QUICK |= dict(
    variant=labelled(cell("LSTM", 47, 0.5, 3_000), cell("MLP", 47, 0.5, 10_000), cell("ResNet", 47, 0.5, 10_000))
)
PAPER = SHARED | dict(
    variant=labelled(
        *(cell(model, modulus, alpha, n) for (model, modulus), of in EPOCHS.items() for alpha, n in of.items())
    ),
    num_seeds="5",
)

if __name__ == "__main__":
    part = dict(variant=labelled(*(cell(model, 47, 0.3, EPOCHS[model, 47][0.3]) for model in MODELS)), num_seeds="2")
    text = dict(variant=labelled(*(cell("ResNet", 47, alpha, n) for alpha, n in LONG.items())), shared="false")
    presets = {
        "quick": QUICK,
        "small": QUICK | dict(num_seeds="6"),
        "part": PAPER | part | SHORT,
        "paper": PAPER,
        "text": PAPER | text,
        "claim": PAPER | dict(num_seeds="10"),
    }
    main(doc=__doc__, presets=presets, out="results/architectures-{preset}.npz")
