"""The control for PKU-3: two moduli with as many training rows, not the same share of the table.

A smaller modulus at the same train fraction has fewer training rows. Whether it groks more for being smaller or for
having fewer rows is seen where the rows are equal. Source: the PKU study's claim on figures 1 to 3; the control is
ours. The rest is `modular_addition`.

  --preset=quick   modulus 23 and 31 with 370 rows (fractions .7 and .385), batches of 64, 3 seeds, up to 8,000 steps; a
                   run ends once validation accuracy has held 99 %
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   modulus 47 and 97 with 1,546 rows (fractions .7 and .164), 5 seeds, 15,000 steps
  --preset=claim   the same with ten seeds

Took (quick): 5.8 minutes on two cores of an AMD EPYC (AVX2). Median steps to 99 % training and validation: modulus 23
140 and 2,896 (2 of 3 seeds), modulus 31 117 and 4,871 (3 of 3). (small): 2.5 minutes more, with AVX-512. Six seeds:
140 and 3,027, 128 and 5,552, five of six generalised at each; in five of six pairs the larger modulus groks more, so
the interval is without bounds.

Command: `python experiments/equal_rows.py`, then `python figures/equal_rows.py`.
"""

from pku import SHORT, TRANSFORMER

from grokjax.command import main

QUICK = TRANSFORMER | SHORT | dict(modulus="23,31", train_rows="370", num_seeds="3", batch_size="64", steps="8000")
SMALL = QUICK | dict(num_seeds="6")
PAPER = TRANSFORMER | dict(modulus="47,97", train_rows="1546", num_seeds="5", batch_size="256", steps="15000")

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/equal_rows-{preset}.npz")
