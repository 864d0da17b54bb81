"""What computes the answers: Flax Linen modules, tokens [batch, length] -> logits [batch, answers, classes]."""

import dataclasses

from grokjax.models.decoder import Decoder
from grokjax.tasks.table import Table

__all__ = ["MODELS", "Decoder", "fitted"]

MODELS = {"decoder": Decoder}
"""Models by the name the command line uses."""


def fitted(model, table: Table):
    """`model` with what it declares and leaves None filled in from the table it is to learn.

    Args:
      model: a Linen module; of `vocab_size`, `num_classes`, `length` and `answer_positions` it declares what it needs.
      table: the examples.

    Returns:
      A module that can be initialised.
    """
    known = dict(
        vocab_size=table.vocab_size,
        num_classes=table.num_classes,
        length=table.inputs.shape[1],
        answer_positions=table.answer_positions,
    )
    declared = {f.name for f in dataclasses.fields(model)}
    return model.clone(
        **{name: value for name, value in known.items() if name in declared and getattr(model, name) is None}
    )
