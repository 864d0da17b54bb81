"""What a run is told: frozen settings, their ranges, and what is fixed in a program or varies per run.

Every setting has one name, which is at once the flag, the keyword of `grokjax.sweep` and the axis of a result.
Each default is written once, where the setting is declared.
"""

import copy
import dataclasses
import decimal
import difflib
import functools
import inspect
import math
import numbers
import shlex
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np

from grokjax import other_names

PROGRAM = "program"
"""Role of a setting that shapes the compiled program: changing it compiles another one."""
RUN = "run"
"""Role of a setting that is a traced value of the program: changing it never recompiles."""
HOST = "host"
"""Role of a setting that only the host reads (budgets, evaluation steps, stopping)."""

WIDEST, DEEPEST = 10_000_000, 128
"""Features and layers that a model may have: beyond them even its description is too large to be made."""

STREAMS = ("split", "init", "batch", "dropout", "label", "noise")
"""The random streams of a run, each with a seed of its own."""


def folded(name: str) -> str:
    """`name` as names are compared: in lower case, '-' being '_'."""
    return name.lower().replace("-", "_")


def _by_name(table: Mapping[str, str]) -> dict[str, str]:
    """By each of the names that an entry holds, ours or the sentence of the entry."""
    return {folded(other): ours for ours, others in table.items() for other in others.split()}


OTHER_NAMES = _by_name(other_names.SAME)
"""Ours, by each name that other projects have for it."""
SENTENCES = _by_name(other_names.SENTENCES)
"""What to do, by each name that has no single counterpart here."""
OTHER_VALUES = {setting: _by_name(table) for setting, table in other_names.VALUES.items()}
VALUE_SENTENCES = {setting: _by_name(table) for setting, table in other_names.VALUE_SENTENCES.items()}
"""The same of the values of a setting."""

FEW = 20
"""Names that a message lists; of more it has the nearest."""

