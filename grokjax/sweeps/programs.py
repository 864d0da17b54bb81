"""Compiled programs: 'W lanes advance by one chunk', and what they need."""

import contextlib
import functools
import threading
import traceback
import types
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import grokjax
from grokjax import optimizers, runs
from grokjax.config import ConfigError, CountedModel, Start, offers
from grokjax.runs import Program, RunState, RunValues, TableArrays

compilations = 0
"""How often a program has been compiled (or read from the persistent cache) in this process."""

OPTIONS: dict[str, int | bool | str] = {}
"""Options that training programs are compiled with, besides XLA's own choice and `CPU_OPTIONS`."""

CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
"""Options of training programs on a CPU, where XLA knows them: of what is not a product, nothing goes to YNNPACK.

Its fusions of products with sums and reductions are slower than XLA's own loops: with this, steps are 5 to 8 % faster
in transformers of width 128 and 20 to 25 % at width 24 (two cores of an AMD EPYC).
"""

INITIAL_OPTIONS = {"xla_backend_optimization_level": 0}
"""Options of the programs that make initial states on a CPU: run once a run, they are compiled fast, not to be fast."""

TOGETHER = {"tpu": 1}
"""Lanes that advance as one vmapped computation, by platform; more of them take turns, each for a whole chunk.

What one lane of a small model works on fits a TPU's fast memory, and its compiler takes many times as long for vmapped
lanes: see docs/speed.md. Whether some more at once would be faster has not been tried on a TPU.
"""

_lock, _initialising = threading.Lock(), threading.Lock()


class Compiled(NamedTuple):
    """One program for one number of lanes on one device.

    Attributes:
      advance: (values, table, state, num_steps, evaluates, due) -> (state, `Measured`); donates the state.
      workspace: bytes it needs besides its arguments.
    """

    advance: Any
    workspace: int


def check(program: Program, values: RunValues, table: TableArrays) -> None:
    """Traces a program that has a user's code in it; ConfigError that says what of it raised what, and where."""
    if not program.users_code:
        return
    scalars = np.int32(1), np.bool_(True), np.bool_(True)
    with _explaining(program):
        state = state_shapes(program, values, table)
        jax.eval_shape(functools.partial(runs.train_chunk, program), values, table, state, *scalars)


@contextlib.contextmanager
def _explaining(program: Program):
    """While inside, what a user's code raises becomes a ConfigError: what of the program raised what, and where."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if not program.users_code:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        ours = str(Path(grokjax.__file__).parent), "site-packages", "dist-packages"
        places = [f" ({f.filename}:{f.lineno})" for f in frames if not any(name in f.filename for name in ours)]
        first_line = str(error).strip().partition("\n")[0].removesuffix(".")
        if first_line.endswith(":"):  # what differs is on the lines below
            first_line = " ".join(str(error).split())
        raise ConfigError(
            f"A program with {' and '.join(program.users_code)} cannot be made: {type(error).__name__}: "
            f"{first_line[:300]}{places[-1] if places else ''}.{_hint(error, frames)}"
        ) from None


def _hint(error: Exception, frames: traceback.StackSummary) -> str:
    """What to try where a user's code cannot be traced; '' where nothing is known."""
    if isinstance(error, jax.errors.JAXTypeError) or (isinstance(error, TypeError) and "racer" in str(error)):
        if any("optax" in Path(frame.filename).parts for frame in frames):
            return (
                " Values are traced, and this part of optax compares them. Give it numbers and scale what it returns: "
                "lambda step: h.learning_rate * optax.warmup_cosine_decay_schedule(0.0, 1.0, 10, 1000)(step)."
            )
        return " Values are traced: use jax.numpy, and jnp.where in place of if."
    named = {frame.name for frame in frames}
    if isinstance(error, TypeError) and "keyword" in str(error) and "train_step" in named and "batch_loss" not in named:
        return (
            f" An update may ask for {', '.join(optimizers.EXTRA_ARGUMENTS)}; one that takes none of them goes into a "
            "chain as optax.GradientTransformation(it.init, it.update)."
        )
    if isinstance(error, AttributeError) and isinstance(error.obj, types.SimpleNamespace):
        return f" Declare it with its default, as in grokjax.optimizers.custom(function, {error.name}=1.0)."
    return ""


