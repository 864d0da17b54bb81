"""Ten skip trigrams, from 60 rows and from endless ones: the loss of each trigram and their total over steps.

Claims: NANDA-10, NANDA-14. Source: the NANDA study's appendix on phase changes in other tasks: a trigram is a first
token somewhere in the row, whatever lies between, and '=', after which its answer is due; one layer of attention only,
as the source says, of the width of `repeated_subsequence`. All sizes of the data are ours. Trigram i occurs in
proportion to 1/i, so that they are learned one after the other. All of the finite rows are one batch.

Pilots (seed 100): from 512 rows in batches of 128 the trigrams are learned at steps 130 to 230, test loss and training
loss together, just as from endless ones. In one batch, 160 rows do the same; of 80 the test loss is .48 when they are
memorised, at step 193, and .07 at 2,000; of 40 it rises from 2.0 then to 5.3 at 4,000, for the rarest trigrams are
hardly among them. Quick and the study's own size have 60.
"""

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.nanda.sequences import ADAMW, ATTENTION_ONLY, finite_and_endless
from grokjax.study import Arm, Experiment, Preset

CONFIG = gj.Config(
    task=gj.tasks.SkipTrigram(exponent=1.0),
    model=ATTENTION_ONLY,
    optimizer=ADAMW,
    batch_size=128,
    metrics=("parts",),
    eval_at="log:300",
)


def arms(rows: int, steps: int, endless_steps: int) -> tuple[Arm, ...]:
    """Finite and endless rows.

    Args:
      rows: that finite data have.
      steps, endless_steps: on finite and on endless data.
    """
    finite = dict(batch_rule="full", steps=steps)
    return finite_and_endless("rows", rows, finite, dict(steps=endless_steps))


PAPER = Preset(CONFIG, axes={"seed": range(1)}, arms=arms(60, 20_000, 2000)).but(
    num_layers=1,
    examples=1084,
    size="ten trigrams in rows of 16 tokens of 128: 60 rows for 20,000 steps and endless ones for 2,000, one seed",
)
QUICK = PAPER.but(arms=arms(60, 6000, 800), size="the same for 6,000 and 800 steps")

EXPERIMENT = Experiment(
    name="nanda/skip_trigram",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
