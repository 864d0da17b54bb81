"""What a run is told: frozen settings, their ranges, and what is fixed in a program or varies per run.

Every setting has one name, which is at once the flag, the keyword of `grokjax.sweep` and the axis of a result.
Each default is written once, where the setting is declared.
"""

import dataclasses
import difflib
import math
from fractions import Fraction
from typing import Any

import numpy as np

PROGRAM = "program"
"""Role of a setting that shapes the compiled program: changing it compiles another one."""
RUN = "run"
"""Role of a setting that is a traced value of the program: changing it never recompiles."""
HOST = "host"
"""Role of a setting that only the host reads (budgets, evaluation steps, stopping)."""

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
    "seeds": "seed",
    "n_seeds": "num_seeds",
    "beta1": "b1",
    "beta2": "b2",
    "warmup": "warmup_steps",
    "eval_every": "eval_at",
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
        optional=default is None,
    )
    return dataclasses.field(default=default, metadata=metadata)


def settings(owner) -> dict[str, dataclasses.Field]:
    """The settings declared by a dataclass or an instance of one, by name."""
    return {f.name: f for f in dataclasses.fields(owner) if "role" in f.metadata}


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
    """`owner` with every per-run setting put back to its default: what the compiled program depends on."""
    defaults = {name: f.default for name, f in settings(owner).items() if f.metadata["role"] == RUN}
    return dataclasses.replace(owner, **defaults)


def run_part(owner) -> dict[str, float]:
    """The per-run settings of `owner`, by name."""
    return {name: getattr(owner, name) for name, f in settings(owner).items() if f.metadata["role"] == RUN}


SEED = dict(role=RUN, kind=int, low=0, high=2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything one run is told.

    A run is a pure function of this. `task`, `model` and `optimizer` are objects with settings of their own
    (see `grokjax.tasks`, `grokjax.models`, `grokjax.optimizers`); the rest is here.

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
    train_fraction: float = setting(
        0.5,
        "share of the table's rows that train; the others validate",
        role=RUN,
        above=0.0,
        below=1.0,
        label="train fraction (alpha)",
    )
    batch_rule: str = setting(
        "shuffled",
        "how rows become batches: reshuffled each epoch, the same batches each epoch, or all rows at once",
        choices=("shuffled", "fixed", "full"),
    )
    batch_size: int = setting(512, "rows in a batch (the last of an epoch may be short); unused by 'full'", low=1)
    dropout: float = setting(0.0, "dropout rate on embeddings and residual branches", role=RUN, low=0.0, below=1.0)
    init_scale: float = setting(1.0, "factor on every initial matrix and embedding", role=RUN, above=0.0)
    precision: str = setting(
        "float32",
        "precision of matrix products",
        choices=("float32", "tensorfloat32", "bfloat16"),
    )
    steps: int = setting(10_000, "optimizer updates a run may take", role=HOST, low=1, high=10**9)
    eval_at: str = setting("every:50", "evaluated steps: every:N, or log:N for about N log-spaced ones", role=HOST)
    stop_accuracy: float | None = setting(
        None,
        "end a run once validation accuracy has reached this and held; default: run to the end",
        role=HOST,
        kind=float,
        above=0.0,
        high=1.0,
    )
    hold_steps: int = setting(100, "steps over which a reached accuracy must hold", role=HOST, low=0)

    def __post_init__(self):
        check_settings(self)
        parse_eval_at(self.eval_at)
        num_examples, num_train = self.task.num_examples, self.num_train
        where = f"train_fraction={self.train_fraction} leaves {num_train} of {num_examples} rows of {self.task.name}"
        least = 1 if self.batch_rule == "full" else self.batch_size
        if num_train < least:
            short = "" if least == 1 else f", fewer than one batch of {least}"
            smaller = "" if least == 1 else " or a smaller --batch_size"
            raise ConfigError(f"{where} to train on{short}. Try --train_fraction=0.3,0.5{smaller}.")
        if num_train >= num_examples:
            raise ConfigError(f"{where} to train on, none to validate on. Try --train_fraction=0.3,0.5.")

    @property
    def num_train(self) -> int:
        """Rows that train: the fraction's decimal value times the rows, rounded down, in exact arithmetic."""
        return int(Fraction(repr(self.train_fraction)) * self.task.num_examples)

    @property
    def batch_rows(self) -> int:
        """Rows of the (padded) array a step works on; a function of this run alone."""
        return padded(self.num_train) if self.batch_rule == "full" else self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates in which every training row is seen once."""
        return 1 if self.batch_rule == "full" else -(-self.num_train // self.batch_size)

    @property
    def seeds(self) -> dict[str, int]:
        """The seed of each random stream."""
        pinned = dict(split=self.split_seed, init=self.init_seed, batch=self.batch_seed, dropout=self.dropout_seed)
        return {stream: self.seed if value is None else value for stream, value in pinned.items()}


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