SNAP_DIGITS, SNAP_ERROR = 8, 1e-12
FLOAT32_DIGITS, FLOAT32_ERROR = 4, 2.5e-7
"""A number is read as a decimal of so few digits that lies so near, relative to it: as rounding leaves it in float64,
and in float32."""
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Sizes that a number has in float32, in which runs compute."""
LARGEST_EXPONENT = 400
"""Beyond that of any float; a number with a larger one is refused before anything is computed with it."""


class ConfigError(ValueError):
    """A setting or a combination of settings that cannot be run: what, got, why, try."""


def setting(
    default,
    help: str,
    *,
    role: str = PROGRAM,
    kind: type | None = None,
    choices: tuple | None = None,
    names: tuple = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    label: str | None = None,
    on: float | None = None,
    later: bool = False,
):
    """Declares one setting of a frozen dataclass, with its range.

    Args:
      default: the value when none is given; None means "derived", as `help` tells.
      help: one line, shown by --help.
      role: `PROGRAM`, `RUN` or `HOST`.
      kind: int, float, bool or str; taken from `default` when that is not None.
      choices: the values allowed, if only these are.
      names: values that are names, where others are allowed too. Names are read without regard to case.
      low, high: closed bounds. above, below: open bounds.
      label: how a figure's axis names it, when the name alone would not do.
      on: for a per-run setting whose default leaves a whole computation out of the program: what stands for every
        other value in the program's description. So there are two programs, without it and with it.
      later: whether it was added once results existed. It is left out of a run's identity while it stands at its
        default, so that the run ids of those results hold.

    Returns:
      A dataclass field carrying all this in its metadata.
    """
    metadata = dict(
        help=help,
        role=role,
        kind=kind or type(default),
        choices=choices,
        names=choices or names,
        low=low,
        high=high,
        above=above,
        below=below,
        label=label,
        on=on,
        later=later,
        optional=default is None,
    )
    return dataclasses.field(default=default, metadata=metadata)


def settings(owner) -> Mapping[str, dataclasses.Field]:
    """The settings declared by a dataclass or an instance of one, by name; read-only.

    A field that declares nothing, as those of a user's own Flax module, is a setting if its default is a number, a
    name, true or false.
    """
    return _settings(owner if isinstance(owner, type) else type(owner))


@functools.lru_cache(maxsize=1024)
def _settings(owner: type) -> Mapping[str, dataclasses.Field]:
    fields = {f.name: f for f in dataclasses.fields(owner)}
    declared = {
        name: f if "role" in f.metadata else _plain_setting(f)
        for name, f in fields.items()
        if "role" in f.metadata or isinstance(f.default, PLAIN)
    }
    return types.MappingProxyType(declared)


def refusing(cls):
    """Has a class of settings answer what it is not made of by a ConfigError, which names the setting that is meant.

    Args:
      cls: a dataclass, or a Flax module, whose fields are settings.

    Returns:
      The class itself.
    """
    made = cls.__init__
    signature = inspect.signature(made)

    @functools.wraps(made)
    def init(self, *args, **given):
        try:
            signature.bind(self, *args, **given)
        except TypeError as error:
            given = dict(zip(list(signature.parameters)[1:], args, strict=False)) | given
            raise ConfigError(_not_made_of(cls, given, error)) from None
        made(self, *args, **given)

    cls.__init__ = init
    return cls


SWEEP_KEYWORDS = (
    "out",
    "overwrite",
    "dry_run",
    "lanes",
    "num_devices",
    "zip",
    "progress",
    "snapshots",
    "checkpoint_minutes",
    "keep_checkpoints",
    "process_id",
    "num_processes",
    "coordinator",
    "num_seeds",
    "variant",
)
"""Keywords of `grokjax.sweep` besides the settings."""


def _not_made_of(cls, given: Mapping[str, Any], error: TypeError) -> str:
    """The message for arguments that a class of settings does not take, or lacks."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in given:
        if name not in fields:
            ours = OTHER_NAMES.get(folded(name), name)
            called = f", called {ours} here" if ours != name else ""
            owners = [w for w in COMPONENT_METHODS if w in given and _is_component(w, given[w])]
            for which in owners:
                if ours in settings(given[which]):
                    return (
                        f"{name} is a setting of the {which}{called}. Give it where the {which} is made, or try "
                        f"grokjax.sweep(config, {ours}={shown(given[name])})."
                    )
            if cls is Config and ours in SWEEP_KEYWORDS:
                return f"{name} is no setting of a run. Try grokjax.sweep(config, {ours}={shown(given[name])})."
            return str(unknown_name(f"setting of {cls.__name__}", name, fields))
    for name, field in fields.items():
        if name not in given and field.default is field.default_factory is dataclasses.MISSING:
            return f"{cls.__name__} needs {name}=. {COMPONENT_HINTS.get(name, '')}".strip()
    return f"{cls.__name__} cannot be made: {error}."


PLAIN = (bool, int, float, str)


def _plain_setting(field: dataclasses.Field) -> dataclasses.Field:
    """A field that is not declared by `setting`, as if it were."""
    declared = setting(field.default, f"default: {field.default}")
    declared.name = field.name
    return declared


def check_settings(owner) -> None:
    """Converts every setting of a frozen dataclass to its kind and checks its range, in place.

    Warns of a number that is read as another, the short decimal that it is but for rounding (see `snapped`).

    Raises:
      ConfigError: naming the setting, the value, the bound and a value to try.
    """
    for name, field in settings(owner).items():
        given = getattr(owner, name)
        if several(given):
            raise ConfigError(
                f"{name}={shown(given)} holds several values, and one run has one of them. Try "
                f"grokjax.sweep(config, {name}=...), where they make an axis."
            )
        value = checked(name, given, field)
        if isinstance(given, float) and value != given:
            warnings.warn(f"{name}={given} is read as {value}.", stacklevel=4)
        object.__setattr__(owner, name, value)


def plain(value):
    """A number of any kind as Python's own int, float or bool; anything else unchanged.

    Such as a scalar or an array of no axes of NumPy, JAX or PyTorch, a fraction or a decimal. A float of few bits
    becomes the shortest decimal that gives it: float32's 0.3 is 0.3.
    """
    if isinstance(value, str | bool | int | float) and not isinstance(value, np.generic):
        return value
    try:
        if hasattr(value, "__array__") and not isinstance(value, type):
            array = np.asarray(value)
            short = array.dtype.kind in "fV" and array.dtype != np.float64  # V: bfloat16 and its like
            return value if array.ndim else float(str(array[()])) if short else array.item()
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, decimal.Decimal):  # one that no float holds stays, to be named as it is
            number = float(value)
            return value if math.isinf(number) != value.is_infinite() or (value and not number) else number
        return float(value) if isinstance(value, numbers.Real) else value
    except (TypeError, ValueError, ArithmeticError, RuntimeError):  # such as a key of JAX, a tensor with a gradient
        return value


