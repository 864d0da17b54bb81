"""What the experiments on sequences share: their models, their optimizers, finite and endless data.

On *finite* data a run sees the same rows again and again, and is tested on others. On *endless* data every batch is
drawn new: nothing can be memorised, and there is one loss, that on rows it has not seen.
"""

import grokjax as gj
from grokjax.study import Arm

ADDER = gj.models.Decoder(num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda")
"""The decoder of the study's modular addition: one layer of width 128 with 512 hidden units, no LayerNorm."""

ATTENTION_ONLY = gj.models.Decoder(
    num_layers=2, width=48, mlp_width=0, norm="none", positions="learned", init_scheme="nanda"
)
"""Layers of attention and nothing else, of width 48 with four heads."""

ADAMW = gj.optimizers.AdamW(b2=0.999)
"""Learning rate 1e-3, decay 1, betas .9 and .999."""


def finite_and_endless(
    what: str, rows: int, finite: dict, endless: dict, mark: str = "", note: str = ""
) -> tuple[Arm, ...]:
    """The arm that trains on some rows again and again, and the arm whose batches are all new.

    Args:
      what: the rows are, in the plural, for the labels.
      rows: that finite data have; on endless data the others are what the loss is measured on as well.
      finite, endless: the settings of each arm, its steps among them.
      mark, note: what both ids and labels end in.
    """
    rows_of_both = dict(train_rows=rows)
    return (
        Arm(f"finite{mark}", f"{rows} {what}{note}", finite | rows_of_both),
        Arm(f"endless{mark}", f"endless {what}{note}", dict(batch_rule="stream") | endless | rows_of_both),
    )
