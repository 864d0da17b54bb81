"""A table as a program reads it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, Real

from grokjax import metrics
from grokjax.runs.program import Program
from grokjax.tasks.table import Prefixes, Table, find_prefixes


class TableArrays(NamedTuple):
    """A table as a program reads it; see `Table`. `prefixes` are what rows share, None where nothing is gained."""

    inputs: Real[Array, "examples length"]
    labels: Real[Array, "examples answers"]
    prefixes: Prefixes | None
    pair: Int[Array, " examples"] | None
    part: Int[Array, " examples"] | None
    label_group: Int[Array, " examples"] | None
    random_classes: Int[Array, ""] | None

    @classmethod
    def of(cls, table: Table, program: Program) -> "TableArrays":
        """The arrays of `table` that `program` needs, in NumPy; with prefixes where sharing them saves products."""
        paired = program.split_by == "pair" or metrics.asks(program.metrics, "pair")
        return cls(
            inputs=table.inputs,
            labels=table.labels,
            prefixes=_worthwhile_prefixes(table, program),
            pair=table.pair if paired else None,
            part=table.part,
            label_group=table.label_group,
            random_classes=None if table.label_group is None else jnp.int32.dtype.type(table.random_classes),
        )

    def unit(self, split_by: str) -> Int[Array, " examples"] | None:
        """What the split keeps together, besides the row."""
        return self.pair if split_by == "pair" else None


def _worthwhile_prefixes(table: Table, program: Program) -> Prefixes | None:
    """What the rows of a table share, for a model that shares it; None if that saves no product of a batch."""
    model, rows = program.model, program.batch_rows
    # Declared by its own class: one that inherits it may compute something else.
    if not ("prefix_length" in vars(type(model)) and model.prefix_length):
        return None
    prefixes = find_prefixes(table, rows, model.prefix_length)
    return prefixes if model.operations(rows, prefixes) < model.operations(rows, None) else None
