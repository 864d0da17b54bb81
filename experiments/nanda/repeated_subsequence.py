"""A random subsequence that repeats, in 512 sequences and in endless ones: loss of the repeated tokens over steps.

Claims: NANDA-9, NANDA-10. Source: the NANDA study's appendix on phase changes in other tasks: two layers of attention
only, width 48, 85 tokens of 128, a subsequence of 16 that stands three times, AdamW 1e-3 with betas .9 and .999,
batches of 128; 512 sequences for 10^5 steps, endless ones for 6,000. Scored are the second and later tokens of the
second and third occurrence, that is what a perfect model can know. The source does not say where the occurrences
lie (here anywhere, all disjoint placements being equally likely) nor which tokens it scores.

Weight decay is .1. With 1, as the source states it, the loss on endless sequences stands at 1.4 to 2.5 from step 3,000
on (preset `stated`), and that of 512 training sequences is 2.5 at step 5,800 and hardly falls (two seeds), where the
source has .33 at the end and less than 1 near step 2,065. Pilots (seed 100): endless sequences end at .32 with decay .3
and at .30 with .1, after 4,000 steps; 512 sequences are at 1.17 and .90 after 2,400, and below 1 first near 2,200 with
.1. Other placements fit no better, at decay 1: occurrences side by side, or at fixed places, are learned by step 500
from 512 sequences, without any grokking; one in each third of the sequence, the loss on endless ones stands at 2.1; and
tokens that are all different give 2.85 after 2,500 steps of 512 sequences, and 1.09 to 1.43 on endless ones.

Pilot of a smaller task (seed 100, decay 1), 32 tokens of 32 ids, a subsequence of 8, width 32: from 512 sequences the
test loss fell with the training loss and never rose: in 32 tokens a fixed distance often finds the earlier occurrence.
Hence quick has the source's own size and fewer steps: the fall on endless sequences, and how 512 are memorised.
"""

import dataclasses

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.nanda.sequences import ADAMW, ATTENTION_ONLY, finite_and_endless
from grokjax.study import Arm, Experiment, Preset

CONFIG = gj.Config(
    task=gj.tasks.RepeatedSubsequence(),
    model=ATTENTION_ONLY,
    optimizer=dataclasses.replace(ADAMW, weight_decay=0.1),
    batch_size=128,
    metrics=("token_accuracy",),
    eval_at="log:200",
)


def arms(rows: int, steps: int, endless_steps: int) -> tuple[Arm, ...]:
    """Finite and endless sequences.

    Args:
      rows: that finite data have.
      steps, endless_steps: on finite and on endless data.
    """
    finite = dict(batch_rule="shuffled", steps=steps)
    return finite_and_endless("sequences", rows, finite, dict(steps=endless_steps))


PAPER = Preset(CONFIG, axes={"seed": range(1)}, arms=arms(512, 100_000, 6000)).but(
    size="512 sequences for 100,000 steps and endless ones for 6,000, one seed each as in the source",
)
FINITE, ENDLESS = PAPER.arms
SIX_ENDLESS = PAPER.but(
    arms=[ENDLESS],
    seed=range(6),
    eval_at="every:40",
    size="endless sequences, six seeds, 6,000 steps, evaluated every 40: leaves out the 512 sequences",
)
QUICK = PAPER.but(
    arms=arms(512, 4000, 2000),
    eval_at="log:100",
    size="the source's own size, one seed: 512 sequences for 4,000 steps, which memorise, endless ones for 2,000",
)

EXPERIMENT = Experiment(
    name="nanda/repeated_subsequence",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "endless": SIX_ENDLESS,
        "stated": SIX_ENDLESS.but(
            weight_decay=1.0,
            size="endless sequences with weight decay 1, as the source states it, six seeds, 6,000 steps",
        ),
        "part": PAPER.but(
            arms=[FINITE],
            seed=range(2),  # which take two cores as long as one
            size="512 sequences, two seeds, 100,000 steps: leaves out the endless ones",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
