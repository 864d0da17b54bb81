"""From a result file back to a live run: its model, parameters, table, split, logits, loss and intermediates."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from grokjax import losses, results, runs
from grokjax.config import STREAMS, Config, ConfigError, Start, settings
from grokjax.models import Decoder
from grokjax.optimizers import AdamW
from grokjax.results import ResultError
from grokjax.sweeps.code import adopted
from grokjax.sweeps.components import COMPONENTS, component
from grokjax.sweeps.identity import Run, identified
from grokjax.sweeps.overrides import configured
from grokjax.tasks import modular
from grokjax.tasks.table import Table

SIDES = ("train", "val", "all")
"""Rows over which a loss is a mean."""


@dataclasses.dataclass(frozen=True)
class LiveRun:
    """One run of a result, ready to compute.

    Attributes:
      config: its whole configuration.
      model: the module, fitted to its table.
      params: at `step`, as NumPy arrays.
      step: of the parameters.
      table: every example of the task.
      train_rows: [rows] bool, True where a row of the table trains.
      labels: [rows, answers], classes or targets as the run sees them: random labels drawn, outliers put in.
    """

    config: Config
    model: nn.Module
    params: Mapping[str, Any]
    step: int
    table: Table
    train_rows: Bool[np.ndarray, " rows"]
    labels: Real[np.ndarray, "rows answers"]

    def logits(self, params=None, rows: Int[Any, " batch"] | None = None) -> Float[Array, "batch answers classes"]:
        """The logits in eval mode, less the initial function's and scaled where the run is so.

        Args:
          params: to use instead of the run's own, such as those being differentiated.
          rows: of the table; None: all, in order. May be traced, as for a gradient of each row.
        """
        rows = jnp.arange(self.table.num_examples) if rows is None else jnp.asarray(rows)
        program = runs.Program.of(self.config, self.table)
        values, arrays = runs.RunValues.of(self.config), runs.TableArrays.of(self.table, program)
        return _logits(program, values, arrays, self.params if params is None else params, rows)

    def loss(self, params=None, rows: str = "train", dtype: str | None = None) -> Float[Array, ""]:
        """The loss that the run lowers, the mean over rows, in eval mode; a function of `params` to differentiate.

        Args:
          params: to use instead of the run's own.
          rows: 'train', 'val' (all that do not train) or 'all'.
          dtype: in which logits become a loss, 'float16', 'float32' or 'float64'; None: the run's own. To differentiate
            one in float64 twice, do so within `with jax.enable_x64(True)`.

        Raises:
          ResultError: for other rows, or none.
        """
        which = {"train": self.train_rows, "val": ~self.train_rows, "all": np.ones_like(self.train_rows)}
        if rows not in which or not which[rows].any():
            raise ResultError(f"rows={rows!r} of {self.table.name} are none. Try one of: {', '.join(SIDES)}.")
        chosen = np.flatnonzero(which[rows])
        labels = jnp.asarray(self.labels[chosen])
        lost = losses.answer_losses(
            self.logits(params, chosen), labels, self.config.loss, self.config.loss_dtype if dtype is None else dtype
        )
        return losses.row_loss(lost, labels).mean()

    def cache(self, params=None, rows: Int[Any, " batch"] | None = None) -> dict[str, Array]:
        """Intermediates by name: what each submodule takes and gives, at every position that it sees.

        Of a module 'block_0.mlp_out', 'block_0.mlp_out.input' is its input and 'block_0.mlp_out' its output; of another
        method, such as the block's 'queries', the output is 'block_0.queries', with '.0', '.1' for the parts of a
        tuple; a second call adds '#2'. Of a decoder there is also 'block_0.attention' [batch, queries, keys, heads],
        the attention pattern; its neurons, after ReLU, are 'block_0.mlp_out.input', and its residual stream is
        'block_0.attention_input.input', 'block_0.after_attention' and 'block_0.finish'. The last layer computes answer
        positions only. Training pays nothing for this: calls are watched while this one is made.

        Args:
          params: to use instead of the run's own.
          rows: of the table; None: all, in order.
        """
        rows = np.arange(self.table.num_examples) if rows is None else np.asarray(rows)
        with jax.default_matmul_precision(self.config.precision):
            return _watcher(self.model)(self.params if params is None else params, self.table.inputs[rows])


@functools.partial(jax.jit, static_argnums=0)
def _logits(program, values, examples, params, rows):
    """The logits of a run at rows of its table, compiled once for all runs of one program."""

    def initial(inputs):
        held = runs.init_variables(program.model, program.precision, values.seeds["init"], inputs)
        return runs.scaled(held["params"], values.init_scale)

    first = initial(examples.inputs[:1]) if program.centred else None
    state = runs.RunState(params, {}, None, first, None, None, {}, None)
    with jax.default_matmul_precision(program.precision):
        return runs.logits(program, values, examples, state, examples.inputs[rows], rows)[0]


@functools.partial(jax.jit, static_argnums=0)
def _split(split_by, values, examples):
    """The rows of a table in the order of a run's split, and their labels as the run sees them."""
    return runs.init_rows(split_by, values, examples)


