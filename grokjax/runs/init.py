"""A run before its first step: split and labels drawn, parameters initialised.

`init_run` is three functions, so that runs with other optimizers share the compiled programs of two of them, and runs
of other models that of one.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from grokjax.config import ConfigError, Model
from grokjax.runs.arrays import TableArrays
from grokjax.runs.means import no_means
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.values import RunValues, seed_key, stream_key
from grokjax.tasks import splits


def init_run(program: Program, values: RunValues, table: TableArrays) -> RunState:
    """A run before its first step: split and labels drawn, parameters initialised.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.

    Returns:
      The state at step 0.
    """
    rows = init_rows(program.split_by, values, table)
    variables = init_variables(program.model, program.precision, values.seeds["init"], table.inputs[:1])
    return begin(program, values, rows, variables)


def init_rows(
    split_by: str, values: RunValues, table: TableArrays
) -> tuple[Int[Array, " examples"], Real[Array, "examples answers"]]:
    """The part of `init_run` that depends on the table alone: the rows in the split's order, and the labels."""
    key = stream_key(values, "split")
    parts = (table.part, values.part_rows) if len(values.part_rows) > 1 else ()
    order = splits.split_order(key, len(table.labels), table.unit(split_by), *parts)
    return order, run_labels(values, table, order)


def run_labels(
    values: RunValues, table: TableArrays, order: Int[Array, " examples"]
) -> Real[Array, "examples answers"]:
    """The labels as one run sees them: random ones drawn, outliers put in."""
    random_key, outlier_key = jax.random.split(stream_key(values, "label"))
    labels = table.labels
    if table.label_group is not None:
        labels = splits.random_labels(random_key, labels, table.label_group, table.random_classes)
    return splits.with_outliers(outlier_key, labels, order, values.num_train, values.outliers)


def init_variables(model: Model, precision: str, seed: Int[Any, ""], inputs: Real[Any, "1 length"]) -> dict[str, Any]:
    """The part of `init_run` that depends on the model alone: its parameters, and what else it holds."""
    with jax.default_matmul_precision(precision):
        return model.init(seed_key(seed, "init"), inputs)


def scaled(params, init_scale: Float[Any, ""]):
    """Initial parameters, those of more than one dimension (weights and embeddings, not biases) times the scale."""
    return jax.tree.map(lambda p: p * init_scale if p.ndim > 1 else p, params)


def begin(program: Program, values: RunValues, rows, variables: dict[str, Any], start=None) -> RunState:
    """The rest of `init_run`: initial scale, optimizer state, means over no steps.

    Args:
      program: static.
      values: of the run.
      rows: by `init_rows`.
      variables: by `init_variables`.
      start: the parameters to start from; None: the initial ones. They are not scaled.
    """
    order, labels = rows
    if program.centred and len(variables) > 1:
        held = ", ".join(sorted(set(variables) - {"params"}))
        raise ConfigError(f"centred=True needs a function of the parameters alone; this model also has {held}.")
    initial = scaled(variables["params"], values.init_scale)
    params = initial if start is None else start
    with jax.numpy_dtype_promotion("standard"):
        optimizer = program.optimizer.chain(values.hyper).init(params)
    return RunState(
        params=params,
        variables={name: held for name, held in variables.items() if name != "params"},
        optimizer=optimizer,
        initial=initial if program.remembers else None,
        order=order,
        labels=labels,
        means=no_means(program, params),
        step=jnp.zeros((), jnp.int32),
    )
