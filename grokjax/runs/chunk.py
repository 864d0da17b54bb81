"""Many updates and, after them, an evaluation: what a compiled program does at a time."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from grokjax.runs import means
from grokjax.runs.arrays import TableArrays
from grokjax.runs.evaluation import evaluate
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.step import train_step
from grokjax.runs.values import RunValues


@functools.partial(jax.tree_util.register_dataclass, data_fields=["values"], meta_fields=["names"])
@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured at an evaluation: [metrics] or, of several lanes, [lanes, metrics] float32, and their names."""

    values: Any
    names: tuple[str, ...]


def train_chunk(
    program: Program,
    values: RunValues,
    table: TableArrays,
    state: RunState,
    num_steps: Int[Array, ""],
    evaluates: Bool[Array, ""],
    due: Bool[Array, ""],
) -> tuple[RunState, Measured]:
    """Advances a run by `num_steps` updates and, if asked, evaluates it after them.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: before the chunk.
      num_steps: updates to make, 0 or more. Traced, so that chunks of all lengths are one program.
      evaluates: whether the metrics are wanted.
      due: whether it is this run's own evaluation, after which its running means start again; lanes that advance
        together are evaluated together, also where it is not their turn.

    Returns:
      The state after the chunk, and what was measured (zeros where not asked for).
    """
    measure = jax.jit(functools.partial(evaluate, program))  # traced once, though it is asked for its names and run
    with jax.default_matmul_precision(program.precision):
        state = jax.lax.fori_loop(0, num_steps, lambda _, s: train_step(program, values, table, s), state)
        names = tuple(sorted(jax.eval_shape(measure, values, table, state)))
        measured = jax.lax.cond(
            evaluates,
            lambda: jnp.stack([value for _, value in sorted(measure(values, table, state).items())]),
            lambda: jnp.zeros(len(names), jnp.float32),
        )
    return state._replace(means=means.reset(state.means, due)), Measured(measured, names)
