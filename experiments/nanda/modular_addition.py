"""Grokking of a one-layer transformer on x+y mod 113: its phases, its key frequencies, and progress before the drop.

Claims: NANDA-1, NANDA-2, NANDA-3, NANDA-4, NANDA-5, NANDA-6, NANDA-11. Source: Nanda et al. 2023, arXiv:2301.05217,
figures 2 to 7: train and test loss and accuracy, Fourier norms of the embedding, heat maps of neurons and attention,
restricted and excluded loss over training.

`part` is the source's own setting with six seeds. The source trains for 40,000 steps; here a run ends once the test
loss is 1e-6, or after 20,000 steps. By then it has fallen by a factor of 10^7 from its peak; the source ends its runs
over the amount of data at 3e-6. What goes on after that, such as the pruning of neurons (NANDA-5), is cut short. It
memorises sooner than the source, whose training accuracy reaches 100 % near step 1,400, and generalises about as late.

Pilots of `quick` (seed 100, not judged), modulus 53, width 64, rate 3e-3: at fraction .4 memorised after 100 steps,
99 % test accuracy after 3,140, and three key frequencies at the end; at .35 memorised after 80 steps, and at 15 % test
accuracy after 3,480, where that pilot ended.
"""

from grokjax.cli import run
from grokjax.experiments.nanda.common import ADDITION, SMALLER
from grokjax.experiments.nanda.measures import measure
from grokjax.study import Experiment, Preset

PAPER = Preset(
    ADDITION,
    axes={"seed": range(5)},
    size="the source's own: modulus 113, five seeds, 40,000 steps",
    snapshots=100,
)
QUICK = PAPER.but(
    **SMALLER,
    seed=range(2),
    steps=6000,
    eval_at="every:20",
    size="modulus 53, fraction .4, width 64, rate 3e-3, two seeds, 6,000 steps",
)

EXPERIMENT = Experiment(
    name="nanda/modular_addition",
    doc=__doc__,
    measure=measure,
    presets={
        "quick": QUICK,
        "small": QUICK.but(seed=range(6), size="the same with six seeds, for verdicts"),
        "part": PAPER.but(
            seed=range(6),
            steps=20_000,
            stop_loss=1e-6,
            size="the source's own setting, six seeds; a run ends once the test loss is 1e-6, or after 20,000 steps",
        ),
        "paper": PAPER,
        "claim": PAPER.but(seed=range(10), size="the same with ten seeds"),
    },
)


if __name__ == "__main__":
    run(EXPERIMENT)
