"""Addition of 5-digit numbers, from 700 sums and from endless ones: the loss of each digit of the answer over steps.

Claims: NANDA-9, NANDA-10. Source: the NANDA study's appendix on phase changes in other tasks, and its slides: one layer
of width 128, 18 tokens a row (5 + 1 + 5 + 1 + 6), 700 sums in one batch against endless ones. The slides word the sum
without carry, each digit modulo 10; those are arms of their own. For learning rate, decay and the batches of endless
data the source gives no numbers: 1e-3 and 1 as in the modular addition, and 256. The 1,000 sums that the loss is
measured on, of finite and of endless data, are the same. With 700 sums the loss is computed in float64.

Pilots (seed 100), 3-digit sums, width 64: 200 sums were memorised by step 200, the test loss rose from 2.6 to 14 by
step 1,500 and stayed there to the end at 8,000; `number_of_sums` has what more sums did, and quick has 500. On endless
sums the loss of the leading digit fell at steps 60 to 120, of the hundreds at 120 to 300, of the ones at 220 to 400,
of the tens at 480 to 600.
"""

import grokjax as gj
from grokjax.cli import run
from grokjax.experiments.nanda.sequences import ADDER, finite_and_endless
from grokjax.study import Arm, Experiment, Preset

CONFIG = gj.Config(
    task=gj.tasks.Digits(examples=1700),
    model=ADDER,
    optimizer=gj.optimizers.AdamW(),
    batch_size=256,
    metrics=("per_answer",),
    eval_at="log:200",
)


def arms(rows: int, steps: int, endless_steps: int) -> tuple[Arm, ...]:
    """Finite and endless sums, with and without carry.

    Args:
      rows: that finite data have.
      steps, endless_steps: on finite and on endless data.
    """
    finite = dict(batch_rule="full", loss_dtype="float64", steps=steps)
    endless = dict(loss_dtype="float32", steps=endless_steps)
    carried, plain = dict(carry=True), dict(carry=False)
    return (
        *finite_and_endless("sums", rows, finite | carried, endless | carried),
        *finite_and_endless("sums", rows, finite | plain, endless | plain, "-no-carry", ", no carry"),
    )


PAPER = Preset(CONFIG, axes={"seed": range(1)}, arms=arms(700, 40_000, 10_000)).but(
    size="700 and endless 5-digit sums, with and without carry, one seed each as in the source",
)
FINITE, ENDLESS, FINITE_NO_CARRY, ENDLESS_NO_CARRY = arms(700, 15_000, 8000)
QUICK = PAPER.but(
    digits=3,
    width=64,
    examples=1500,
    arms=arms(500, 8000, 1500)[:2],
    eval_at="log:150",
    size="3-digit sums with carry, width 64, 500 sums for 8,000 steps and endless ones for 1,500, one seed",
)

EXPERIMENT = Experiment(
    name="nanda/digits",
    doc=__doc__,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "endless": PAPER.but(
            arms=[ENDLESS],
            seed=range(6),
            eval_at="every:40",
            size="endless 5-digit sums with carry, six seeds, 8,000 steps, evaluated every 40: leaves out the rest",
        ),
        "part": PAPER.but(
            arms=[FINITE, FINITE_NO_CARRY],
            size="700 sums with and without carry, one seed, 15,000 steps",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