def trained_configs(
    path: str | os.PathLike, arrays: Mapping, meta: Mapping, places: Sequence[tuple[int, ...]], own: Mapping[str, Any]
) -> list[Config]:
    """The configurations of some runs of a result, which are checked to be the very ones that were trained.

    Args:
      path: of the result.
      arrays, meta: of it, as `grokjax.results.read` gives them.
      places: of the runs in the grid.
      own: task, model, optimizer, loss and metrics by these names, where they are your own code.

    Raises:
      ResultError: for runs that were trained by other code than is given.
    """
    own = dict(own)
    metrics = own.pop("metrics", None)
    runs = identified([Run(place, _config(path, meta, place, own, metrics)) for place in places])
    # Code that the result holds as lowered by other versions is taken as that, as a sweep does.
    same = adopted((piece for run in runs for piece in run.code), meta.get("code", []))
    for run in runs:
        run_id = str(arrays["run_id"][run.index])
        if dataclasses.replace(run, code=tuple(same.get(piece, piece) for piece in run.code)).run_id != run_id:
            raise ResultError(
                f"Run {run_id} of {path} was trained by other code, or by another version of it, than is given here: "
                f"its task is {meta['config'].get('task', 'an axis')}, its model "
                f"{meta['config'].get('model', 'an axis')}. Pass what you gave to the sweep, such as model=Mine()."
            )
    return [run.config for run in runs]


def open_run(
    path: str | os.PathLike,
    *,
    step: int | None = None,
    task=None,
    model=None,
    optimizer=None,
    loss=None,
    metrics=None,
    **selection,
) -> LiveRun:
    """The one run of a result that a selection names, ready to compute.

    Args:
      path: the result file of its sweep, written with its parameters beside it.
      step: one of those that `--snapshots` kept; None: the final parameters.
      task, model, optimizer, loss, metrics: the objects that the sweep was given, where they are your own code. Their
        settings are those of the result. (A name selects, as any other coordinate.)
      **selection: coordinate = value, for every axis with more than one value, as in `grokjax.params`.

    Returns:
      The run. It has the very configuration that was trained: its identity is checked.

    Raises:
      ResultError: as `grokjax.params`; also where the run was trained by other code than is given, or its model holds
        more than parameters.
    """
    given = dict(task=task, model=model, optimizer=optimizer, loss=loss)
    selection |= {which: part for which, part in given.items() if isinstance(part, str)}
    own = {which: part for which, part in given.items() if part is not None and not isinstance(part, str)}
    arrays, meta, index = results.one_run(path, **selection)
    (config,) = trained_configs(path, arrays, meta, [index], own | {"metrics": metrics})
    run_id = str(arrays["run_id"][index])
    table = config.task.table()
    program = runs.Program.of(config, table)
    values, arrays_of = runs.RunValues.of(config), runs.TableArrays.of(table, program)
    inputs = jax.ShapeDtypeStruct((1, table.inputs.shape[1]), table.inputs.dtype)
    start = functools.partial(runs.init_variables, program.model, program.precision, values.seeds["init"])
    held = jax.eval_shape(start, inputs)
    if more := sorted(set(held) - {"params"}):
        raise ResultError(
            f"The model of run {run_id} of {path} also holds {', '.join(more)}, which are not kept with its "
            "parameters. Open a run without BatchNorm."
        )
    order, labels = _split(program.split_by, values, arrays_of)
    train_rows = np.zeros(table.num_examples, bool)
    train_rows[np.asarray(order)[: config.num_train]] = True
    params = results.params(path, step=step, **selection)
    last = int(arrays["last_step"][index]) if step is None else step
    return LiveRun(config, program.model, params, last, table, train_rows, np.asarray(labels))


def snapshots(path: str | os.PathLike, **selection) -> Iterator[LiveRun]:
    """The run at every step whose parameters were kept, the final ones last; see `open_run` for the arguments.

    The table and the split are made once, and so is the compiled program.
    """
    own = {which: part for which, part in selection.items() if which in (*COMPONENTS, "loss", "metrics")}
    selection = {n: value for n, value in selection.items() if n not in own or isinstance(value, str)}
    run = open_run(path, **own | selection)
    for step in results.snapshot_steps(path, **selection):
        params = results.params(path, step=step, **selection)
        yield dataclasses.replace(run, params=params, step=step)