def several(value) -> bool:
    """Whether a value holds several others, and is neither text, a mapping, nor a task, model or optimizer."""
    if isinstance(value, str | bytes | bytearray | Mapping | type) or dataclasses.is_dataclass(value):
        return False
    if hasattr(value, "_fields"):  # a chain of optax is a named tuple
        return False
    return getattr(value, "ndim", 0) > 0 if hasattr(value, "__array__") else isinstance(value, Iterable)


def shown(value, text_of: Callable[[Any], str] = str) -> str:
    """A value as messages name it: on one line, and no longer than is read."""
    try:
        text = " ".join(text_of(value).split())
    except Exception:  # such as an integer of too many digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


LONGEST_SHOWN = 80
"""Characters of a value that a message shows."""


def checked(name: str, value, field: dataclasses.Field):
    """One value, converted to the kind of its setting; ConfigError if it lies outside the setting's range."""
    data = field.metadata
    if value is None and data["optional"]:
        return None
    tries = "" if field.default is None else f" The default is {field.default}."
    value = _converted(name, value, data["kind"], tries)
    if isinstance(value, str) and data["names"]:
        value = own_name(value, data["names"])
    if data["choices"] is not None and value not in data["choices"]:
        raise unknown_value(name, value, data["choices"])
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}={value} is not a finite number.{tries}")
    if isinstance(value, float) and data["role"] == RUN and value and not SMALLEST <= abs(value) <= LARGEST:
        raise beyond(name, value, tries)
    bounds = (
        ("low", "at least", lambda bound: value >= bound),
        ("above", "greater than", lambda bound: value > bound),
        ("high", "at most", lambda bound: value <= bound),
        ("below", "less than", lambda bound: value < bound),
    )
    for key, words, holds in bounds:
        if data[key] is not None and not holds(data[key]):
            raise ConfigError(f"{name}={shown(value)} is out of range: it must be {words} {data[key]}.{tries}")
    return value


def beyond(name: str, value, tries: str = "") -> ConfigError:
    return ConfigError(
        f"{name}={value!s:.60} is out of range: runs compute in float32, whose numbers are 0 or of a size from "
        f"{SMALLEST:.1e} to {LARGEST:.1e}.{tries}"
    )


def _converted(name: str, value, kind: type, tries: str):
    """`value` as int, float, bool or str, without losing anything on the way but what rounding has put there."""
    value = plain(value)
    try:
        if kind is bool:
            known = {"true": True, "false": False, "1": True, "0": False}
            if isinstance(value, bool):
                return value
            if not isinstance(value, str | int):
                raise ValueError
            return known[str(value).lower()]
        if isinstance(value, bool):
            raise ValueError
        exact = exact_number(name, value) if kind in (int, float) and isinstance(value, str | Decimal) else None
        if kind is int:
            if exact is None and isinstance(value, str) and "/" not in value:
                raise ValueError
            whole = Fraction(snapped(value) if isinstance(value, float) else value)
            if whole.denominator != 1:
                raise ValueError
            return int(whole)
        if kind is float:
            number = float(value)
            if exact and exact.is_finite() and (not number or math.isinf(number)):
                raise beyond(name, value, tries)
            return snapped(number)
        if not isinstance(value, str):
            raise ValueError
        return value
    except ConfigError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError):
        nouns = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
        raise ConfigError(f"{name}={shown(value)} is not {nouns[kind]}.{tries}") from None


