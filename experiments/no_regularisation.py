"""The Transformer on x+y mod p with neither weight decay nor dropout, for 10^5 steps: does it generalise in the end?

Claim: PKU-16. Source: the PKU study's discussion of what regularisation is needed for; the run is ours. In float32 the
loss of a fitted row becomes exactly 0 ("softmax collapse"), and then nothing more is learned: `train_softmax_collapse`
is the share of such rows, and the same runs with a loss in float64 beside them tell how much hangs on that.

  --preset=quick   modulus 31, fraction .7, batches of 64, two seeds, 15,000 steps, loss in float32 only: 15 %
                   of the steps
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   modulus 97, fraction .5, batch 256, 5 seeds, 10^5 steps, loss in float32 and float64
  --preset=claim   the same with ten seeds

Took (quick): 5.1 minutes on two cores of an AMD EPYC (AVX2). Memorised after 182 steps; 67 and 80 % validation and
still rising after 15,000 steps, when 60 and 53 % of the training rows had a loss of exactly 0. (small): 3.7 minutes
more, with AVX-512; of six seeds none got there: 65 to 80 %, with 53 to 93 % of the training rows at a loss of 0.

Command: `python experiments/no_regularisation.py`, then `python figures/no_regularisation.py`.
"""

from pku import DATA

from grokjax.command import main

SHARED = DATA | dict(
    model="encoder_decoder", optimizer="adam", learning_rate="1e-3", stop_accuracy="0.99", metrics="softmax_collapse"
)
QUICK = SHARED | dict(modulus="31", train_fraction="0.7", batch_size="64", num_seeds="2", steps="15000")
SMALL = QUICK | dict(num_seeds="6")
PAPER = SHARED | dict(
    modulus="97",
    train_fraction="0.5",
    batch_size="256",
    loss_dtype="float32,float64",
    num_seeds="5",
    steps="100000",
)

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/no_regularisation-{preset}.npz")
