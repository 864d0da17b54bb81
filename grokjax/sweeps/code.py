"""A user's code is known by what it computes: by the program it lowers to, not by its text.

    for each program that has a user's code in it (runs that differ in traced values share one):
        for each piece of that code (model, optimizer, loss, metric, task):
            lower what a run calls of it, for the shapes that the run gives it
            hash the lowered text
    a run's identity has these hashes in it

So a comment changes nothing, and an edited helper in another file or notebook cell changes everything. Each piece is
lowered by itself, not within the engine's step, so that an engine that computes the same in another way is no other
code. Gradients are lowered as well: `stop_gradient` leaves no trace in a forward pass.

Another version of JAX lowers the same code to another text. There, and only there, a piece whose source is unchanged
is taken as the same (`adopted`), and the sweep says so.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from grokjax import losses, metrics, runs
from grokjax.config import PROGRAM, Config, Task, settings
from grokjax.models import MODELS, fitting
from grokjax.optimizers import OPTIMIZERS
from grokjax.runs import Program, RunState, RunValues, TableArrays
from grokjax.source import source_hash
from grokjax.sweeps.programs import check, state_shapes
from grokjax.tasks import TASKS, custom
from grokjax.tasks.table import Table


@dataclasses.dataclass(frozen=True)
class Code:
    """One piece of a user's code, as one program calls it.

    Attributes:
      piece: 'model', 'optimizer', 'loss', 'task' or 'metrics.<name>'.
      name: its qualified name.
      computes: hash of the text that it lowers to, 16 hexadecimal digits.
      source: hash of its source, 12 hexadecimal digits.
      program: hash of the settings that shape the program, without any code.
      versions: of the packages that lowered it.
    """

    piece: str
    name: str
    computes: str
    source: str
    program: str
    versions: str

    @property
    def title(self) -> str:
        """How messages call it, e.g. 'the model Mine'."""
        kind, _, name = self.piece.partition(".")
        return f"the metric {name}" if name else f"the {kind} {self.name}"


def has_users_code(config: Config) -> bool:
    """Whether any of a run's code is a user's; a table or function that gives a task is known by its content."""
    return (
        type(config.model) not in MODELS.values()
        or type(config.optimizer) not in OPTIMIZERS.values()
        or not isinstance(config.loss, str)
        or _is_users_task(config.task)
        or any(metrics.METRICS.get(name) is not function for name, function in metrics.chosen(config.metrics))
    )


def _is_users_task(task: Task) -> bool:
    return type(task) not in TASKS.values() and not hasattr(task, "identity")


def forget() -> None:
    """Forgets what is kept of a user's functions within a process, which may have been edited since."""
    custom.forget()
    fitting.forget()


def codes_of(program: Program, config: Config, table: Table, static: Mapping[str, Any], versions: str) -> tuple:
    """The pieces of a user's code in a program.

    Args:
      program: that trains the run.
      config: of the run.
      table: the task's examples.
      static: the settings that shape the program, JSON-able.
      versions: of the packages that lower it.

    Returns:
      A `Code` each, in a fixed order.

    Raises:
      ConfigError: for code that raises an error when it is traced.
    """
    arrays, values = TableArrays.of(table, program), RunValues.of(config)
    check(program, values, arrays)
    shapes = jax.tree.map(_shape, (values, arrays))
    given = program, *shapes, state_shapes(program, values, arrays)
    pieces = []
    if type(program.model) not in MODELS.values():
        fields = [getattr(config.model, f.name) for f in dataclasses.fields(config.model) if f.name not in _NOT_OURS]
        pieces.append(("model", type(program.model), _model(*given), [type(program.model), fields]))
    if type(program.optimizer) not in OPTIMIZERS.values():
        build = getattr(program.optimizer, "build", type(program.optimizer))
        pieces.append(("optimizer", build, _optimizer(*given), build))
    if not isinstance(program.loss, str):
        pieces.append(("loss", program.loss, _loss(*given), program.loss))
    if _is_users_task(config.task):
        drawn = _stream(program) if program.stream is not None else ""
        pieces.append(("task", type(config.task), f"{table.fingerprint} {drawn}", type(config.task)))
    lowered = _metrics(*given)
    for name, function in program.metrics:
        if metrics.METRICS.get(name) is not function:
            pieces.append((f"metrics.{name}", function, lowered[name], function))
    shaped = _hashed(json.dumps([static, program.batch_rows], sort_keys=True))
    return tuple(
        Code(piece, getattr(code, "__qualname__", type(code).__qualname__), computes, source, shaped, versions)
        for piece, code, text, parts in pieces
        for source in [source_hash(parts)]
        for computes in [_hashed(f"{text} {source}" if "callback" in text else text)]  # the text has only its number
    )


