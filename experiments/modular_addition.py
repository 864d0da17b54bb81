"""Grokking of a Transformer on x+y mod p, over modulus and train fraction: accuracy and loss over epochs.

Claims: PKU-1, PKU-2, PKU-3, PKU-14 (see REPORT.md). Source: the PKU study, figures 1 and 2: modulus 47 and 97, train
fraction .3, .5 and .7, AdamW 1e-3 with decay 1, dropout .1, batch 256.

  --preset=quick   modulus 31 and 47, one seed, every run 6,000 steps: leaves out modulus 97 and gives every fraction
                   the same budget, where the source has 5,000 epochs at .3 and 500 otherwise.
  --preset=paper   the source's grid; --modulus=47 runs half of it, --zero_is_padding masks token 0 as its code does
  --preset=claim   the same with the ten seeds that verdicts are given on

Pilots (seeds 100 and 101, not among those judged): modulus 31 with the quick preset's settings, 5,000 steps: fraction
.3 memorised after 83 steps and did not generalise; .5: 70 and 3,027 steps; .7: 108 and 1,548.

Command: `python experiments/modular_addition.py`, then `python figures/modular_addition.py`.
"""

from pku import TRANSFORMER

from grokjax.sweeps.flags import main

QUICK = TRANSFORMER | dict(modulus="31,47", train_fraction="0.3,0.5,0.7", num_seeds="1", batch_size="256", steps="6000")
PAPER = QUICK | dict(modulus="47,97", num_seeds="5", epochs="5000,500,500", zip="train_fraction,epochs")
del PAPER["steps"]

if __name__ == "__main__":
    presets = {"quick": QUICK, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/modular_addition-{preset}.npz")
