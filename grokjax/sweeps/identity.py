"""A run, and what tells it from every other: all that decides its numbers."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from grokjax import losses, metrics
from grokjax.config import Config, settings
from grokjax.runs import Program
from grokjax.sweeps.code import Code, codes_of, has_users_code, static_part
from grokjax.sweeps.components import COMPONENTS, kind_name, own_name_of
from grokjax.sweeps.provenance import versions
from grokjax.sweeps.tables import Tables


@dataclasses.dataclass(frozen=True)
class Run:
    """One cell of a grid.

    Attributes:
      index: its place along each axis.
      config: its configuration.
      code: the pieces of a user's code that it runs, by `identified`.
    """

    index: tuple[int, ...]
    config: Config
    code: tuple[Code, ...] = ()

    @functools.cached_property
    def run_id(self) -> str:
        """Identifies the run by its configuration and by what a user's code in it computes, whatever grid it is in."""
        whole = identity(self.config)
        if self.code:
            whole["code"] = {piece.piece: piece.computes for piece in self.code}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def at(self, index: tuple[int, ...]) -> "Run":
        """The same run at another place of a grid. Its id goes along: a pickled class may be identified otherwise."""
        moved = dataclasses.replace(self, index=index)
        vars(moved)["run_id"] = self.run_id
        return moved


def identified(runs: Sequence[Run]) -> list[Run]:
    """The runs, each with the pieces of a user's code that it runs; ConfigError for code that cannot be traced."""
    tables = Tables()
    lowered_by, known, found = " ".join(f"{n} {v}" for n, v in versions().items()), {}, []
    for run in runs:
        if has_users_code(run.config):
            config, table = run.config, tables.of(run.config.task)
            program = Program.of(config, table)
            if (program, table) not in known:
                static = static_part(config, identity(config))
                known[program, table] = codes_of(program, config, table, static, lowered_by)
            run = dataclasses.replace(run, code=known[program, table])
        found.append(run)
    return found


def identity(config: Config, whole: bool = False) -> dict[str, dict[str, Any]]:
    """All that decides a run's numbers, JSON-able: each component's kind and every field of it, and the run's own.

    Settings that were added later are left out at their defaults, unless asked for the `whole`.
    """
    run = {name: value for name, value in _settings(config, whole).items() if name != "seed"}
    run |= {f"{stream}_seed": seed for stream, seed in config.seeds.items()}
    del run["epochs"]  # which the steps say
    if config.train_rows is not None:
        run["train_fraction"] = None
    if config.batch_rule == "stream":
        run |= dict.fromkeys(("train_fraction", "train_rows", "outliers", "split_by", "min_batches"))
    if config.start is not None:
        run["start"] = config.start.content
    run["loss"] = losses.name_of(config.loss)
    run["metrics"] = [metrics.identity(metric) for metric in metrics.chosen(config.metrics)]
    return {which: _fields(which, getattr(config, which), whole) for which in COMPONENTS} | {"run": run}


def _settings(owner, whole: bool) -> dict[str, Any]:
    """Its settings by name, those that were added later only where they are not the default, or `whole`."""
    fields = {name: (getattr(owner, name), field) for name, field in settings(owner).items()}
    return {n: value for n, (value, f) in fields.items() if whole or not f.metadata["later"] or value != f.default}


def _fields(which: str, part, whole: bool) -> dict[str, Any]:
    """A component's kind and fields; of a user's its settings alone, since the rest shows in what it computes."""
    kind, declared, values = kind_name(which, part), settings(part), _settings(part, whole)
    for field in dataclasses.fields(part) if kind else ():
        value = getattr(part, field.name)
        if field.name not in (*declared, "parent", "name") and value is not None:
            values[field.name] = value if isinstance(value, str | int | float) else repr(value)
    return {which: kind or own_name_of(part)} | values


def describe(config: Config) -> dict[str, Any]:
    """The whole `identity`, flat, for people: a name that two components have bears theirs too.

    What a run starts from is not in it: of a grid, each run has its own.
    """
    flat: dict[str, Any] = {}
    described = identity(config, whole=True)
    described["run"].pop("start", None)
    for owner, fields in described.items():
        for name, value in fields.items():
            flat[f"{owner}.{name}" if name in flat else name] = value
    return flat
