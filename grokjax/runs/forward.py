"""The logits of a run, in training and in evaluation."""

import jax
from jaxtyping import Array, Bool, Float, Int, Real

from grokjax.models import call_arguments
from grokjax.runs.arrays import TableArrays
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.values import RunValues


def logits(
    program: Program,
    values: RunValues,
    table: TableArrays,
    state: RunState,
    inputs: Real[Array, "batch length"],
    rows: Int[Array, " batch"] | None = None,
    counts: Bool[Array, " batch"] | None = None,
    dropout_key=None,
):
    """The run's logits: the model's, less those of its initial parameters if centred, times the output scale.

        if in training, and the model computes something else there:
            z = the model's call in train mode, which drops, and renews what it holds besides parameters
        else:
            z = the model in eval mode, by what rows of the table share where it can
        if centred: z -= the same in eval mode, with the initial parameters
        return scale * z

    Args:
      program, values, table: of the run.
      state: whose parameters are used.
      inputs: tokens or features.
      rows: of the table that they are, if they are.
      counts: False for padding; needed in train mode.
      dropout_key: in train mode.

    Returns:
      [batch, answers, classes], and what the model then holds besides parameters.
    """
    if dropout_key is not None and _differs_in_training(program, table, state):
        z, variables = _in_training(program, values, state, inputs, counts, dropout_key)
    else:
        z, variables = _in_evaluation(program, table, state, state.params, inputs, rows), state.variables
    if program.centred:
        z = z - jax.lax.stop_gradient(_in_evaluation(program, table, state, state.initial, inputs, rows))
    return z * values.output_scale, variables


def _differs_in_training(program: Program, table: TableArrays, state: RunState) -> bool:
    """Whether the model may compute something else in train mode than in eval mode."""
    # Of a model without dropout, only one that says what rows share is known to compute the same.
    same = "dropout" in call_arguments(type(program.model)) or table.prefixes is not None
    return bool(program.drops or state.variables or not same)


def _in_training(
    program: Program,
    values: RunValues,
    state: RunState,
    inputs: Real[Array, "batch length"],
    counts: Bool[Array, " batch"] | None,
    dropout_key,
) -> tuple[Float[Array, "batch answers classes"], dict]:
    """The model's logits in train mode, and what it then holds besides parameters."""
    given = dict(train=True, counts=counts) | ({"dropout": values.dropout} if program.drops else {})
    declared = call_arguments(type(program.model))
    return program.model.apply(
        {"params": state.params, **state.variables},
        inputs,
        mutable=list(state.variables),
        rngs={"dropout": dropout_key},
        **{name: value for name, value in given.items() if name in declared},
    )


def _in_evaluation(
    program: Program,
    table: TableArrays,
    state: RunState,
    params,
    inputs: Real[Array, "batch length"],
    rows: Int[Array, " batch"] | None,
) -> Float[Array, "batch answers classes"]:
    """The model's logits in eval mode with these parameters; rows of the table share what they can."""
    if table.prefixes is not None and rows is not None:
        return program.model.apply({"params": params}, table.prefixes, rows, method="logits_of_rows")
    return program.model.apply({"params": params, **state.variables}, inputs)