_NOT_OURS = ("parent", "name")
"""Fields that Flax adds to every module."""


def _shape(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lowered(function, *shapes) -> str:
    """The StableHLO of a function for a CPU, whatever the machine has, its constants included."""
    lowered = jax.jit(lambda *arguments: function(*arguments)).trace(*shapes).lower(lowering_platforms=("cpu",))
    # Where JAX passes large constants as arguments they are not in the text.
    apart = getattr(getattr(lowered, "_lowering", None), "const_args", ())
    return lowered.as_text() + "".join(hashlib.sha256(np.asarray(x).tobytes()).hexdigest() for x in apart)


def _model(program: Program, values: RunValues, table: TableArrays, state: RunState) -> str:
    """What a run calls of a model: its initial parameters, its logits in evaluation, and both ways in training."""
    rows = jax.ShapeDtypeStruct((program.batch_rows,), np.int32)
    inputs = jax.ShapeDtypeStruct((program.batch_rows, table.inputs.shape[1]), table.inputs.dtype)
    counts = jax.ShapeDtypeStruct((program.batch_rows,), np.bool_)
    rows = None if program.stream is not None else rows

    def initial(seed, inputs):
        return runs.init_variables(program.model, program.precision, seed, inputs)

    def evaluated(values, table, state, inputs, rows):
        return runs.logits(program, values, table, state, inputs, rows)

    def trained(values, table, state, inputs, rows, counts, seed):
        def forward(params):
            replaced, key = state._replace(params=params), jax.random.key(seed)
            return runs.logits(program, values, table, replaced, inputs, rows, counts, key)

        z, backward, variables = jax.vjp(forward, state.params, has_aux=True)
        return z, variables, backward(z)

    with jax.default_matmul_precision(program.precision):
        return "\n".join(
            (
                _lowered(initial, values.seeds["init"], jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype)),
                _lowered(evaluated, values, table, state, inputs, rows),
                _lowered(trained, values, table, state, inputs, rows, counts, values.seeds["dropout"]),
            )
        )


def _optimizer(program: Program, values: RunValues, table: TableArrays, state: RunState) -> str:
    """What a run calls of an optimizer: its initial state, and its update, with a stand-in for the loss."""

    def initial(hyper, params):
        return program.optimizer.chain(hyper).init(params)

    def value(params, *, key=None, obj_fn=None, grad_fn=None):  # which line searches hand on
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(params))

    def updated(hyper, gradient, state, params, seed):
        extra = dict(key=jax.random.key(seed), value=value(params), grad=gradient, value_fn=value, obj_fn=value)
        extra |= dict(grad_fn=lambda params, number=0: jax.grad(value)(params))
        return program.optimizer.chain(hyper).update(gradient, state, params, **extra)

    with jax.numpy_dtype_promotion("standard"), jax.default_matmul_precision(program.precision):
        return "\n".join(
            (
                _lowered(initial, values.hyper, state.params),
                _lowered(updated, values.hyper, state.params, state.optimizer, state.params, values.seeds["noise"]),
            )
        )


def _loss(program: Program, values: RunValues, table: TableArrays, state: RunState) -> str:
    """What a loss computes of logits and labels, and its gradient."""
    inputs = jax.ShapeDtypeStruct((program.batch_rows, table.inputs.shape[1]), table.inputs.dtype)
    labels = jax.ShapeDtypeStruct((program.batch_rows, table.labels.shape[1]), table.labels.dtype)
    rows = None if program.stream is not None else jax.ShapeDtypeStruct((program.batch_rows,), np.int32)
    z = jax.eval_shape(lambda *given: runs.logits(program, *given)[0], values, table, state, inputs, rows)

    def trained(z, labels):
        lost, backward = jax.vjp(lambda z: losses.answer_losses(z, labels, program.loss, program.loss_dtype), z)
        return lost, backward(lost)

    return _lowered(trained, z, labels)