def state_shapes(program: Program, values: RunValues, table: TableArrays) -> RunState:
    """Shapes and dtypes of one run's state; nothing is computed."""
    return _state_shapes(program, *_shapes((values, table)))


def state_bytes(program: Program, values: RunValues, table: TableArrays) -> int:
    """Bytes of one run's state; nothing is computed."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state_shapes(program, values, table)))


def step_operations(program: Program, table: TableArrays) -> int | None:
    """Floating-point operations that one optimizer update needs in matrix products.

    Three times those of the forward pass of a batch: forward, gradient of the inputs, gradient of the matrices; once
    more where the initial function is subtracted. None for a model that does not say.
    """
    forward = forward_operations(program, table, program.batch_rows)
    return None if forward is None else (3 + program.centred) * forward


def forward_operations(program: Program, table: TableArrays, rows: int) -> int | None:
    """Floating-point operations of the matrix products of one forward pass over `rows` rows."""
    if not offers(program.model, CountedModel):
        return None
    return program.model.operations(rows, None if program.drops or program.stream else table.prefixes)


def _shapes(tree) -> tuple[Any, tuple]:
    """The structure of a tree and the shapes and dtypes of its leaves: what a program knows of its arguments."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), leaf.dtype) for leaf in leaves)


def _of_shapes(structure, leaves):
    return jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in leaves])


@functools.cache
def _state_shapes(program: Program, structure, leaves) -> RunState:
    with _explaining(program):
        return jax.eval_shape(functools.partial(runs.init_run, program), *_of_shapes(structure, leaves))


