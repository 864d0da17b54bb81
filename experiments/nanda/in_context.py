"""Learning from the context by one, two and three layers of attention: the in-context score over steps.

Claim: NANDA-13. Source: the NANDA study's slides, after Olsson et al. 2022, arXiv:2209.11895: stacks of two layers and
more go through a phase change, one layer does not. The data are the endless ones of `repeated_subsequence`, with its
weight decay, and every next token is scored. The in-context score is the loss late in the sequence, at positions 66 to
75, less that early in it, at 6 to 15, where nothing can have repeated yet; the source does not give its positions, and
shorter sequences are read at the same shares of their length. A model that copies every repeated token perfectly has a
score of about -3 nats.

Smaller tasks show less. Pilots (seed 100, weight decay 1), width 32, 32 token ids: in 32 tokens, of which the three
occurrences take 24, all three depths fell alike, by .6 nats around step 1,000 and to -.95 at 5,000: there the
occurrences hardly move, and one layer copies from a fixed distance. In 64 tokens (seed 0) no depth had learned to copy
after 5,000 steps. So quick has the source's own size, and leaves out three layers, which change phase later than two.
"""

import dataclasses

from grokjax.cli import run
from grokjax.experiments.nanda import repeated_subsequence
from grokjax.study import Experiment, Preset, sizes

CONFIG = dataclasses.replace(repeated_subsequence.CONFIG, metrics=("per_answer",))
PAPER = Preset(CONFIG, axes={"num_layers": [1, 2, 3], "seed": range(1)}).but(
    scored="all",
    examples=512,
    batch_rule="stream",
    steps=6000,
    eval_at="log:120",
    size="1, 2 and 3 layers, endless sequences of 85 tokens, 6,000 steps, one seed",
)
QUICK = PAPER.but(
    num_layers=[1, 2],
    steps=3000,
    eval_at="log:100",
    size="1 and 2 layers, endless sequences of 85 tokens, 3,000 steps, one seed",
)

EXPERIMENT = Experiment(
    name="nanda/in_context",
    doc=__doc__,
    presets=sizes(QUICK, PAPER) | {"part": PAPER.but(seed=range(6), size="the source's setting with six seeds")},
)


if __name__ == "__main__":
    run(EXPERIMENT)
