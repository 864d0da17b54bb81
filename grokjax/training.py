"""ONE run as pure functions of a static `Program` and traced `RunValues`. Nothing here knows of grids."""

import dataclasses
import functools
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grokjax import losses, metrics, optimizers
from grokjax.config import STREAMS, Config, ConfigError, program_part, run_part
from grokjax.models import MODELS, fitted
from grokjax.models.fitting import check_logits
from grokjax.tasks import splits
from grokjax.tasks.table import Prefixes, Table, find_prefixes

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "weight_norm")
"""What `evaluate` always measures."""

EVALUATION_ROWS = 512
"""Rows of the table that are evaluated at once; bounds the memory, and fits the caches of a CPU."""


@dataclasses.dataclass(frozen=True)
class Program:
    """What a compiled program depends on, besides the shapes of its table. Hashable.

    Attributes:
      model: the module, fitted to its table.
      optimizer: with every hyperparameter at its default; the values are per run.
      metrics: names and functions.
      parts: names of the task's parts.
      split_by: 'row' or 'pair'.
      batch_rule: 'shuffled', 'fixed', 'full' or 'stream'.
      batch_rows: rows of the padded array that a step works on.
      stream: the task that draws each batch, where the rule is 'stream'.
      drops: whether the run has dropout. Without it the model may share work between rows.
      noisy: whether the weights have noise in training.
      centred: whether the initial function is subtracted.
      loss, loss_dtype: what is lowered, and computed in which dtype.
      precision: of matrix products.
      code: hashes of what the user's code in it computes, which may change where its objects do not.
    """

    model: Any
    optimizer: Any
    metrics: tuple[metrics.Metric, ...]
    parts: tuple[str, ...]
    split_by: str
    batch_rule: str
    batch_rows: int
    stream: Any
    drops: bool
    noisy: bool
    centred: bool
    loss: str
    loss_dtype: str
    precision: str
    code: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, table: Table, code: tuple[str, ...] = ()) -> "Program":
        """The program that a run of `config` on `table` is trained by; ConfigError where parts do not fit."""
        model = fitted(config.model, table)
        if type(model) not in MODELS.values():
            check_logits(model, table)
        if config.dropout and "dropout" not in _declared(model):
            raise ConfigError(
                f"dropout={config.dropout} has no place in the model {type(model).__name__}, whose __call__ takes "
                "none. Try --dropout=0."
            )
        chosen = metrics.chosen(config.metrics)
        metrics.check_table(chosen, table)
        if config.split_by == "pair" and table.pair is None:
            raise ConfigError(
                f"split_by=pair needs rows that are pairs, and {table.name} has none. Try --split_by=row."
            )
        return cls(
            model=model,
            optimizer=program_part(config.optimizer),
            metrics=chosen,
            parts=table.parts,
            split_by=config.split_by,
            batch_rule=config.batch_rule,
            batch_rows=config.batch_rows,
            stream=program_part(config.task) if config.batch_rule == "stream" else None,
            drops=config.dropout > 0,
            noisy=config.weight_noise > 0,
            centred=config.centred,
            loss=config.loss,
            loss_dtype=config.loss_dtype,
            precision=config.precision,
            code=code,
        )

    @property
    def users_code(self) -> list[str]:
        """What in it is not ours, for messages."""
        found = [] if type(self.model) in MODELS.values() else [f"the model {type(self.model).__name__}"]
        if type(self.optimizer) not in optimizers.OPTIMIZERS.values():
            found.append("the optimizer")
        return found + [f"the metric {n}" for n, metric in self.metrics if metrics.METRICS.get(n) is not metric]

    @property
    def remembers(self) -> bool:
        """Whether a run must keep its initial parameters."""
        return self.centred or metrics.asks(self.metrics, "initial_params")


def _declared(model) -> frozenset[str]:
    """The arguments that a model's `__call__` takes."""
    return frozenset(inspect.signature(type(model).__call__).parameters)


