"""What is measured of a run between two steps: losses and accuracies over the whole table, and metrics."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from grokjax import losses, metrics
from grokjax.runs import means
from grokjax.runs.arrays import TableArrays
from grokjax.runs.forward import logits
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.values import RunValues
from grokjax.tasks import splits

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "weight_norm")
"""What `evaluate` always measures."""

EVALUATION_ROWS = 512
"""Rows of the table that are evaluated at once; bounds the memory, and fits the caches of a CPU."""


def evaluate(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, Float[Array, ""]]:
    """Loss and accuracy over all training rows and over all that validate, in eval mode, and the metrics asked for.

        for each row of the table, in the split's order: loss, accuracy, metrics of rows
        their means over the rows that train, and over those that validate
        the other metrics, of parameters, running means and what was seen of the rows

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: of the run.

    Returns:
      Scalars by name; NaN for the mean over no rows.
    """
    seen = _seen_of_rows(program, values, table, state)
    labels = state.labels[state.order]
    train = splits.train_weights(len(state.order), values.num_train)
    val = splits.val_weights(values.num_train, state.order, table.unit(program.split_by), table.label_group)
    rows = dict(loss=losses.row_loss(seen["loss"], labels), accuracy=losses.row_accuracy(seen["right"], labels))
    rows |= seen["measured"]
    result = {
        f"{side}_{name}": losses.weighted_mean(value, weights)
        for side, weights in (("train", train), ("val", val))
        for name, value in rows.items()
    }
    result["weight_norm"] = metrics.weight_norm(state.params)
    given = _measurable(program, values, table, state) | dict(
        loss=seen["loss"], right=seen["right"], labels=labels, train=train, val=val
    )
    for name, metric in program.metrics:
        if not metrics.of_rows(metric):
            asked = {argument: given[argument] for argument in metrics.arguments(metric)}
            result |= metrics.named(name, metric, metric(**asked))
    return result


def _seen_of_rows(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, Any]:
    """Losses and right answers [examples, answers], and metrics of rows [examples], in the order of the split."""
    of_rows = {name: metric for name, metric in program.metrics if metrics.of_rows(metric)}

    def block(rows):
        z, _ = logits(program, values, table, state, table.inputs[rows], rows)
        labels = state.labels[rows]
        given = dict(logits=z, labels=labels, loss_dtype=program.loss_dtype)
        return dict(
            loss=losses.answer_losses(z, labels, program.loss, program.loss_dtype),
            right=losses.correct(z, labels, values.target_tolerance),
            measured={name: metrics.of_each_row(name, metric, given) for name, metric in of_rows.items()},
        )

    return _in_blocks(block, state.order)


def _in_blocks(function, rows: Int[Array, " examples"]):
    """`function` of all rows, `EVALUATION_ROWS` at a time at most, its results one after another."""
    num_blocks = -(-len(rows) // EVALUATION_ROWS)
    block_rows = -(-len(rows) // num_blocks)
    padding = num_blocks * block_rows - len(rows)
    blocks = jax.lax.map(function, jnp.pad(rows, (0, padding)).reshape(num_blocks, block_rows))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[: len(rows)], blocks)


def _measurable(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, Any]:
    """What metrics may ask for, besides what was seen of the rows."""
    return dict(
        params=state.params,
        initial_params=state.initial,
        learning_rate=values.hyper.get("learning_rate"),
        step=state.step,
        pair=None if table.pair is None else table.pair[state.order],
        part=None if table.part is None else table.part[state.order],
        part_names=program.parts,
        scale_invariant=getattr(program.model, "scale_invariant", ()),
        **means.read(state.means),
    )