def _metrics(program: Program, values: RunValues, table: TableArrays, state: RunState) -> dict[str, str]:
    """By name, what each of a user's metrics computes of what an evaluation gives it."""
    given: dict[str, Mapping[str, Any]] = {}

    def recording(name, metric):
        @functools.wraps(metric)  # whose signature says what it asks for
        def recorded(**arguments):
            given[name] = {key: jax.tree.map(_abstract, value) for key, value in arguments.items()}
            return metric(**arguments)

        return recorded

    users = {name: metric for name, metric in program.metrics if metrics.METRICS.get(name) is not metric}
    recorders = {name: recording(name, metric) for name, metric in users.items()}
    watched = tuple((name, recorders.get(name, metric)) for name, metric in program.metrics)
    evaluated = dataclasses.replace(program, metrics=watched)
    with jax.default_matmul_precision(program.precision):
        jax.eval_shape(functools.partial(runs.evaluate, evaluated), values, table, state)
        return {name: _metric(metric, given[name]) for name, metric in users.items()}


def _metric(metric, given: Mapping[str, Any]) -> str:
    traced = {key: value for key, value in given.items() if _is_traced(value)}
    fixed = {key: value for key, value in given.items() if key not in traced}
    return _lowered(lambda traced: metric(**traced, **fixed), traced)


def _abstract(leaf):
    return _shape(leaf) if hasattr(leaf, "dtype") else leaf


def _is_traced(value) -> bool:
    return all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(value))


def _stream(program: Program) -> str:
    """What a task draws its rows by."""
    seed = jax.ShapeDtypeStruct((), np.int32)
    return _lowered(lambda seed: program.stream.sample(jax.random.key(seed), program.batch_rows), seed)


def static_part(config: Config, identity: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What of a run's `identity` shapes the program: not settings that are traced or that only the host reads."""
    owners = {"task": config.task, "model": config.model, "optimizer": config.optimizer, "run": config}
    static = {}
    for which, owner in owners.items():
        shaping = {name for name, field in settings(owner).items() if field.metadata["role"] == PROGRAM}
        static[which] = {name: value for name, value in identity[which].items() if name in shaping or name == which}
    return static


def adopted(codes: Iterable[Code], earlier: Iterable[Mapping[str, str]]) -> dict[Code, Code]:
    """Pieces of code that an earlier result holds under another hash, since other versions lowered them.

    Args:
      codes: of the runs asked for.
      earlier: of the runs of a result, as `as_meta` gives them.

    Returns:
      By piece, the one to take it as: of the same name, source and program, lowered by other versions. Pieces that the
      result has under their own hash, or that it does not have, are left out.
    """
    before = [Code(**entry) for entry in earlier]
    known = {(code.piece, code.computes) for code in before}
    found = {}
    for code in dict.fromkeys(codes):
        if (code.piece, code.computes) in known:
            continue
        for old in before:
            same = dataclasses.replace(old, computes=code.computes, versions=code.versions) == code
            if same and old.versions != code.versions:
                found[code] = old
    return found


def as_meta(codes: Iterable[Code]) -> list[dict[str, str]]:
    """The distinct pieces as meta stores them."""
    return [dataclasses.asdict(code) for code in dict.fromkeys(codes)]


def differences(old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]], path: Path) -> list[str]:
    """In words, the pieces of code that a result was trained with and that compute something else now."""
    found = []
    for piece in dict.fromkeys(entry["piece"] for entry in new):
        ours, theirs = ([Code(**e) for e in entries if e["piece"] == piece] for entries in (new, old))
        if theirs and not {c.computes for c in ours} & {c.computes for c in theirs}:
            found.append(f"{ours[0].title} computes something else than when {path.name} was trained")
    return found
