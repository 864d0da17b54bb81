"""RMSprop and Adam, each with and without momentum, at equal learning rates: is RMSprop slower for want of it?

Claim: PKU-9. Source: the PKU study's explanation of figure 4; the test is ours. In PyTorch's RMSprop momentum adds up
directions, so .9 also makes steps up to ten times longer; Adam's b1 averages them.

  --preset=quick   modulus 31, fraction .8, batches of 64, learning rate 5e-4, two seeds, up to 3,000 steps; a run ends
                   once validation accuracy has held 99 %
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   modulus 97, fraction .8, batch 1,024, 1,000 epochs, learning rate 5e-4 and 1e-3, 5 seeds
  --preset=claim   the same with ten seeds

Took (quick): 4.2 minutes on two cores of an AMD EPYC (AVX2). Nothing reached 99 % validation; the highest accuracies
of the two seeds were 75 and 83 % for RMSprop, 73 and 83 % for Adam without, 72 and 83 % with b1 .9; RMSprop with
momentum .9 did not train. (small): 3.4 minutes more, with AVX-512, and the same of six seeds: 75 to 83 % for
RMSprop, 73 to 83 and 72 to 83 % for Adam, 5 % for RMSprop with momentum. Without decay or dropout no run generalises,
so the times that the claim is about are not to be had at this size.

Command: `python experiments/momentum.py`, then `python figures/momentum.py`.
"""

from pku import DATA, SHORT, labelled

from grokjax.command import main

ARMS = labelled(
    ("RMSprop", dict(optimizer="rmsprop", momentum="0")),
    ("RMSprop, momentum .9", dict(optimizer="rmsprop", momentum="0.9")),
    ("Adam, b1 0", dict(optimizer="adam", b1="0")),
    ("Adam, b1 .9", dict(optimizer="adam", b1="0.9")),
)
SHARED = DATA | dict(model="encoder_decoder", variant=ARMS, train_fraction="0.8")
QUICK = SHARED | SHORT | dict(modulus="31", batch_size="64", learning_rate="5e-4", num_seeds="2", steps="3000")
SMALL = QUICK | dict(num_seeds="6")
PAPER = SHARED | dict(modulus="97", batch_size="1024", learning_rate="5e-4,1e-3", num_seeds="5", epochs="1000")

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/momentum-{preset}.npz")
