"""The configuration of one run."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from grokjax.config.components import check_component, refusing
from grokjax.config.contracts import CONTRACTS, MixedTask, Model, Optimizer, RandomTask, StreamTask, Task, offers
from grokjax.config.names import ConfigError, shown
from grokjax.config.schedule import padded, parse_eval_at
from grokjax.config.settings import HOST, RUN, check_settings, checked, setting, settings
from grokjax.config.start import Start

STREAMS = ("split", "init", "batch", "dropout", "label", "noise")
"""The random streams of a run, each with a seed of its own."""


SEED = dict(role=RUN, kind=int, low=0, high=2**31 - 1)


@refusing
@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides one run.

    A run is a pure function of this. `task`, `model` and `optimizer` are objects with settings of their own
    (see `grokjax.tasks`, `grokjax.models`, `grokjax.optimizers`); `metrics` are names, or functions by name (see
    `grokjax.metrics`); the rest is here.

    `start` are weights to start from, in place of those that the seed draws: a nested dict of arrays, as
    `grokjax.params` returns, or the path of an .npz of them whose names join the keys by "/". The optimizer begins at
    them, so its decay 'init' is towards them and `fixed_norm` keeps their norm. What `init_seed` and `init_scale` draw
    is not trained then, and is still what `centred` subtracts and what metrics are given as `initial_params`.

    Raises:
      ConfigError: for a value out of range, or a combination that leaves nothing to train or to validate on.
    """

    task: Task
    model: Model
    optimizer: Optimizer
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
    loss: str | Callable = setting(
        "cross_entropy", "what training lowers", choices=("cross_entropy", "stablemax", "mse"), functions=True
    )
    target_tolerance: float = setting(
        0.1,
        "of real targets, not of classes: a row is right if each of its predictions is this near its target",
        role=RUN,
        above=0.0,
        later=True,
    )
    loss_dtype: str = setting(
        "float32", "dtype in which logits become a loss", choices=("float16", "float32", "float64")
    )
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
    start: Any = None

    def __post_init__(self):
        for which in CONTRACTS:
            check_component(which, getattr(self, which))
        check_settings(self)
        object.__setattr__(self, "metrics", _metric_pairs(self.metrics))
        if self.start is not None:
            object.__setattr__(self, "start", Start.of(self.start))
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
            if name in CONTRACTS:
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
            if not offers(self.task, StreamTask):
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
        random = self.task.random_parts if offers(self.task, RandomTask) else (False,)
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
        return self.task.first_rows if offers(self.task, MixedTask) else self.task.num_examples

    @property
    def part_rows(self) -> tuple[int, ...]:
        """Rows that train, per part of the task.

        Of the first, `train_rows`, or the fraction's decimal value times its rows, rounded down, in exact arithmetic.
        """
        first = self.train_rows
        if first is None:
            first = _share(self.train_fraction, self._first_rows)
        return first, *(self.task.fixed_rows if offers(self.task, MixedTask) else ())

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