class TableArrays(NamedTuple):
    """A table as a program reads it; see `Table`. `prefixes` are what rows share, None where nothing is gained."""

    inputs: Int[Array, "examples length"]
    labels: Int[Array, "examples answers"]
    prefixes: Prefixes | None
    pair: Int[Array, " examples"] | None
    part: Int[Array, " examples"] | None
    label_group: Int[Array, " examples"] | None
    random_classes: Int[Array, ""] | None

    @classmethod
    def of(cls, table: Table, program: Program) -> "TableArrays":
        """The arrays of `table` that `program` needs, in NumPy; with prefixes where sharing them saves products."""
        model, prefixes, rows = program.model, None, program.batch_rows
        # Declared by its own class: one that inherits it may compute something else.
        if "prefix_length" in vars(type(model)) and model.prefix_length:
            prefixes = find_prefixes(table, rows, model.prefix_length)
            if model.operations(rows, prefixes) >= model.operations(rows, None):
                prefixes = None
        random_classes = None if table.label_group is None else jnp.int32.dtype.type(table.random_classes)
        paired = program.split_by == "pair" or metrics.asks(program.metrics, "pair")
        return cls(
            inputs=table.inputs,
            labels=table.labels,
            prefixes=prefixes,
            pair=table.pair if paired else None,
            part=table.part,
            label_group=table.label_group,
            random_classes=random_classes,
        )

    def unit(self, split_by: str) -> Int[Array, " examples"] | None:
        """What the split keeps together, besides the row."""
        return self.pair if split_by == "pair" else None


class RunValues(NamedTuple):
    """The scalars that make one run of a program, all of which may be traced and mapped.

    Attributes:
      seeds: per stream of `STREAMS`, int32.
      num_train: rows that train, int32.
      part_rows: [parts] the same of each part of the task, int32.
      outliers: training rows with another's answer, int32.
      dropout, weight_noise, init_scale, output_scale: float32.
      hyper: the optimizer's hyperparameters by name, float32.
    """

    seeds: dict[str, Int[Any, ""]]
    num_train: Int[Any, ""]
    part_rows: Int[Any, " parts"]
    outliers: Int[Any, ""]
    dropout: Float[Any, ""]
    weight_noise: Float[Any, ""]
    init_scale: Float[Any, ""]
    output_scale: Float[Any, ""]
    hyper: dict[str, Float[Any, ""]]

    @classmethod
    def of(cls, config: Config) -> "RunValues":
        """The values of a run of `config`, as NumPy scalars."""
        as_int, as_float = jnp.int32.dtype.type, jnp.float32.dtype.type
        return cls(
            seeds={stream: as_int(seed) for stream, seed in config.seeds.items()},
            num_train=as_int(config.num_train),
            part_rows=np.array(config.part_rows, np.int32),
            outliers=as_int(config.outliers),
            dropout=as_float(config.dropout),
            weight_noise=as_float(config.weight_noise),
            init_scale=as_float(config.init_scale),
            output_scale=as_float(config.output_scale),
            hyper={name: as_float(value) for name, value in run_part(config.optimizer).items()},
        )


class RunState(NamedTuple):
    """A run between two steps.

    Attributes:
      params: the model's parameters.
      variables: what else the model holds, such as the running averages of BatchNorm; mostly nothing.
      optimizer: the optimizer's state.
      initial: the parameters before the first step, where something needs them; else None.
      order: [examples] int32, the rows of the table, training rows first.
      labels: [examples, answers] int32, of the table's rows as this run sees them.
      means: over the steps since the last evaluation, what the metrics need; mostly nothing.
      step: updates done, int32.
    """

    params: Any
    variables: Any
    optimizer: Any
    initial: Any
    order: Int[Array, " examples"]
    labels: Int[Array, "examples answers"]
    means: dict[str, Any]
    step: Int[Array, ""]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["values"], meta_fields=["names"])
@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured at an evaluation: [metrics] or, of several lanes, [lanes, metrics] float32, and their names."""

    values: Any
    names: tuple[str, ...]


def stream_key(values: RunValues, stream: str):
    """The key of one of the run's random streams: two streams differ even where their seeds do not."""
    return _stream_key(values.seeds[stream], stream)


def _stream_key(seed, stream: str):
    return jax.random.fold_in(jax.random.key(seed), STREAMS.index(stream))


def step_key(values: RunValues, stream: str, step: Int[Array, ""]):
    """The key of one step of a stream."""
    return jax.random.fold_in(stream_key(values, stream), step)


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
) -> tuple[Int[Array, " examples"], Int[Array, "examples answers"]]:
    """The part of `init_run` that hangs on the table alone: the rows in the split's order, and the labels."""
    key = stream_key(values, "split")
    parts = (table.part, values.part_rows) if len(values.part_rows) > 1 else ()
    order = splits.split_order(key, len(table.labels), table.unit(split_by), *parts)
    return order, run_labels(values, table, order)


def init_variables(model: Any, precision: str, seed: Int[Any, ""], inputs: Int[Any, "1 length"]) -> dict[str, Any]:
    """The part of `init_run` that hangs on the model alone: its parameters, and what else it holds."""
    with jax.default_matmul_precision(precision):
        return model.init(_stream_key(seed, "init"), inputs)


