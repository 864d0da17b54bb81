"""Grokking of a Transformer on x+y mod p, over modulus and train fraction: accuracy and loss over epochs.

Claims: PKU-1, PKU-2, PKU-3, PKU-14 (see REPORT.md). Source: the PKU study, figures 1 and 2: modulus 47 and 97, train
fraction .3, .5 and .7, AdamW 1e-3 with decay 1, dropout .1, batch 256.

  --preset=quick   modulus 23 and 31, one seed, up to 8,000 steps; batches of 64, so that an epoch of these small tables
                   still has several: leaves out modulus 47 and 97, and what happens after the end of a run
  --preset=small   the same with six seeds, for verdicts
  --preset=part    the source's modulus 47 with six seeds
  --preset=paper   the source's grid; --modulus=47 runs half of it, --zero_is_padding masks token 0 as its code does
  --preset=claim   the same with the ten seeds that verdicts are given on

In quick, small and part a run ends once validation accuracy has held 99 %.

Pilots (seeds 100 and 101, not among those judged), modulus 31: with batches of 256, 5,000 steps, fraction .3 memorised
after 83 steps and did not generalise; .5: 70 and 3,027 steps; .7: 108 and 1,548. With batches of 64, 8,000 steps: .3:
99 and 6,889; .5: 173 and 4,096; .7: 292 and 2,332.

Took (quick): 7.4 minutes on two cores of an AMD EPYC (AVX2). Steps to 99 % training and validation: modulus 31 at .5
181 and 2,656, at .7 304 and 1,579; modulus 23 at .7 140 and 2,896; at .3 neither generalised, modulus 23 at .5 ended
at 95 %.
(small): 12.1 minutes more, with AVX-512. Medians of six seeds: modulus 31 at .5 181 and 2,776, at .7 332 and 1,454;
modulus 23 at .5 112 and never (two of six), at .7 140 and 3,301 (five); at .3 none of twelve. At an equal share the
smaller modulus groks more, at equal rows (`equal_rows`) in five of six pairs less.
Took (part): 23.7 minutes for three seeds with AVX2, 8.3 for three more with AVX-512. Median steps to 99 % training and
validation, six seeds, all of which generalised: .3 99 and 6,055 (2,018 epochs, where the source's figure reads about
1,900), .5 172 and 1,779, .7 273 and 773.

Command: `python experiments/modular_addition.py`, then `python figures/modular_addition.py`.
"""

from pku import SHORT, TRANSFORMER

from grokjax.command import main

SHARED = TRANSFORMER | dict(train_fraction="0.3,0.5,0.7")
QUICK = SHARED | SHORT | dict(modulus="23,31", num_seeds="1", batch_size="64", steps="8000")
PAPER = SHARED | dict(
    modulus="47,97", num_seeds="5", batch_size="256", epochs="5000,500,500", zip="train_fraction,epochs"
)

if __name__ == "__main__":
    presets = {
        "quick": QUICK,
        "small": QUICK | dict(num_seeds="6"),
        "part": PAPER | dict(modulus="47", num_seeds="6", stop_accuracy="0.99"),
        "paper": PAPER,
        "claim": PAPER | dict(num_seeds="10"),
    }
    main(doc=__doc__, presets=presets, out="results/modular_addition-{preset}.npz")
