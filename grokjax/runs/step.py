"""One optimizer update: the batch it sees, the loss it lowers, the update it makes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from grokjax import losses, optimizers
from grokjax.runs.arrays import TableArrays
from grokjax.runs.forward import logits
from grokjax.runs.means import averaged
from grokjax.runs.program import Program
from grokjax.runs.state import RunState
from grokjax.runs.values import RunValues, step_key, stream_key
from grokjax.tasks import splits


class Batch(NamedTuple):
    """What one step trains on: inputs and labels, False for padding, rows of the table if it is of one."""

    inputs: Real[Array, "batch length"]
    labels: Real[Array, "batch answers"]
    counts: Bool[Array, " batch"]
    rows: Int[Array, " batch"] | None


def batch_of(program: Program, values: RunValues, table: TableArrays, state: RunState) -> Batch:
    """The batch of the step that comes next."""
    if program.stream is not None:
        inputs, labels = program.stream.sample(step_key(values, "batch", state.step), program.batch_rows)
        return Batch(inputs, labels, jnp.ones(program.batch_rows, bool), None)
    places, counts = splits.batch_positions(
        program.batch_rule, stream_key(values, "batch"), state.step, values.num_train, program.batch_rows
    )
    rows = state.order[places]
    return Batch(table.inputs[rows], state.labels[rows], counts, rows)


def train_step(program: Program, values: RunValues, table: TableArrays, state: RunState) -> RunState:
    """One optimizer update on the batch of this step.

        loss, gradient = of the batch, in train mode
        update         = the optimizer's chain of the gradient
        params         = params + update

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: before the step.

    Returns:
      The state after it.
    """
    batch = batch_of(program, values, table, state)
    noise_key = step_key(values, "noise", state.step)
    weights = batch.counts.astype(jnp.float32)
    loss = functools.partial(batch_loss, program, values, table, state, batch, noise_key, weights)
    (mean_loss, (z, variables)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    updates, optimizer = _update(program, values, state, noise_key, loss, mean_loss, gradient)
    return state._replace(
        params=optimizers.apply(state.params, updates),
        variables=variables,
        optimizer=optimizer,
        means=averaged(state.means, gradient, mean_loss, z, batch.labels, weights, values.target_tolerance),
        step=state.step + 1,
    )


def batch_loss(
    program: Program,
    values: RunValues,
    table: TableArrays,
    state: RunState,
    batch: Batch,
    noise_key,
    weights: Float[Array, " batch"],
    params,
) -> tuple[Float[Array, ""], tuple[Float[Array, "batch answers classes"], Any]]:
    """The loss of a batch in train mode, a function of `params`.

    Args:
      program, values, table: of the run.
      state: whose step and what the model holds besides parameters are used.
      batch: of the step.
      noise_key: of the step.
      weights: 0.0 for padding.
      params: that the loss depends on.

    Returns:
      The mean over the rows that count; the logits, and what the model then holds besides parameters.
    """
    if program.noisy:
        noise = optimizers.normal_like(jax.random.fold_in(noise_key, 0), params, values.weight_noise)
        params = jax.tree.map(jnp.add, params, noise)
    state_with = state._replace(params=params)
    dropout_key = step_key(values, "dropout", state.step)
    z, variables = logits(program, values, table, state_with, batch.inputs, batch.rows, batch.counts, dropout_key)
    lost = losses.row_loss(losses.answer_losses(z, batch.labels, program.loss, program.loss_dtype), batch.labels)
    return losses.weighted_mean(lost, weights), (z, variables)


def _update(program: Program, values: RunValues, state: RunState, noise_key, loss, mean_loss, gradient):
    """The optimizer's update of the parameters and its next state; a user's chain may ask for the loss as well."""

    def value(params, *, key=None, obj_fn=None, grad_fn=None):  # line searches hand on what they do not use
        return loss(params)[0]

    with jax.numpy_dtype_promotion("standard"):  # optax raises float32 decays to int32 powers
        chain = program.optimizer.chain(values.hyper)
        extra = dict(key=jax.random.fold_in(noise_key, 1), value=mean_loss, grad=gradient)
        extra |= dict(value_fn=value, obj_fn=value, grad_fn=lambda params, number=0: jax.grad(value)(params))
        return chain.update(gradient, state.optimizer, state.params, **extra)