def scaled(params, init_scale: Float[Any, ""]):
    """Initial parameters, those of more than one dimension (weights and embeddings, not biases) times the scale."""
    return jax.tree.map(lambda p: p * init_scale if p.ndim > 1 else p, params)


def begin(program: Program, values: RunValues, rows, variables: dict[str, Any]) -> RunState:
    """The rest of `init_run`: initial scale, optimizer state, sums of nothing."""
    order, labels = rows
    if program.centred and len(variables) > 1:
        held = ", ".join(sorted(set(variables) - {"params"}))
        raise ConfigError(f"centred=True needs a function of the parameters alone; this model also has {held}.")
    params = scaled(variables["params"], values.init_scale)
    with jax.numpy_dtype_promotion("standard"):
        optimizer = program.optimizer.chain(values.hyper).init(params)
    return RunState(
        params=params,
        variables={name: held for name, held in variables.items() if name != "params"},
        optimizer=optimizer,
        initial=params if program.remembers else None,
        order=order,
        labels=labels,
        means=no_means(program, params),
        step=jnp.zeros((), jnp.int32),
    )


def run_labels(values: RunValues, table: TableArrays, order: Int[Array, " examples"]) -> Int[Array, "examples answers"]:
    """The labels as one run sees them: random ones drawn, outliers put in."""
    random_key, outlier_key = jax.random.split(stream_key(values, "label"))
    labels = table.labels
    if table.label_group is not None:
        labels = splits.random_labels(random_key, labels, table.label_group, table.random_classes)
    return splits.with_outliers(outlier_key, labels, order, values.num_train, values.outliers)


def no_means(program: Program, params) -> dict[str, Any]:
    """The running means before the first step: of nothing."""
    names, zero = metrics.running(program.metrics), jnp.zeros((), jnp.float32)
    means = dict.fromkeys((*names, "steps", "batches"), zero) if names else {}
    if "gradient_norms" in means:
        means["gradient_norms"] = dict.fromkeys(metrics.paths(params), zero)
    return means


class Batch(NamedTuple):
    """What one step trains on: tokens and labels, weights that are 0 for padding, rows of the table if it is of one."""

    inputs: Int[Array, "batch length"]
    labels: Int[Array, "batch answers"]
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

    def loss(params):
        if program.noisy:
            noise = optimizers.normal_like(jax.random.fold_in(noise_key, 0), params, values.weight_noise)
            params = jax.tree.map(jnp.add, params, noise)
        state_with = state._replace(params=params)
        dropout_key = step_key(values, "dropout", state.step)
        z, variables = logits(program, values, table, state_with, batch.inputs, batch.rows, batch.counts, dropout_key)
        lost = losses.row_loss(losses.answer_losses(z, batch.labels, program.loss, program.loss_dtype), batch.labels)
        return losses.weighted_mean(lost, weights), (z, variables)

    (mean_loss, (z, variables)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)

    def value(params, *, key=None, obj_fn=None, grad_fn=None):  # line searches hand on what they do not use
        return loss(params)[0]

    with jax.numpy_dtype_promotion("standard"):  # optax raises float32 decays to int32 powers
        chain = program.optimizer.chain(values.hyper)
        extra = dict(key=jax.random.fold_in(noise_key, 1), value=mean_loss, grad=gradient)
        extra |= dict(value_fn=value, obj_fn=value, grad_fn=lambda params, number=0: jax.grad(value)(params))
        updates, optimizer = chain.update(gradient, state.optimizer, state.params, **extra)
    return state._replace(
        params=optimizers.apply(state.params, updates),
        variables=variables,
        optimizer=optimizer,
        means=averaged(state.means, gradient, mean_loss, z, batch, weights),
        step=state.step + 1,
    )


def averaged(means: dict[str, Any], gradient, mean_loss, z, batch: Batch, weights) -> dict[str, Any]:
    """The running means with one step more: of gradients over steps, of losses and accuracies over rows."""
    if not means:
        return means
    share = weights.mean()  # a short batch counts for its rows
    new = {"steps": means["steps"] + 1, "batches": means["batches"] + share}
    if "gradient_norm" in means:
        new["gradient_norm"] = metrics.weight_norm(gradient), 1 / new["steps"]
    if "gradient_norms" in means:
        new["gradient_norms"] = metrics.tensor_norms(gradient), 1 / new["steps"]
    if "batch_loss" in means:
        new["batch_loss"] = mean_loss, share / new["batches"]
    if "batch_accuracy" in means:
        right = losses.row_accuracy(losses.correct(z, batch.labels), batch.labels)
        new["batch_accuracy"] = losses.weighted_mean(right, weights), share / new["batches"]

    def moved(name, mean):
        value, part = new[name]
        return jax.tree.map(lambda m, v: m + (v - m) * part, mean, value)

    return {name: new[name] if name in ("steps", "batches") else moved(name, mean) for name, mean in means.items()}


