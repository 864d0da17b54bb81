"""ONE run as pure functions of a static `Program` and traced `RunValues`. Nothing here knows of grids."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from grokjax import losses, optimizers
from grokjax.config import Config, program_part, run_part
from grokjax.models import fitted
from grokjax.tasks.splits import batch_positions, split_order, train_weights
from grokjax.tasks.table import Prefixes, Table, find_prefixes

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
"""What `evaluate` measures, in order."""

STREAMS = ("split", "init", "batch", "dropout")
"""The random streams of a run, each with a seed of its own."""

EVALUATION_ROWS = 2048
"""Rows of the table that are evaluated at once; bounds the memory, and fits the caches of a CPU."""


@dataclasses.dataclass(frozen=True)
class Program:
    """What a compiled program depends on, besides the shapes of its table. Hashable.

    Attributes:
      model: the module, fitted to its table.
      optimizer: with every hyperparameter at its default; the values are per run.
      batch_rule: 'shuffled', 'fixed' or 'full'.
      batch_rows: rows of the padded array that a step works on.
      drops: whether the run has dropout. Without it the model may share work between rows.
      precision: of matrix products.
    """

    model: Any
    optimizer: optimizers.Optimizer
    batch_rule: str
    batch_rows: int
    drops: bool
    precision: str

    @classmethod
    def of(cls, config: Config, table: Table) -> "Program":
        """The program that a run of `config` on `table` is trained by."""
        return cls(
            model=fitted(config.model, table),
            optimizer=program_part(config.optimizer),
            batch_rule=config.batch_rule,
            batch_rows=config.batch_rows,
            drops=config.dropout > 0,
            precision=config.precision,
        )


class TableArrays(NamedTuple):
    """A table as a program reads it: [examples, length] inputs, [examples, answers] labels, shared prefixes."""

    inputs: Int[Array, "examples length"]
    labels: Int[Array, "examples answers"]
    prefixes: Prefixes | None

    @classmethod
    def of(cls, table: Table, program: Program) -> "TableArrays":
        """The arrays of `table` that `program` needs, in NumPy; with prefixes where sharing them saves products."""
        prefixes, rows = None, program.batch_rows
        if hasattr(program.model, "logits_of_rows"):
            prefixes = find_prefixes(table, rows)
            if program.model.operations(rows, prefixes) >= program.model.operations(rows, None):
                prefixes = None
        return cls(table.inputs, table.labels, prefixes)


class RunValues(NamedTuple):
    """The scalars that make one run of a program, all of which may be traced and mapped.

    Attributes:
      seeds: per stream of `STREAMS`, int32.
      num_train: rows that train, int32.
      dropout, init_scale: float32.
      hyper: the optimizer's hyperparameters by name, float32.
    """

    seeds: dict[str, Int[Any, ""]]
    num_train: Int[Any, ""]
    dropout: Float[Any, ""]
    init_scale: Float[Any, ""]
    hyper: dict[str, Float[Any, ""]]

    @classmethod
    def of(cls, config: Config) -> "RunValues":
        """The values of a run of `config`, as NumPy scalars."""
        as_int, as_float = jnp.int32.dtype.type, jnp.float32.dtype.type
        return cls(
            seeds={stream: as_int(seed) for stream, seed in config.seeds.items()},
            num_train=as_int(config.num_train),
            dropout=as_float(config.dropout),
            init_scale=as_float(config.init_scale),
            hyper={name: as_float(value) for name, value in run_part(config.optimizer).items()},
        )


class RunState(NamedTuple):
    """A run between two steps.

    Attributes:
      params: the model's parameters.
      optimizer: the optimizer's state.
      order: [examples] int32, the rows of the table, training rows first.
      step: updates done, int32.
    """

    params: Any
    optimizer: Any
    order: Int[Array, " examples"]
    step: Int[Array, ""]


def stream_key(values: RunValues, stream: str):
    """The key of one of the run's random streams: two streams differ even where their seeds do not."""
    return jax.random.fold_in(jax.random.key(values.seeds[stream]), STREAMS.index(stream))


