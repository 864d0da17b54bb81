"""A random subsequence that repeats, in 512 sequences and in endless ones: loss of the repeated tokens over steps.

Claims: NANDA-9, NANDA-10. Source: the NANDA study's appendix on phase changes in other tasks: two layers of attention
only, width 48, 85 tokens of 128, a subsequence of 16 that stands three times, AdamW 1e-3 with decay 1 and betas .9 and
.999, batches of 128; 512 sequences for 10^5 steps, endless ones for 6,000. Scored are the second and later tokens of
the second and third occurrence, that is what a perfect model can know. The source does not say where the occurrences
lie (here anywhere, all disjoint placements being equally likely) nor which tokens it scores.

Pilot (seed 100), 32 tokens of 32 ids, a subsequence of 8, width 32: from 512 sequences the test loss fell with the
training loss and never rose, to 1.4 by step 2,800 and to .55 in a second drop at 3,000; from endless ones it stayed at
1.25 from step 1,500 to the end at 3,000. In 32 tokens a fixed distance often finds the earlier occurrence. Hence longer
and fewer sequences, and more steps, in quick.
"""

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.nanda.sequences import ADAMW, ATTENTION_ONLY, finite_and_endless
from grokjax.study import Arm, Experiment, Preset

CONFIG = gj.Config(
    task=gj.tasks.RepeatedSubsequence(),
    model=ATTENTION_ONLY,
    optimizer=ADAMW,
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
QUICK = PAPER.but(
    vocabulary=32,
    sequence_length=64,
    subsequence=8,
    width=32,
    batch_size=32,
    arms=arms(128, 10_000, 5000),
    eval_at="log:150",
    size=(
        "64 tokens of 32, a subsequence of 8 that stands three times, width 32: 128 sequences for 10,000 steps and"
        " endless ones for 5,000, one seed"
    ),
)

EXPERIMENT = Experiment(
    name="nanda/repeated_subsequence",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "endless": PAPER.but(
            arms=[ENDLESS],
            seed=range(6),
            eval_at="every:40",
            size="endless sequences, six seeds, 6,000 steps, evaluated every 40: leaves out the 512 sequences",
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