def logits(
    program: Program,
    values: RunValues,
    table: TableArrays,
    state: RunState,
    inputs: Int[Array, "batch length"],
    rows: Int[Array, " batch"] | None = None,
    counts: Bool[Array, " batch"] | None = None,
    dropout_key=None,
):
    """The run's logits: the model's, less those of its initial parameters if centred, times the output scale.

    Args:
      program, values, table: of the run.
      state: whose parameters are used.
      inputs: tokens.
      rows: of the table that they are, if they are.
      counts: False for padding; needed in train mode.
      dropout_key: in train mode.

    Returns:
      [batch, answers, classes], and what the model then holds besides parameters.
    """
    declared = _declared(program.model)
    # Of a model without dropout, only one that says what rows share is known to compute the same in training.
    same = "dropout" in declared or table.prefixes is not None
    trains = dropout_key is not None and bool(program.drops or state.variables or not same)

    def evaluated(params):
        if table.prefixes is not None and rows is not None:
            return program.model.apply({"params": params}, table.prefixes, rows, method="logits_of_rows")
        return program.model.apply({"params": params, **state.variables}, inputs)

    variables = state.variables
    if trains:
        told = dict(train=True, counts=counts) | ({"dropout": values.dropout} if program.drops else {})
        z, variables = program.model.apply(
            {"params": state.params, **variables},
            inputs,
            mutable=list(variables),
            rngs={"dropout": dropout_key},
            **{name: value for name, value in told.items() if name in declared},
        )
    else:
        z = evaluated(state.params)
    if program.centred:
        z = z - jax.lax.stop_gradient(evaluated(state.initial))
    return z * values.output_scale, variables


def evaluate(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, Float[Array, ""]]:
    """Loss and accuracy over all training rows and over all that validate, in eval mode, and the metrics asked for.

    Args:
      program: static.
      values: of the run.
      table: the task's examples.
      state: of the run.

    Returns:
      Scalars by name; NaN for the mean over no rows.
    """
    of_rows = {name: metric for name, metric in program.metrics if metrics.of_rows(metric)}

    def block(rows):
        z, _ = logits(program, values, table, state, table.inputs[rows], rows)
        labels = state.labels[rows]
        given = dict(logits=z, labels=labels, loss_dtype=program.loss_dtype)
        return dict(
            loss=losses.answer_losses(z, labels, program.loss, program.loss_dtype),
            right=losses.correct(z, labels),
            measured={name: metrics.of_each_row(name, metric, given) for name, metric in of_rows.items()},
        )

    seen = _in_blocks(block, state.order)
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
        if name not in of_rows:
            told = {argument: given[argument] for argument in metrics.arguments(metric)}
            result |= metrics.named(name, metric, metric(**told))
    return result


def _in_blocks(function, rows: Int[Array, " examples"]):
    """`function` of all rows, `EVALUATION_ROWS` at a time at most, its results one after another."""
    num_blocks = -(-len(rows) // EVALUATION_ROWS)
    block_rows = -(-len(rows) // num_blocks)
    padding = num_blocks * block_rows - len(rows)
    blocks = jax.lax.map(function, jnp.pad(rows, (0, padding)).reshape(num_blocks, block_rows))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[: len(rows)], blocks)


def _measurable(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, Any]:
    """What metrics may ask for, besides what was seen of the rows."""
    given = dict(
        params=state.params,
        initial_params=state.initial,
        learning_rate=values.hyper.get("learning_rate"),
        step=state.step,
        pair=None if table.pair is None else table.pair[state.order],
        part=None if table.part is None else table.part[state.order],
        part_names=program.parts,
    )
    begun = state.means.get("steps", 0) > 0
    for argument, name in metrics.RUNNING.items():
        if name in state.means:
            given[argument] = jax.tree.map(lambda mean: jnp.where(begun, mean, jnp.nan), state.means[name])
    return given


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
      due: whether it is this run's own evaluation, after which its running means begin anew; lanes that advance
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
    state = state._replace(means=jax.tree.map(lambda x: jnp.where(due, jnp.zeros_like(x), x), state.means))
    return state, Measured(measured, names)
