"""Grokking of the Transformer on x+y mod p over its width: does a stronger model grok more strongly?

Claim: PKU-15. Source: the PKU study's discussion; the sweep is ours, with the settings of `modular_addition`. A run
ends once validation accuracy has held 99 %.

  --preset=quick   modulus 31, fraction .5, batches of 64, widths 32, 64 and 128, three seeds, up to 6,000 steps: leaves
                   out width 256
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   modulus 97, fraction .3, widths 32 to 256, 5 seeds, 5,000 epochs
  --preset=claim   the same with ten seeds

Took (quick): 5.2 minutes on two cores of an AMD EPYC (AVX2). Median steps to 99 % training and validation: width 32
5,793 and never, 64 512 and 3,158, 128 181 and 3,158. (small): 1.9 minutes more, with AVX-512. Width 32 4,618 and never
(two of six), 64 491 and 3,027, 128 181 and 3,027: the wider memorises sooner and generalises no sooner.

Command: `python experiments/width.py`, then `python figures/width.py`.
"""

from pku import SHORT, TRANSFORMER

from grokjax.command import main

QUICK = TRANSFORMER | SHORT | dict(modulus="31", train_fraction="0.5", width="32,64,128", num_seeds="3")
QUICK |= dict(batch_size="64", steps="6000")
SMALL = QUICK | dict(num_seeds="6")
PAPER = TRANSFORMER | dict(modulus="97", train_fraction="0.3", width="32,64,128,256", num_seeds="5")
PAPER |= dict(batch_size="256", epochs="5000", stop_accuracy="0.99")

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/width-{preset}.npz")
