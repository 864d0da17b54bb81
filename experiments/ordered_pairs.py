"""x+y mod p on ordered rows x1 <= x2 against all rows, with controls for what else differs between them.

Claim: PKU-12. Source: the PKU study, figure 7: modulus 97, 4,753 ordered rows against 9,409, AdamW 5e-4 with decay 1,
batch 1,024, 50,000 epochs on ordered rows and 5,000 on all, train fractions .3, .5 and .7.

All rows at the same fraction are twice as many, and hold both orders of a pair, of which one may train and the other
validate. So two controls are ours: all rows with as many of them training as in the ordered set, and all rows split by
unordered pair.

  --preset=quick   modulus 31, fraction .7, batches of 64, one seed, up to 10,000 steps: leaves out fractions .3 and .5;
                   a run ends once validation accuracy has held 99 %
  --preset=small   the same with six seeds, for verdicts
  --preset=paper   the source's grid and the controls, 5 seeds
  --preset=claim   the same with ten seeds

Pilot (seed 100), modulus 47, fraction .7, batches of 256, 6,000 steps, 4.2 minutes with AVX-512 (some ten without, so
quick has 31). Steps to 99 % training and validation: ordered 332 and 4,467, all 395 and 1,328, split by pair 395 and
3,158; as many of all 235 and not within 6,000 (92 %).

Took (quick): 7.1 minutes on two cores of an AMD EPYC (AVX2). Steps to 99 % validation: all rows 2,656, split by pair
5,793; ordered rows (85 %) and as many of all (72 %) not within 10,000. (small): 11 minutes more, with AVX-512. Medians
of six seeds: all rows 2,776, split by pair 6,055; ordered rows got there in three of six, as many of all in none (41 to
90 %): ordered rows grok later than all, and at equal numbers perhaps sooner (log-rank p .055).

Command: `python experiments/ordered_pairs.py`, then `python figures/ordered_pairs.py`.
"""

from pku import SHORT, TRANSFORMER, labelled

from grokjax.command import main


def arms(modulus: int, fraction: float, **budget) -> list[tuple[str, dict]]:
    """Ordered rows, all rows and both controls at one train fraction."""
    ordered_rows = int(modulus * (modulus + 1) // 2 * fraction)
    share = round(ordered_rows / modulus**2, 6)
    base = dict(modulus=modulus, ordered="false", split_by="row", train_fraction=fraction)
    kinds = {
        "ordered": dict(ordered="true"),
        "all": {},
        "all, as many rows": dict(train_fraction=share),
        "all, split by pair": dict(split_by="pair"),
    }
    return [
        (f"{kind}, alpha={fraction}", base | changed | {n: v[kind == "ordered"] for n, v in budget.items()})
        for kind, changed in kinds.items()
    ]


SHARED = TRANSFORMER | dict(learning_rate="5e-4", eps="1e-9")
QUICK = SHARED | SHORT | dict(variant=labelled(*arms(31, 0.7)), batch_size="64", num_seeds="1", steps="10000")
SMALL = QUICK | dict(num_seeds="6")
PAPER = SHARED | dict(
    variant=labelled(*(arm for alpha in (0.3, 0.5, 0.7) for arm in arms(97, alpha, epochs=(5_000, 50_000)))),
    batch_size="1024",
    num_seeds="5",
)

if __name__ == "__main__":
    presets = {"quick": QUICK, "small": SMALL, "paper": PAPER, "claim": PAPER | dict(num_seeds="10")}
    main(doc=__doc__, presets=presets, out="results/ordered_pairs-{preset}.npz")
