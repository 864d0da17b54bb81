"""MLP and ResNet on x+y mod 97, over learning rate and batch: do they grok only with smaller ones?

Claim: PKU-17, and modulus 97 of PKU-5. Source: the PKU study's text on figure 3, which gives no values; the arms are
ours: learning rate 7e-4, 3e-4 and 1e-4, batch 80 and 40, the budget 5,000 epochs.

  --preset=quick   fraction .3, learning rate 7e-4 and 1e-4, one seed, 1,000 epochs: leaves out the middle rate
  --preset=paper   fractions .3, .5 and .7, all rates, 5 seeds
  --preset=claim   the same with ten seeds

Took (quick): 3.6 minutes on two cores of an AMD EPYC (AVX2). No training set was memorised; at 7e-4 validation follows
training up to 83 to 94 %, at 1e-4 1,000 epochs are too few for either.

Command: `python experiments/step_and_batch.py`, then `python figures/step_and_batch.py`.
"""

from architectures import SHARED

from grokjax.command import main

PAPER = SHARED | dict(
    modulus="97",
    model="mlp,resnet",
    learning_rate="7e-4,3e-4,1e-4",
    batch_size="80,40",
    train_fraction="0.3,0.5,0.7",
    num_seeds="5",
    epochs="5000",
)
QUICK = PAPER | dict(learning_rate="7e-4,1e-4", train_fraction="0.3", num_seeds="1", epochs="1000")

if __name__ == "__main__":
    presets = {"quick": QUICK, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/step_and_batch-{preset}.npz")
