"""What a run is told: frozen settings, their ranges, and what is fixed in a program or varies per run.

Every setting has one name, which is at once the flag, the keyword of `grokjax.sweep` and the axis of a result.
Each default is written once, where the setting is declared.
"""

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

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

NEAR_MISSES = {
    "p": "modulus",
    "mod": "modulus",
    "prime": "modulus",
    "op": "operation",
    "alpha": "train_fraction",
    "fraction": "train_fraction",
    "frac_train": "train_fraction",
    "train_frac": "train_fraction",
    "d_model": "width",
    "dim": "width",
    "d": "width",
    "hidden_size": "width",
    "d_mlp": "mlp_width",
    "n_layers": "num_layers",
    "layers": "num_layers",
    "depth": "num_layers",
    "n_heads": "num_heads",
    "heads": "num_heads",
    "lr": "learning_rate",
    "wd": "weight_decay",
    "batch": "batch_size",
    "bs": "batch_size",
    "num_steps": "steps",
    "max_steps": "steps",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "seeds": "seed",
    "n_seeds": "num_seeds",
    "beta1": "b1",
    "beta2": "b2",
    "warmup": "warmup_steps",
    "eval_every": "eval_at",
    "num_train": "train_rows",
    "n_train": "train_rows",
    "num_digits": "digits",
    "clip": "clip_norm",
    "grad_clip": "clip_norm",
    "max_grad_norm": "clip_norm",
    "label_noise": "outliers",
    "metric": "metrics",
    "output_file": "out",
}
"""Names used elsewhere for our settings, each answered with ours."""


class ConfigError(ValueError):
    """A setting or a combination of settings that cannot be run: what, got, why, try."""