def exact_number(name: str, text: str | Decimal, whole: str | None = None) -> Decimal | None:
    """What a text says if it is a number, exactly; None if it is not.

    Args:
      name: of the setting, for the message.
      text: the number, in decimal.
      whole: what the user wrote, if that is more than the number.

    Raises:
      ConfigError: for a number, such as 1e999999999, that is beyond every float: computing with it could take forever.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if number.is_finite() and number and abs(number.adjusted()) > LARGEST_EXPONENT:
        size = "large" if number.adjusted() > 0 else "small"
        raise ConfigError(f"{name}={whole or text!s:.60} is out of range: {text!s:.60} is too {size} a number here.")
    return number


def snapped(value: float) -> float:
    """The short decimal that a number is but for rounding; the number itself if there is none.

    `np.arange(0.3, 0.5, 0.05)` has 0.44999999999999996 where 0.45 is meant, and a run at 0.45 trains another row and
    has another identity. A number is read as a decimal of at most `SNAP_DIGITS` digits within `SNAP_ERROR` of it; one
    that float32 holds exactly, as 0.44999998807907104, as one of `FLOAT32_DIGITS` within `FLOAT32_ERROR`. So 1/3,
    powers of two and whatever is written in few digits stay what they are.
    """
    near = float(f"{value:.{SNAP_DIGITS}g}")
    if near == value or not math.isfinite(value):
        return value
    if abs(near - value) <= SNAP_ERROR * abs(value):
        return near
    near = float(f"{value:.{FLOAT32_DIGITS}g}")
    if abs(near - value) <= FLOAT32_ERROR * abs(value) and float(np.float32(value)) == value:
        return near
    return value


def own_name(name: str, known) -> str:
    """The one of the known names that `name` is but for case and '-' for '_'; otherwise `name`."""
    return name if name in known else {folded(str(one)): str(one) for one in known}.get(folded(name), name)


def _suggestion(value, known, lists: str = "`grokjax --help` lists all.") -> str:
    """'Did you mean ...? Known: ...' for a value that is not known; where many are, `lists` says what lists them."""
    known = {folded(str(k)): str(k) for k in known}
    many = len(known) > FEW
    close = [known[k] for k in difflib.get_close_matches(folded(shown(value)), known, n=3 if many else 1)]
    mean = f"Did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}? " if close else ""
    return mean + (lists if many else f"Known: {', '.join(known.values())}.")


def unknown_name(what: str, name: str, known) -> ConfigError:
    """The error for a name we do not have, answered with ours where the field calls it otherwise.

    Args:
      what: 'flag', 'setting', 'optimizer', ...
      name: that is not known.
      known: those that are.
    """
    if what != "flag" and not what.startswith("setting"):
        return unknown_value(what, name, sorted(known), f"There is no {what} {name!r}.")
    ours = OTHER_NAMES.get(folded(name))
    if ours in known:
        return ConfigError(f"{name} is called {ours} here. Try --{ours}, in Python {ours}=.")
    if sentence := SENTENCES.get(folded(name)):
        return ConfigError(f"There is no {what} {name!r}. {sentence}")
    lists = "--help lists all." if what == "flag" else "`grokjax --help` lists all."
    return ConfigError(f"There is no {what} {name!r}. {_suggestion(name, sorted(known), lists)}")


def other_value(name: str, value) -> str | None:
    """Our value of a setting, where other projects call it so."""
    return OTHER_VALUES.get(name, {}).get(folded(shown(value)))


def unknown_value(name: str, value, known, what: str | None = None) -> ConfigError:
    """The error for a value that a setting does not have, answered with ours where the field calls it otherwise.

    Args:
      name: of the setting.
      value: given.
      known: its values.
      what: what is wrong, if another sentence says it better.
    """
    what = what or f"{name}={shown(value)} is not known."
    ours = other_value(name, value)
    if ours in known:
        return ConfigError(f"{name}={shown(value)} is called {ours} here. Try --{name}={shlex.quote(ours)}.")
    if sentence := VALUE_SENTENCES.get(name, {}).get(folded(shown(value))):
        return ConfigError(f"{what} {sentence}")
    return ConfigError(f"{what} {_suggestion(value, known)}")


def program_part(owner):
    """`owner` with every per-run setting put back to its default: what the compiled program depends on.

    A setting that is left out of the program at its default stands at its default, or `on` for all other values.
    """
    same = {}
    for name, field in settings(owner).items():
        if field.metadata["role"] == RUN:
            on = field.metadata["on"]
            same[name] = field.default if on is None or getattr(owner, name) == field.default else on
    return dataclasses.replace(owner, **same)


def run_part(owner) -> dict[str, float]:
    """The per-run settings of `owner`, by name."""
    return {name: getattr(owner, name) for name, f in settings(owner).items() if f.metadata["role"] == RUN}


COMPONENT_METHODS = {"task": ("table", "num_examples"), "model": ("init", "apply"), "optimizer": ("chain",)}
"""What tells a task, a model and an optimizer from anything else."""

COMPONENT_HINTS = {
    "task": "Give one, such as grokjax.tasks.modular('add', 97) or grokjax.tasks.from_function(f, modulus=59).",
    "model": "Give a Flax Linen module, such as grokjax.models.Decoder().",
    "optimizer": "Give one, such as grokjax.optimizers.AdamW() or one made by grokjax.optimizers.custom.",
}


def check_component(which: str, value) -> None:
    """ConfigError unless `value` is a task, model or optimizer, as `which` says."""
    if not _is_component(which, value):
        if which == "model" and (advice := nnx_advice(value)):
            raise ConfigError(advice)
        what = f"the class {value.__qualname__}" if isinstance(value, type) else shown(value, repr)
        raise ConfigError(f"{which}={what} is no {which}. {_component_hint(which, value)}")


def _is_component(which: str, value) -> bool:
    is_one = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_one and all(hasattr(value, method) for method in COMPONENT_METHODS[which])


def _component_hint(which: str, value) -> str:
    """What to try in place of what is no task, model or optimizer."""
    if others := [other for other in COMPONENT_METHODS if _is_component(other, value)]:
        return f"It is a {others[0]}: try {others[0]}=..., and name task, model and optimizer."
    if isinstance(value, type) and all(hasattr(value, method) for method in COMPONENT_METHODS[which]):
        return f"Give one of it, such as {value.__qualname__}(), with what it needs in the brackets."
    if which == "optimizer" and hasattr(value, "init") and hasattr(value, "update"):
        return (
            "It is a chain of optax, whose numbers are fixed. Try optimizer=grokjax.optimizers.custom(lambda h: "
            "optax.adamw(h.learning_rate)), with your chain in it: then learning_rate can be swept."
        )
    if which == "optimizer" and inspect.isroutine(value):
        if str(value.__module__).startswith("optax"):
            place = "optax.contrib" if ".contrib" in value.__module__ else "optax"
            return f"Try optimizer=grokjax.optimizers.custom(lambda h: {place}.{value.__name__}(h.learning_rate))."
        return "A function from hyperparameters h to a chain becomes one by grokjax.optimizers.custom(function)."
    return COMPONENT_HINTS[which]


def nnx_advice(value) -> str | None:
    """The line that makes a Flax NNX module, or its class, a Linen one; None for anything else."""
    kind = value if isinstance(value, type) else type(value)
    homes = [".".join(base.__module__.split(".")[:2]) for base in kind.__mro__]
    if "flax.nnx" not in homes or "flax.linen" in homes:  # the bridge's own are both
        return None
    return (
        f"model={kind.__name__} is a Flax NNX module, and a Flax Linen module is needed. "
        f"Try model=flax.nnx.bridge.to_linen({kind.__name__}, ...), with the arguments of {kind.__name__} except rngs."
    )


SEED = dict(role=RUN, kind=int, low=0, high=2**31 - 1)


@refusing
@dataclasses.dataclass(frozen=True)
class Config:
    """Everything one run is told.

    A run is a pure function of this. `task`, `model` and `optimizer` are objects with settings of their own
    (see `grokjax.tasks`, `grokjax.models`, `grokjax.optimizers`); `metrics` are names, or functions by name (see
    `grokjax.metrics`); the rest is here.

    Raises:
      ConfigError: for a value out of range, or a combination that leaves nothing to train or to validate on.
    """

    task: Any
    model: Any
    optimizer: Any
    seed: int = setting(0, "the run's identity; all random streams come from it", **SEED)
    split_seed: int | None = setting(None, "seed of the train/validation split; default: seed", **SEED)
    init_seed: int | None = setting(None, "seed of the initial parameters; default: seed", **SEED)
    batch_seed: int | None = setting(None, "seed of the order of batches; default: seed", **SEED)
    dropout_seed: int | None = setting(None, "seed of the dropout masks; default: seed", **SEED)
    label_seed: int | None = setting(None, "seed of random labels and outliers; default: seed", **SEED)
    noise_seed: int | None = setting(None, "seed of noise on gradient, update and weights; default: seed", **SEED)
    train_fraction: float = setting(
        0.5,
        "share of the table's rows that train; the others validate",
        role=RUN,
        above=0.0,
        high=1.0,
        label="train fraction (alpha)",
    )
    train_rows: int | None = setting(
        None, "rows that train, instead of a fraction", role=RUN, kind=int, low=1, label="training rows N"
    )
    split_by: str = setting(
        "row", "what falls on one side of the split: a row, or all rows of an unordered pair", choices=("row", "pair")
    )
    outliers: int = setting(
        0, "training rows whose answer is replaced by that of another", role=RUN, low=0, label="outliers k"
    )
    batch_rule: str = setting(
        "shuffled",
        "how rows become batches: reshuffled each epoch, the same batches each epoch, all rows at once, or new rows "
        "in each step, drawn without end",
        choices=("shuffled", "fixed", "full", "stream"),
    )
    batch_size: int = setting(512, "rows in a batch (the last of an epoch may be short); unused by 'full'", low=1)
    min_batches: int | None = setting(
        None,
        "shrink the batch so that an epoch has at least so many; default: too large a batch is an error",
        kind=int,
        low=1,
    )
    dropout: float = setting(0.0, "dropout rate on embeddings and residual branches", role=RUN, low=0.0, below=1.0)
    weight_noise: float = setting(
        0.0, "deviation of Gaussian noise on the weights in each training step", role=RUN, low=0.0
    )
    init_scale: float = setting(1.0, "factor on every initial matrix and embedding", role=RUN, above=0.0)
    output_scale: float = setting(1.0, "factor alpha on the logits", role=RUN, above=0.0, label="output scale alpha")
    centred: bool = setting(False, "subtract the initial function's logits: alpha * (f - f0)")
    loss: str = setting("cross_entropy", "what training lowers", choices=("cross_entropy", "stablemax"))
    loss_dtype: str = setting("float32", "dtype in which logits become a loss", choices=("float32", "float64"))
    precision: str = setting(
        "float32",
        "precision of matrix products",
        choices=("float32", "tensorfloat32", "bfloat16"),
    )
    steps: int = setting(10_000, "optimizer updates a run may take", role=HOST, low=1, high=10**9)
    epochs: int | None = setting(
        None, "times a run may see its training rows, instead of steps", role=HOST, kind=int, low=1, high=10**9
    )
    eval_at: str = setting("every:50", "evaluated steps: every:N, or log:N for about N log-spaced ones", role=HOST)
    stop_accuracy: float | None = setting(
        None,
        "end a run once validation accuracy has reached this and held; default: run to the end",
        role=HOST,
        kind=float,
        above=0.0,
        high=1.0,
    )
    stop_loss: float | None = setting(
        None, "end a run once validation loss is this or less; default: run to the end", role=HOST, kind=float, low=0.0
    )
    hold_steps: int = setting(100, "steps over which a reached accuracy must hold", role=HOST, low=0)
    metrics: Any = ()

    def __post_init__(self):
        for which in COMPONENT_METHODS:
            check_component(which, getattr(self, which))
        check_settings(self)
        object.__setattr__(self, "metrics", _metric_pairs(self.metrics))
        self._check_together()

    def replaced(self, changes: Mapping[str, Any]) -> "Config":
        """The configuration with some values replaced, as `dataclasses.replace` makes it, in a tenth of the time.

        Only what changes is converted and checked, and how it goes with the rest: grids have a million runs.

        Args:
          changes: settings and components by name.

        Raises:
          ConfigError: as for a new configuration.
        """
        made, declared = copy.copy(self), settings(Config)
        for name, value in changes.items():
            if name in COMPONENT_METHODS:
                if value is not getattr(self, name):
                    check_component(name, value)
            else:
                value = checked(name, value, declared[name])
            object.__setattr__(made, name, value)
        made._check_together()
        return made

    def _check_together(self):
        """ConfigError for settings that do not go together; the steps that epochs make."""
        parse_eval_at(self.eval_at)
        if self.batch_rule == "stream":
            if not hasattr(self.task, "sample"):
                rules = [rule for rule in ("shuffled", "full") if not self._with(batch_rule=rule)._split_fault()]
                tries = "".join(f"--batch_rule={rule}, or " for rule in rules[:1])
                raise ConfigError(
                    f"batch_rule=stream needs a task that draws new rows without end, and {self.task.name} is a finite "
                    f"table. Try {tries}--task=digits."
                )
            if self.epochs is not None:
                raise ConfigError(
                    f"epochs={self.epochs} has no meaning with batch_rule=stream, which draws new rows without end. "
                    f"Try --steps={self.epochs}."
                )
        else:
            if fault := self._split_fault():
                raise ConfigError(f"{fault} {self._remedy()}")
            if self.epochs is not None:
                steps = checked("steps", self.epochs * self.steps_per_epoch, settings(self)["steps"])
                object.__setattr__(self, "steps", steps)

    def _split_fault(self) -> str:
        """What is wrong with the rows that train, in a sentence; '' if nothing is."""
        first, num_train = self._first_rows, self.num_train
        given = "train_fraction" if self.train_rows is None else "train_rows"
        if self.train_rows is not None and self.train_rows > first:
            return f"train_rows={self.train_rows} is out of range: {self.task.name} has {first} rows."
        where = (
            f"{given}={getattr(self, given)} leaves {num_train} of {self.task.num_examples} rows of {self.task.name}"
        )
        least = self._least_rows
        if num_train < least:
            return f"{where} to train on{'' if least == 1 else f', fewer than one batch of {least}'}."
        random = getattr(self.task, "random_parts", (False,))
        sizes = (first, self.task.num_examples - first)
        validating = sum(n - k for n, k, r in zip(sizes, self.part_rows, random, strict=False) if not r)
        if not validating and not all(random):
            return f"{where} to train on, none to validate on."
        if self.outliers > num_train:
            return f"outliers={self.outliers} is out of range: {where} to train on."
        return ""

    @property
    def _least_rows(self) -> int:
        """Rows that must train at least: one batch."""
        return 1 if self.batch_rule == "full" else max(1, self.batch_rows)

    def _remedy(self) -> str:
        """'Try ...': changes of one setting, each of which has been tried."""
        found = []
        for name, values in self._remedies():
            values = (value for value in values if not self._with(**{name: value})._split_fault())
            if (value := next(values, None)) is not None:
                found.append(f"--{name}={value}")
        if not found:
            return "The table is too small for these settings. Try a larger one."
        return f"Try {' or '.join(found)}."

    def _remedies(self) -> Iterator[tuple[str, Iterator]]:
        """Settings that may help, each with values to try, the most wanted first."""
        first, num_train = self._first_rows, self.num_train
        if 0 < num_train < self.outliers:
            yield "outliers", iter([num_train])
        rest = num_train - self.part_rows[0]
        least = max(1, self._least_rows - rest, min(self.outliers, self.task.num_examples) - rest)
        if self.train_rows is not None:
            yield "train_rows", iter([first // 2, least, first - 1] if self.train_rows >= first else [least, first - 1])
        else:
            usual = [0.5] if num_train >= self._least_rows else []
            shares = (-(-least * 10**digits // first) / 10**digits for digits in range(2, 9))
            yield "train_fraction", iter([*usual, *(share for share in shares if share < 1)])
        if 0 < num_train < self._least_rows:
            yield "batch_size", iter([num_train])

    def _with(self, **changes) -> "Config":
        """The configuration with some values replaced, nothing being checked."""
        made = copy.copy(self)
        for name, value in changes.items():
            object.__setattr__(made, name, value)
        return made

    @property
    def _first_rows(self) -> int:
        """Rows of the task's first part: all, but for a mixture."""
        return getattr(self.task, "first_rows", self.task.num_examples)

    @property
    def part_rows(self) -> tuple[int, ...]:
        """Rows that train, per part of the task.

        Of the first, `train_rows`, or the fraction's decimal value times its rows, rounded down, in exact arithmetic.
        """
        first = self.train_rows
        if first is None:
            first = _share(self.train_fraction, self._first_rows)
        return first, *getattr(self.task, "fixed_rows", ())

    @property
    def num_train(self) -> int:
        """Rows of the table that train; 0 where every step draws new ones."""
        return 0 if self.batch_rule == "stream" else sum(self.part_rows)

    @property
    def batch_rows(self) -> int:
        """Rows of the (padded) array a step works on; a function of this run alone."""
        if self.batch_rule == "full":
            return padded(self.num_train)
        if self.min_batches is None or self.batch_rule == "stream":
            return self.batch_size
        return max(1, min(self.batch_size, -(-self.num_train // self.min_batches)))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates in which every training row is seen once; 1 where there are no epochs."""
        return 1 if self.batch_rule in ("full", "stream") else -(-self.num_train // self.batch_rows)

    @property
    def seeds(self) -> dict[str, int]:
        """The seed of each random stream."""
        pinned = {stream: getattr(self, f"{stream}_seed") for stream in STREAMS}
        return {stream: self.seed if seed is None else seed for stream, seed in pinned.items()}


@functools.lru_cache(maxsize=4096)
def _share(fraction: float, rows: int) -> int:
    """The fraction's decimal value times the rows, rounded down."""
    return int(Fraction(repr(fraction)) * rows)


def _metric_pairs(asked) -> tuple[tuple[str, Any], ...]:
    """Names, or functions by name, as pairs of a name and its function or None."""
    if isinstance(asked, str):
        asked = [name.strip() for name in asked.split(",") if name.strip()]
    if isinstance(asked, Mapping):
        asked = list(asked.items())
    known = isinstance(asked, Sequence)
    pairs = tuple((item, None) if isinstance(item, str) else item for item in asked) if known else ()
    if not known or not all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        raise ConfigError(
            f"metrics={shown(asked)} is no list of names. Try metrics=['tensor_norms'] or {{'mine': function}}."
        )
    if twice := [name for i, (name, _) in enumerate(pairs) if name in [other for other, _ in pairs[:i]]]:
        raise ConfigError(f"metrics names {twice[0]} twice. Give each its own name.")
    return pairs


def padded(count: int) -> int:
    """`count` rounded up to four significant bits, so that full-batch shapes are few and waste at most 1/8."""
    unit = 1 << max(0, count.bit_length() - 4)
    return -(-count // unit) * unit


def parse_eval_at(text: str) -> tuple[str, int]:
    """('every', N) or ('log', N) from 'every:N' or 'log:N'; ConfigError otherwise."""
    rule, _, count = text.partition(":")
    if rule not in ("every", "log") or not count.isdecimal() or len(count) > 20 or not 1 <= int(count) <= 10**9:
        raise ConfigError(
            f"eval_at={text} is not a rule for evaluated steps. Try --eval_at=every:50 or --eval_at=log:300."
        )
    return rule, int(count)


def evaluated_steps(eval_at: str, steps: int) -> np.ndarray:
    """The steps at which a run of `steps` updates is evaluated, 0 and the last one included.

    'log:N' takes the integers nearest to 2**(k/m), with m the power of two that gives about N of them up to `steps`.
    So the grids of runs with other budgets are nested in each other, and a run's grid depends on that run alone.

    Args:
      eval_at: 'every:N' or 'log:N'.
      steps: the run's budget of optimizer updates.

    Returns:
      [evaluations] int64, increasing.
    """
    rule, count = parse_eval_at(eval_at)
    if rule == "every":
        inner = np.arange(0, steps, count)
    else:
        octaves = np.log2(steps) if steps > 1 else 0.0
        grids = [np.unique(np.rint(2 ** (np.arange(int(octaves * m) + 1) / m))) for m in 2 ** np.arange(15)]
        inner = min(grids, key=lambda grid: abs(np.log(len(grid) / count)))
    inner = inner[inner < steps]
    return np.unique(np.concatenate([[0], inner, [steps]])).astype(np.int64)