def init_run(program: Program, values: RunValues, table: TableArrays) -> RunState:
    """A run before its first step: split drawn, parameters initialised.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.

    Returns:
      The state at step 0.
    """
    with jax.default_matmul_precision(program.precision):
        params = program.model.init(stream_key(values, "init"), table.inputs[:1])["params"]
    params = jax.tree.map(lambda p: p * values.init_scale if p.ndim > 1 else p, params)
    return RunState(
        params=params,
        optimizer=program.optimizer.chain(values.hyper).init(params),
        order=split_order(stream_key(values, "split"), len(table.inputs)),
        step=jnp.zeros((), jnp.int32),
    )


def train_step(program: Program, values: RunValues, table: TableArrays, state: RunState) -> RunState:
    """One optimizer update on the batch of this step.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: before the step.

    Returns:
      The state after it.
    """
    places, counts = batch_positions(
        program.batch_rule, stream_key(values, "batch"), state.step, values.num_train, program.batch_rows
    )
    rows, weights = state.order[places], counts.astype(jnp.float32)
    dropout_key = jax.random.fold_in(stream_key(values, "dropout"), state.step)

    def loss(params):
        return losses.weighted_mean(
            losses.cross_entropy(logits(program, params, table, rows, values, dropout_key), table.labels[rows]), weights
        )

    gradient = jax.grad(loss)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises float32 decays to int32 powers
        updates, optimizer = program.optimizer.chain(values.hyper).update(gradient, state.optimizer, state.params)
    return state._replace(params=optimizers.apply(state.params, updates), optimizer=optimizer, step=state.step + 1)


def logits(program: Program, params, table: TableArrays, rows: Int[Array, " batch"], values=None, dropout_key=None):
    """The model's logits for rows of the table, in train mode if the program drops and a key is given.

    Returns:
      [batch, answers, classes].
    """
    variables = {"params": params}
    if program.drops and dropout_key is not None:
        rngs = {"dropout": dropout_key}
        return program.model.apply(variables, table.inputs[rows], train=True, dropout=values.dropout, rngs=rngs)
    if table.prefixes is not None:
        return program.model.apply(variables, table.prefixes, rows, method="logits_of_rows")
    return program.model.apply(variables, table.inputs[rows])


def evaluate(program: Program, values: RunValues, table: TableArrays, state: RunState) -> Float[Array, " metrics"]:
    """Loss and accuracy over all training rows and over all others, in eval mode.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: of the run.

    Returns:
      [metrics] float32, in the order of `METRICS`.
    """
    num_examples = len(table.inputs)
    num_blocks = -(-num_examples // EVALUATION_ROWS)
    block_rows = -(-num_examples // num_blocks)
    padding = num_blocks * block_rows - num_examples

    def block(rows):
        z = logits(program, state.params, table, rows)
        return losses.cross_entropy(z, table.labels[rows]), losses.accuracy(z, table.labels[rows])

    rows = jnp.pad(state.order, (0, padding)).reshape(num_blocks, block_rows)
    loss, accuracy = (x.reshape(-1)[:num_examples] for x in jax.lax.map(block, rows))
    train = train_weights(num_examples, values.num_train)
    return jnp.stack([losses.weighted_mean(x, w) for w in (train, 1 - train) for x in (loss, accuracy)])


def train_chunk(
    program: Program,
    values: RunValues,
    table: TableArrays,
    state: RunState,
    num_steps: Int[Array, ""],
    evaluates: Bool[Array, ""],
) -> tuple[RunState, Float[Array, " metrics"]]:
    """Advances a run by `num_steps` updates and, if asked, evaluates it after them.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: before the chunk.
      num_steps: updates to make, 0 or more. Traced, so that chunks of all lengths are one program.
      evaluates: whether the metrics are wanted.

    Returns:
      The state after the chunk, and [metrics] (zeros where not asked for).
    """
    with jax.default_matmul_precision(program.precision):
        state = jax.lax.fori_loop(0, num_steps, lambda _, s: train_step(program, values, table, s), state)
        metrics = jax.lax.cond(
            evaluates,
            lambda: evaluate(program, values, table, state),
            lambda: jnp.zeros(len(METRICS), jnp.float32),
        )
    return state, metrics