def setting(
    default,
    help: str,
    *,
    role: str = PROGRAM,
    kind: type | None = None,
    choices: tuple | None = None,
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


def settings(owner) -> dict[str, dataclasses.Field]:
    """The settings declared by a dataclass or an instance of one, by name.

    A field that declares nothing, as those of a user's own Flax module, is a setting if its default is a number, a
    name, true or false.
    """
    fields = {f.name: f for f in dataclasses.fields(owner)}
    return {
        name: f if "role" in f.metadata else _plain_setting(f)
        for name, f in fields.items()
        if "role" in f.metadata or isinstance(f.default, PLAIN)
    }


PLAIN = (bool, int, float, str)


def _plain_setting(field: dataclasses.Field) -> dataclasses.Field:
    """A field that is not declared by `setting`, as if it were."""
    declared = setting(field.default, f"default: {field.default}")
    declared.name = field.name
    return declared


def check_settings(owner) -> None:
    """Converts every setting of a frozen dataclass to its kind and checks its range, in place.

    Raises:
      ConfigError: naming the setting, the value, the bound and a value to try.
    """
    for name, field in settings(owner).items():
        object.__setattr__(owner, name, checked(name, getattr(owner, name), field))


def checked(name: str, value, field: dataclasses.Field):
    """One value, converted to the kind of its setting; ConfigError if it lies outside the setting's range."""
    data = field.metadata
    if value is None and data["optional"]:
        return None
    tries = "" if field.default is None else f" The default is {field.default}."
    value = _converted(name, value, data["kind"], tries)
    if data["choices"] is not None and value not in data["choices"]:
        raise ConfigError(f"{name}={value} is not known. {_suggestion(value, data['choices'])}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}={value} is not a finite number.{tries}")
    bounds = (
        ("low", "at least", lambda bound: value >= bound),
        ("above", "greater than", lambda bound: value > bound),
        ("high", "at most", lambda bound: value <= bound),
        ("below", "less than", lambda bound: value < bound),
    )
    for key, words, holds in bounds:
        if data[key] is not None and not holds(data[key]):
            raise ConfigError(f"{name}={value} is out of range: it must be {words} {data[key]}.{tries}")
    return value


def _converted(name: str, value, kind: type, tries: str):
    """`value` as int, float, bool or str, without losing anything on the way."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        if kind is bool:
            known = {"true": True, "false": False, "1": True, "0": False}
            if isinstance(value, bool):
                return value
            return known[str(value).lower()]
        if isinstance(value, bool):
            raise ValueError
        if kind is int:
            exact = Fraction(value)
            if exact.denominator != 1:
                raise ValueError
            return int(exact)
        if kind is float:
            return float(value)
        if not isinstance(value, str):
            raise ValueError
        return value
    except (ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError):
        nouns = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
        raise ConfigError(f"{name}={value} is not {nouns[kind]}.{tries}") from None


def _suggestion(value, known) -> str:
    """'Did you mean ...? Known: ...' for a value that is none of the known ones."""
    known = [str(k) for k in known]
    close = difflib.get_close_matches(str(value), known, n=1)
    mean = f"Did you mean {close[0]}? " if close else ""
    return f"{mean}Known: {', '.join(known)}."


def unknown_name(what: str, name: str, known) -> ConfigError:
    """The error for a name we do not have, answered with ours where the field calls it otherwise."""
    if name in NEAR_MISSES and NEAR_MISSES[name] in known:
        ours = NEAR_MISSES[name]
        return ConfigError(f"{name} is called {ours} here. Try --{ours}, in Python {ours}=.")
    return ConfigError(f"There is no {what} {name!r}. {_suggestion(name, sorted(known))}")


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
    is_one = dataclasses.is_dataclass(value) and not isinstance(value, type)
    if not is_one or not all(hasattr(value, method) for method in COMPONENT_METHODS[which]):
        if which == "model" and (advice := nnx_advice(value)):
            raise ConfigError(advice)
        what = f"the class {value.__qualname__}" if isinstance(value, type) else f"{value!r:.60}"
        raise ConfigError(f"{which}={what} is no {which}. {COMPONENT_HINTS[which]}")


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
        parse_eval_at(self.eval_at)
        object.__setattr__(self, "metrics", _metric_pairs(self.metrics))
        if self.batch_rule == "stream":
            if not hasattr(self.task, "sample"):
                raise ConfigError(
                    f"batch_rule=stream needs a task that draws new rows without end, and {self.task.name} is a finite "
                    "table. Try --batch_rule=shuffled, or --task=digits."
                )
            if self.epochs is not None:
                raise ConfigError(
                    f"epochs={self.epochs} has no meaning with batch_rule=stream, which draws new rows without end. "
                    f"Try --steps={self.epochs}."
                )
        else:
            self._check_split()
            if self.epochs is not None:
                steps = checked("steps", self.epochs * self.steps_per_epoch, settings(self)["steps"])
                object.__setattr__(self, "steps", steps)

    def _check_split(self):
        num_examples, num_train = self.task.num_examples, self.num_train
        told = "train_rows" if self.train_rows else "train_fraction"
        where = f"{told}={getattr(self, told)} leaves {num_train} of {num_examples} rows of {self.task.name}"
        if self.train_rows and self.train_rows > self._first_rows:
            raise ConfigError(
                f"train_rows={self.train_rows} is out of range: {self.task.name} has {self._first_rows} rows. "
                f"Try --train_rows={self._first_rows // 2}."
            )
        least = 1 if self.batch_rule == "full" else self.batch_rows
        if num_train < least or num_train == 0:
            short = "" if least == 1 else f", fewer than one batch of {least}"
            smaller = "" if least == 1 else " or a smaller --batch_size"
            raise ConfigError(f"{where} to train on{short}. Try --train_fraction=0.3,0.5{smaller}.")
        random = getattr(self.task, "random_parts", (False,))
        sizes = (self._first_rows, num_examples - self._first_rows)
        validating = sum(n - k for n, k, r in zip(sizes, self.part_rows, random, strict=False) if not r)
        if not validating and not all(random):
            raise ConfigError(f"{where} to train on, none to validate on. Try --train_fraction=0.3,0.5.")
        if self.outliers > num_train:
            raise ConfigError(f"outliers={self.outliers} is out of range: {where} to train on. Try fewer outliers.")

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
            first = int(Fraction(repr(self.train_fraction)) * self._first_rows)
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


def _metric_pairs(asked) -> tuple[tuple[str, Any], ...]:
    """Names, or functions by name, as pairs of a name and its function or None."""
    if isinstance(asked, str):
        asked = [name.strip() for name in asked.split(",") if name.strip()]
    if isinstance(asked, Mapping):
        asked = list(asked.items())
    known = isinstance(asked, Sequence)
    pairs = tuple((item, None) if isinstance(item, str) else item for item in asked) if known else ()
    if not known or not all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        raise ConfigError(f"metrics={asked} is no list of names. Try metrics=['tensor_norms'] or {{'mine': function}}.")
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
    if rule not in ("every", "log") or not count.isdecimal() or int(count) < 1:
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