def _config(path, meta: Mapping[str, Any], index: tuple[int, ...], own: Mapping[str, Any], metrics) -> Config:
    """The configuration of one run of a result, from its meta and the components that are the user's code."""
    flat = dict(meta["config"])
    for place, points in zip(index, meta["axes"].values(), strict=True):
        flat |= points[place]
    seeds = {f"{stream}_seed": int(np.array(meta["seeds"][stream])[index]) for stream in STREAMS}
    flat |= {name: None if seed == flat.get("seed", 0) else seed for name, seed in seeds.items()}
    names = flat.pop("metrics", [])
    if "loss" not in own and (name := flat.get("loss", "cross_entropy")) not in losses.LOSSES:
        raise ResultError(f"{path} was trained by a loss of yours, {name}. Pass it, as in loss={name}.")
    flat = {name: value for name, value in flat.items() if value is not None} | dict(own)  # None: the default
    try:
        parts = {w: component(w, flat[w]) if isinstance(flat[w], str) else flat[w] for w in COMPONENTS}
        known = {name for part in (*parts.values(), Config) for name in settings(part)}
        overrides = parts | {name: value for name, value in flat.items() if name in known}
        base = Config(task=modular(), model=Decoder(), optimizer=AdamW())
        ours = tuple((name, None) for name in names if "=" not in name)
        config = configured(base, overrides)
        start = _start(meta, index)
        return dataclasses.replace(config, metrics=ours if metrics is None else metrics, start=start)
    except ConfigError as error:
        code = [which for which in COMPONENTS if which not in own]
        raise ResultError(
            f"A run of {path} cannot be configured again: {error} Pass what you gave to the sweep, such as "
            f"{code[0] if code else 'metrics'}=..."
        ) from None


def _start(meta: Mapping[str, Any], index: tuple[int, ...]) -> Start | None:
    """What one run of a result started from, known by its hash; None where its seed drew that."""
    told = {name: np.array(of, object)[index] for name, of in meta.get("starts", {}).items()}
    return Start(**told) if told.get("content") else None


@functools.lru_cache(maxsize=8)
def _watcher(model: nn.Module):
    return jax.jit(functools.partial(watched, model))


def watched(model: nn.Module, params, inputs: Real[Array, "batch length"]) -> dict[str, Array]:
    """The intermediates of a model in one forward pass, by name; see `LiveRun.cache`.

    Args:
      model: any Linen module, fitted to its table.
      params: of it.
      inputs: tokens or features.
    """
    found: dict[str, Array] = {}

    def keep(name: str, value):
        leaves = value if isinstance(value, tuple) else (value,)
        names = [f"{name}.{i}" for i in range(len(leaves))] if isinstance(value, tuple) else [name]
        for own, leaf in zip(names, leaves, strict=True):
            if isinstance(leaf, jax.Array):
                calls = sum(other.partition("#")[0] == own for other in found)
                found[f"{own}#{calls + 1}" if calls else own] = leaf

    def watch(method, args, kwargs, context):
        value = method(*args, **kwargs)
        called = context.method_name
        if called == "__call__" or not (called.startswith("_") or called == "setup"):
            name = ".".join((*context.module.path, *(() if called == "__call__" else (called,))))
            if name:
                if args:
                    keep(f"{name}.input", args[0])
                keep(name, value)
        return value

    with nn.intercept_methods(watch):
        found["logits"] = model.apply({"params": params}, inputs)
    for layer in range(model.num_layers) if isinstance(model, Decoder) else ():
        queries, keys = found[f"block_{layer}.queries"], found[f"block_{layer}.keys_values.0"]
        everywhere = queries.shape[1] == keys.shape[1]
        places = np.arange(keys.shape[1]) if everywhere else np.array(model.answer_positions)
        found[f"block_{layer}.attention"] = attention(queries, keys, places)
    return found


def attention(
    queries: Float[Array, "batch q heads features"],
    keys: Float[Array, "batch k heads features"],
    places: Int[np.ndarray, " q"],
) -> Float[Array, "batch q k heads"]:
    """Causal attention: the softmax over keys of the scaled products, for queries at these positions."""
    scores = jnp.einsum("bqhd,bkhd->bqkh", queries, keys) * queries.shape[-1] ** -0.5
    visible = np.arange(keys.shape[1]) <= places[:, None]
    return jax.nn.softmax(jnp.where(visible[..., None], scores, -jnp.inf), axis=2)