def started(program: Program, values: RunValues, table: TableArrays, start: Start | None):
    """The parameters that a run starts from, in NumPy; None where its seed draws them.

    Raises:
      ConfigError: for weights of other names or shapes than the model's parameters, or a model that also holds others.
    """
    if start is None:
        return None
    state, arrays = state_shapes(program, values, table), start.arrays()
    kind = type(program.model).__name__
    if state.variables:
        raise ConfigError(
            f"The model {kind} also holds {', '.join(sorted(state.variables))}, which {start.title} lack. Start one "
            "without BatchNorm."
        )
    leaves, structure = jax.tree_util.tree_flatten_with_path(state.params)
    shapes = {"/".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in leaves}
    wrong = [f"they lack {name}" for name in shapes if name not in arrays]
    wrong += [f"they have {name}, which the model has not" for name in arrays if name not in shapes]
    wrong += [
        f"{name} has shape {arrays[name].shape} and {leaf.shape} in the model"
        for name, leaf in shapes.items()
        if name in arrays and arrays[name].shape != leaf.shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
        raise ConfigError(f"{start.title[0].upper()}{start.title[1:]} do not fit the model {kind}: {wrong[0]}{more}.")
    return jax.tree.unflatten(structure, [arrays[name].astype(leaf.dtype) for name, leaf in shapes.items()])


def initial_state(
    program: Program, values: RunValues, table: TableArrays, device: jax.Device, start: Start | None = None
) -> RunState:
    """The state of one run before its first step, on `device`; its parameters are those of `start`, if it is given.

    It is always computed by the same programs on the first device, so that it does not depend on where, and beside
    how many others, the run is trained. They are `init_run` in three pieces, of which runs with other optimizers
    share two and runs on other models one.
    """
    lean, params = table._replace(inputs=table.inputs[:1], prefixes=None), started(program, values, table, start)
    with _initialising:
        rows = _jitted(runs.init_rows, program.split_by)(values._replace(hyper={}), lean)
        variables = _jitted(runs.init_variables, program.model, program.precision)(values.seeds["init"], lean.inputs)
        state = _jitted(runs.begin, program)(values, rows, variables, params)
    return state if device == jax.local_devices()[0] else jax.device_put(state, device)


@functools.cache
def _cpu_options() -> dict[str, int | bool | str]:
    """`CPU_OPTIONS`, or nothing where this version of XLA refuses them."""
    try:
        jax.jit(lambda x: x, compiler_options=CPU_OPTIONS).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return CPU_OPTIONS


@functools.cache
def _jitted(function, *static):
    options = INITIAL_OPTIONS if jax.default_backend() == "cpu" else None
    return jax.jit(functools.partial(function, *static), compiler_options=options)


def compiled(program: Program, values: RunValues, table: TableArrays, lanes: int, device: jax.Device) -> Compiled:
    """The program that advances `lanes` runs on `device`, compiled at its first use in this process.

    The per-run values enter by shape alone, and so does the table: tables of equal shapes share a program.

    Args:
      program: static.
      values: of any run of the program.
      table: of any task with these shapes.
      lanes: runs that advance together; 1 is compiled without `vmap`.
      device: to run on.
    """
    shapes = _shapes((values, table))
    key = (program, *shapes, lanes, device, tuple(OPTIONS.items()))
    with _lock:
        entry = _entries.setdefault(key, _Entry(program, *shapes, lanes, device))
    return entry.get()


class _Entry:
    """Compiles once, whichever thread asks first; others of the same key wait, those of other keys do not."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.lock = threading.Lock()
        self.result = None

    def get(self) -> Compiled:
        with self.lock:
            if self.result is None:
                self.result = _compile(*self.arguments)
            return self.result


_entries: dict[Any, _Entry] = {}


def forget() -> None:
    """Forgets every compiled program, so that the next use compiles it again or reads it from the persistent cache."""
    with _lock:
        _entries.clear()
    _jitted.cache_clear()
    _state_shapes.cache_clear()


def lower(
    program: Program, values: RunValues, table: TableArrays, lanes: int, where: jax.Device | str
) -> jax.stages.Lowered:
    """The program that advances `lanes` runs, lowered and not yet compiled.

    Args:
      program: static.
      values, table: as in `compiled`.
      lanes: runs that advance together.
      where: a device, which may be one that is described and not there; or a platform alone, such as 'cuda'.
    """
    return _lower(program, *_shapes((values, table)), lanes, where)


def _lower(program, structure, leaves, lanes, where) -> jax.stages.Lowered:
    (values, table), state = _of_shapes(structure, leaves), _state_shapes(program, structure, leaves)
    platform = where if isinstance(where, str) else where.platform
    if lanes > 1:
        values, state = jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), (values, state))
    due = jax.ShapeDtypeStruct((lanes,) if lanes > 1 else (), np.bool_)
    scalars = jax.ShapeDtypeStruct((), np.int32), jax.ShapeDtypeStruct((), np.bool_), due
    here = None if isinstance(where, str) else jax.sharding.SingleDeviceSharding(where)
    arguments = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), (values, table, state, *scalars)
    )
    with _explaining(program):  # what tracing alone does not find, such as a derivative that is not defined
        traced = jax.jit(_advancing(program, lanes, platform), donate_argnums=2).trace(*arguments)
        return traced.lower(lowering_platforms=(platform,))


def _advancing(program: Program, lanes: int, platform: str):
    """The function that advances so many lanes by one chunk; of one alone, without an axis for them."""
    advance = functools.partial(runs.train_chunk, program)
    if lanes == 1:
        return advance
    if lanes <= (together := TOGETHER.get(platform, lanes)):
        return jax.vmap(advance, in_axes=(0, None, 0, None, None, 0))

    def in_turns(values, table, state, num_steps, evaluates, due):
        def one(lane):
            values, state, due = lane
            return advance(values, table, state, num_steps, evaluates, due)

        return jax.lax.map(one, (values, state, due), batch_size=together)

    return in_turns


def _compile(program, structure, leaves, lanes, device) -> Compiled:
    global compilations
    options = (_cpu_options() if device.platform == "cpu" else {}) | OPTIONS
    executable = _lower(program, structure, leaves, lanes, device).compile(options or None)
    with _lock:
        compilations += 1
    analysis = executable.memory_analysis()
    return Compiled(executable, getattr(analysis, "temp_size_in_bytes", 0))
