"""From settings with one or several values to the runs of a grid, each with a configuration and an identity."""

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from grokjax import metrics
from grokjax.config import (
    PLAIN,
    Config,
    ConfigError,
    check_component,
    own_name,
    plain,
    settings,
    several,
    shown,
    snapped,
    unknown_name,
)
from grokjax.models import MODELS
from grokjax.optimizers import OPTIMIZERS, Custom
from grokjax.runs import Program
from grokjax.sweeps.code import Code, codes_of, forget, has_users_code, static_part
from grokjax.sweeps.provenance import versions
from grokjax.sweeps.tables import Tables
from grokjax.tasks import TASKS

MOST_RUNS = 1_000_000
"""Runs that a grid may have."""

COMPONENTS = {"task": TASKS, "model": MODELS, "optimizer": OPTIMIZERS}
"""The parts of a configuration that are objects, and their kinds by name."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """One of several configurations that are compared along an axis.

    Attributes:
      id: what code, results and command lines call it.
      label: what figures and pages call it.
      settings: by name, one value each.
    """

    id: str
    label: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One dimension of a grid.

    Attributes:
      names: its coordinates; the first names the dimension. Zipped axes have several.
      labels: per coordinate, what the result calls the points.
      overrides: per point, the settings it gives.
    """

    names: tuple[str, ...]
    labels: tuple[tuple, ...]
    overrides: tuple[Mapping[str, Any], ...]

    def __len__(self):
        return len(self.overrides)

    @property
    def labelled(self) -> bool:
        """Whether the first coordinate names the points, and the others what they set."""
        return any(self.names[0] not in overrides for overrides in self.overrides)


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
        identity = told(self.config)
        if self.code:
            identity["code"] = {piece.piece: piece.computes for piece in self.code}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Grid:
    """A base configuration, settings that are the same for all runs, and the axes along which others vary.

    Attributes:
      base: what the others do not say.
      fixed: settings of all runs.
      axes: along which settings vary.
      snapped: numbers that were read as others, each with that, by the setting that they were given for.
    """

    base: Config
    fixed: Mapping[str, Any]
    axes: tuple[Axis, ...]
    snapped: Mapping[str, Sequence[tuple[float, float]]] = dataclasses.field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """A sentence per setting of which numbers were read as other ones."""
        return [_snapped_note(name, pairs) for name, pairs in self.snapped.items()]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def dims(self) -> tuple[str, ...]:
        """The axes' dimension names."""
        return tuple(axis.names[0] for axis in self.axes)

    def name_of(self, run: Run) -> str:
        """What distinguishes a run from the others of the grid, e.g. 'num_layers=2 seed=0'; '' if it is alone."""
        return " ".join(
            f"{name}={labels[i]}"
            for axis, i in zip(self.axes, run.index, strict=True)
            for name, labels in list(zip(axis.names, axis.labels, strict=True))[: 1 if axis.labelled else None]
        )

    def runs(self, counting: Callable[[Iterable], Iterable] = iter) -> list[Run]:
        """Every run, the last axis fastest; ConfigError for the first that cannot be run, or for a useless axis.

        Args:
          counting: tells how far it is, as `grokjax.sweeps.progress.Counted` does.
        """
        forget()
        runs = identified(list(counting(self._runs())))
        for place, axis in enumerate(self.axes):
            points = [[run.run_id for run in runs if run.index[place] == i] for i in range(min(2, len(axis)))]
            if len(points) == 2 and points[0] == points[1]:
                values = " and ".join(str(labels) for labels in axis.labels[0][:2])
                raise ConfigError(
                    f"{axis.names[0]}={values} make the same runs: what else is set leaves it without effect. "
                    "Leave one out."
                )
        return runs

    def _runs(self) -> Iterator[Run]:
        made: dict = {}
        for index in itertools.product(*map(range, self.shape)):
            overrides = dict(self.fixed)
            for axis, i in zip(self.axes, index, strict=True):
                overrides |= axis.overrides[i]
            yield Run(index, configured(self.base, overrides, made))


def flat(grid: Grid, runs: Sequence[Run]) -> tuple[Grid, list[Run]]:
    """Runs of a grid as a grid of their own, along one axis."""
    axis = Axis(("run",), (tuple(range(len(runs))),), ({},) * len(runs))
    return Grid(grid.base, {}, (axis,)), [dataclasses.replace(run, index=(i,)) for i, run in enumerate(runs)]


def identified(runs: Sequence[Run]) -> list[Run]:
    """The runs, each with the pieces of a user's code that it runs; ConfigError for code that cannot be traced."""
    tables = Tables()
    lowered_by, known, found = " ".join(f"{n} {v}" for n, v in versions().items()), {}, []
    for run in runs:
        if has_users_code(run.config):
            config, table = run.config, tables.of(run.config.task)
            program = Program.of(config, table)
            if (program, table) not in known:
                static = static_part(config, told(config))
                known[program, table] = codes_of(program, config, table, static, lowered_by)
            run = dataclasses.replace(run, code=known[program, table])
        found.append(run)
    return found


def make_grid(base: Config, values: Mapping[str, Any], zipped: Any = ()) -> Grid:
    """The grid that settings with one or several values span.

    Args:
      base: what the values do not say.
      values: by name. A scalar sets all runs; a sequence or range makes an axis; a mapping makes an axis whose
        points are its keys, each giving the settings of its value; what all of them set is a coordinate along it. A
        sequence of `Arm` is such a mapping, whose labels are one more coordinate, named e.g. 'variant_label'.
        `num_seeds=n` is short for `seed=range(n)`.
      zipped: groups of names whose axes advance together, as one axis under the first name.

    Returns:
      The grid, axes in the order of `values`.

    Raises:
      ConfigError: for an unknown name, an empty or repeating axis, or zipped axes that do not fit.
    """
    fixed, axes = {}, {}
    ours = _Reader(base)
    for name, value in _with_seeds(values).items():
        if _are_arms(value):
            value, label = {arm.id: arm.settings for arm in value}, tuple(arm.label for arm in value)
            if len(value) < len(label):
                raise ConfigError(f"{name} has two arms of one id. Give each its own.")
        else:
            label = None
        if isinstance(value, Mapping):
            if not all(isinstance(overrides, Mapping) for overrides in value.values()):
                raise ConfigError(f"{name} must map labels to settings, such as {{'a': {{'weight_decay': 0.0}}}}.")
            points = [{n: ours.read(n, v) for n, v in overrides.items()} for overrides in value.values()]
            coords = {name: tuple(map(str, value))} | ({f"{name}_label": label} if label else {})
            coords |= _shared_settings(points)
            axes[name] = Axis(tuple(coords), tuple(coords.values()), tuple(points))
        elif not several(value):
            fixed[name] = ours.read(name, value)
        else:
            points = [ours.read(name, point) for point in _points(name, value)]
            axes[name] = Axis((name,), (_labels(name, points),), tuple({name: point} for point in points))
    for name, axis in axes.items():
        if not len(axis):
            raise ConfigError(f"{name} has no value, so the grid is empty. Give it at least one.")
    for name, axis in axes.items():
        mine = {n for overrides in axis.overrides for n in overrides}
        if twice := mine & {n for other in axes if other != name for o in axes[other].overrides for n in o}:
            raise ConfigError(f"{min(twice)} is set by two axes, {name} among them. Give it in one place.")
        if twice := mine & set(fixed):
            raise ConfigError(f"{min(twice)} is given once for all runs and again by {name}. Give it in one place.")
    overrides = [fixed, *(point for axis in axes.values() for point in axis.overrides)]
    known = _known_names(base, overrides)
    for name in {n for given in overrides for n in given}:
        if name == "metrics":
            raise ConfigError("metrics are the same for all runs. Try grokjax.Config(..., metrics=[...]).")
        if name not in known:
            raise unknown_name("setting", name, known)
    grid = Grid(base, fixed, _zip_axes(axes, zipped), ours.snapped)
    for axis in grid.axes:
        told = axis.labels[0] if axis.labelled else list(zip(*axis.labels, strict=True))
        if len(set(told)) < len(told):
            twice = [label for i, label in enumerate(told) if label in told[:i]]
            names = axis.names[:1] if axis.labelled else axis.names
            values = twice[:1] if axis.labelled else twice[0]
            given = f"{','.join(names)}={','.join(map(str, values))}"
            raise ConfigError(f"{given} is given twice. Each value of an axis may stand once.")
    if math.prod(grid.shape) > MOST_RUNS:
        raise ConfigError(f"The grid has {math.prod(grid.shape):,} runs, more than {MOST_RUNS:,}. Try fewer values.")
    return grid


class _Reader:
    """Reads values as they are meant: a number as the short decimal that it is but for rounding, a name in any case.

    Attributes:
      snapped: the numbers that were read as others, by setting.
    """

    def __init__(self, base: Config):
        owners = [
            Config,
            base.task,
            base.model,
            base.optimizer,
            *(k for ks in COMPONENTS.values() for k in ks.values()),
        ]
        self.names: dict[str, dict] = {which: dict.fromkeys(kinds) for which, kinds in COMPONENTS.items()}
        for owner in owners:
            for name, field in settings(owner).items():
                self.names.setdefault(name, {}).update(dict.fromkeys(field.metadata["names"] or ()))
        self.snapped: dict[str, list[tuple[float, float]]] = {}

    def read(self, name: str, value):
        """One value of a setting."""
        value = plain(value)
        if isinstance(value, str):
            return own_name(value, self.names.get(name, ()))
        if isinstance(value, float) and (near := snapped(value)) != value and not math.isnan(value):
            self.snapped.setdefault(name, []).append((value, near))
            return near
        return value


def _snapped_note(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Says which numbers of a setting were read as which."""
    given, read = (",".join(map(str, numbers[:3])) for numbers in zip(*pairs, strict=True))
    if len(pairs) == 1:
        return f"{name}={given} is read as {read}."
    more = f", and {len(pairs) - 3} more likewise" if len(pairs) > 3 else ""
    return f"{name}={given} are read as {read}{more}."


def _points(name: str, value) -> list:
    """The values along an axis, from a sequence, an array of any library or whatever else has them in an order."""
    if isinstance(value, Set) and not isinstance(value, KeysView):
        raise ConfigError(f"{name}={shown(value)} is a set, whose values are in no order. Try {name}=sorted(...).")
    if hasattr(value, "__array__") and value.ndim > 1:
        raise ConfigError(
            f"{name} has {value.ndim} dimensions, and its values must lie along one. Try {name}=values.ravel()."
        )
    points = list(itertools.islice(value, MOST_RUNS + 1))
    if len(points) > MOST_RUNS:
        raise ConfigError(f"{name} has more than {MOST_RUNS:,} values. Try fewer.")
    return [plain(point) for point in points]


def _shared_settings(points: Sequence[Mapping[str, Any]]) -> dict[str, tuple]:
    """The settings that all points give a plain value, with their values."""
    names = [n for n in (points[0] if points else ()) if all(isinstance(p.get(n), str | int | float) for p in points)]
    return {name: tuple(point[name] for point in points) for name in names}


def _with_seeds(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with num_seeds=n written as seed=range(n), in its place."""
    if "num_seeds" in values and "seed" in values:
        raise ConfigError("num_seeds and seed are both given. num_seeds=5 is short for seed=0:4:1; give one of them.")
    count = plain(values.get("num_seeds", 1))
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(
            f"num_seeds={shown(count)} is not a number of seeds. It must be a whole number of at least 1."
        )
    if count > MOST_RUNS:
        raise ConfigError(f"num_seeds={shown(count)} is out of range: it must be at most {MOST_RUNS:,}. Try fewer.")
    return {
        "seed" if name == "num_seeds" else name: range(count) if name == "num_seeds" else value
        for name, value in values.items()
    }


def _are_arms(value) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(arm, Arm) for arm in value)


def _labels(name: str, points: Sequence) -> tuple:
    """What the result calls the points of an axis; components that differ in their code alone are numbered."""
    labels: list = []
    for i, point in enumerate(points):
        label = _label(name, point)
        others = [other for other in points[:i] if name in COMPONENTS and _label(name, other) == label]
        labels.append(f"{label} ({len(others) + 1})" if others and point not in others else label)
    return tuple(labels)


def _label(name: str, point):
    """What the result calls a point: the value itself, or a component's name with the settings that are not default."""
    if isinstance(point, str | int | float):
        return point
    if name not in COMPONENTS:
        raise ConfigError(f"{name} has a value of type {type(point).__name__}. Its values must be numbers or names.")
    check_component(name, point)
    return component_name(name, point)


def _zip_axes(axes: Mapping[str, Axis], zipped: Any) -> tuple[Axis, ...]:
    axes = dict(axes)
    for group in zipped if isinstance(zipped, Sequence) else [zipped]:
        if not isinstance(group, list | tuple) or not group or not all(isinstance(name, str) for name in group):
            raise ConfigError(
                f"zip holds {shown(repr(group))}, which is no group of names. Try zip=[['seed', 'steps']]."
            )
        for name in group:
            if name not in axes:
                known = f"The axes are {', '.join(axes)}." if axes else "There is no axis."
                raise ConfigError(f"zip={','.join(group)} names {name}, which has no list of values. {known}")
        lengths = {name: len(axes[name]) for name in group}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            raise ConfigError(f"zip={','.join(group)} needs as many values of each, but {told}.")
        members = [axes[name] for name in group]
        merged = zip(*(axis.overrides for axis in members), strict=True)
        axes[group[0]] = Axis(
            names=tuple(name for axis in members for name in axis.names),
            labels=tuple(labels for axis in members for labels in axis.labels),
            overrides=tuple({k: v for part in parts for k, v in part.items()} for parts in merged),
        )
        for name in group[1:]:
            del axes[name]
    return tuple(axes.values())


def _known_names(base: Config, overrides: Sequence[Mapping[str, Any]]) -> set[str]:
    """The components and every setting of the kinds there are, those of `base` and of the overrides among them."""
    owners = [Config, base.task, base.model, base.optimizer]
    owners += [kind for kinds in COMPONENTS.values() for kind in kinds.values()]
    made: dict = {}
    for which in COMPONENTS:
        owners += [_component(which, given[which], made) for given in overrides if which in given]
    return {*COMPONENTS, *(name for owner in owners for name in settings(owner))}


def component(which: str, name: str):
    """A task, model or optimizer by its name, with its default settings, or from a file of the user's.

    Args:
      which: 'task', 'model' or 'optimizer'.
      name: one of ours, or 'file.py:name' of an object or of what makes it when called without arguments.

    Raises:
      ConfigError: naming the known ones, or what is wrong with the file.
    """
    if ".py:" in name:
        return from_file(which, name)
    if name.endswith(".py"):
        raise ConfigError(f"{which}={name} names a file and nothing in it. Try --{which}={name}:make_{which}.")
    name = own_name(name, COMPONENTS[which])
    if name not in COMPONENTS[which]:
        raise unknown_name(which, name, COMPONENTS[which])
    return COMPONENTS[which][name]()


def _component(which: str, chosen, made: dict):
    """A component by its name, made once, or as it is given."""
    if isinstance(chosen, str):
        if (which, chosen) not in made:
            made[which, chosen] = component(which, chosen)
        return made[which, chosen]
    check_component(which, chosen)
    return chosen


def from_file(which: str, place: str):
    """What a user's file gives: the object 'file.py:name', called if it is a function or class, but for a metric."""
    path, _, name = place.rpartition(":")
    if not Path(path).is_file():
        raise ConfigError(f"{which}={place} names a file that does not exist. Try --{which}=my_file.py:make_{which}.")
    return _from_file(which, place, path, name, Path(path).stat().st_mtime_ns)


@functools.cache
def _from_file(which: str, place: str, path: str, name: str, written: int):
    """The same, once for each time the file was `written`."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = getattr(module, name)
        if which != "metric" and (inspect.isroutine(made) or inspect.isclass(made)):
            made = made()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{which}={place} could not be made ({type(error).__name__}: {error}).") from None
    if which == "metric":
        if not callable(made) or dataclasses.is_dataclass(made):
            raise ConfigError(f"{which}={place} is of type {type(made).__name__}. It must be a function.")
        return made
    try:
        check_component(which, made)
    except ConfigError as error:
        raise ConfigError(f"{place} does not give a {which}: {error}") from None
    return made


def _kind(which: str, owner) -> str | None:
    """What the command line calls the kind of a component; None for a user's own."""
    return {kind: name for name, kind in COMPONENTS[which].items()}.get(type(owner))


def _own_kind(owner) -> str:
    """What a component of a user's is called: by its content where that tells all, or by its name."""
    return getattr(owner, "identity", None) or (owner.name if isinstance(owner, Custom) else type(owner).__qualname__)


def component_name(which: str, owner) -> str:
    """The name of a component's kind, and in brackets those of its settings that are not the default."""
    name = _kind(which, owner) or _own_kind(owner)
    changed = [f"{n}={getattr(owner, n)}" for n, f in settings(owner).items() if getattr(owner, n) != f.default]
    return f"{name}({', '.join(changed)})" if changed else name


def configured(base: Config, overrides: Mapping[str, Any], made: dict | None = None) -> Config:
    """`base` with settings replaced, each in the component that has it; components are exchanged first.

    Args:
      base: a configuration.
      overrides: by flat name: 'task', 'model', 'optimizer' (a name or an object) and settings of any of them.
      made: components that were made for other runs of a grid, which are shared, and this one's are added; a grid of a
        million runs has few.

    Raises:
      ConfigError: for a setting that these components do not have, or a configuration that cannot be run.
    """
    made = {} if made is None else made
    parts = {which: getattr(base, which) for which in COMPONENTS}
    for which in COMPONENTS:
        if which in overrides:
            parts[which] = _component(which, overrides[which], made)
    changes = {which: {} for which in (*COMPONENTS, "run")}
    if "steps" in overrides:
        if overrides.get("epochs") is not None:
            raise ConfigError("steps and epochs are both given, and either is the budget. Leave one out.")
        changes["run"]["epochs"] = None
    declared = {**{which: settings(part) for which, part in parts.items()}, "run": settings(Config)}
    for name, value in overrides.items():
        if name in COMPONENTS:
            continue
        owners = [which for which, names in declared.items() if name in names]
        if not owners:
            raise ConfigError(_misplaced(name, value, parts))
        if len(owners) > 1:
            raise ConfigError(
                f"{name}={shown(value)} is a setting of the {owners[0]} and of the {owners[1]}. Give the one that is "
                "yours another name."
            )
        changes[owners[0]][name] = value
    for which, part in parts.items():
        if changes[which]:
            # A number or name is known by itself; the same object is the same value.
            given = ((n, type(v), v if isinstance(v, PLAIN) else id(v)) for n, v in changes[which].items())
            key = which, id(part), *given
            if key not in made:
                made[key] = part, dataclasses.replace(part, **changes[which])  # the part is kept, and so its id
            parts[which] = made[key][1]
    return base.replaced(parts | changes["run"])


def _misplaced(name: str, value, parts) -> str:
    """The message for a setting that the chosen components do not have."""
    for which, kinds in COMPONENTS.items():
        owners = [kind for kind, cls in kinds.items() if name in settings(cls)]
        if owners:
            has = ", ".join(owners)
            return (
                f"{name}={shown(value)} is a setting of the {which} {has}, but the {which} is "
                f"{component_name(which, parts[which])}. Leave it out, or try --{which}={owners[0]}; "
                "where several are compared, --variant gives each its own."
            )
    raise unknown_name("setting", name, {n for part in parts.values() for n in settings(part)})


def told(config: Config, whole: bool = False) -> dict[str, dict[str, Any]]:
    """All that decides a run's numbers, JSON-able: each component's kind and every field of it, and the run's own.

    Settings that were added later are left out at their defaults, unless asked for the `whole`.
    """
    run = {name: value for name, value in _settings(config, whole).items() if name != "seed"}
    run |= {f"{stream}_seed": seed for stream, seed in config.seeds.items()}
    del run["epochs"]  # which the steps tell
    if config.train_rows is not None:
        run["train_fraction"] = None
    if config.batch_rule == "stream":
        run |= dict.fromkeys(("train_fraction", "train_rows", "outliers", "split_by", "min_batches"))
    run["metrics"] = [metrics.identity(metric) for metric in metrics.chosen(config.metrics)]
    return {which: _fields(which, getattr(config, which), whole) for which in COMPONENTS} | {"run": run}


def _settings(owner, whole: bool) -> dict[str, Any]:
    """Its settings by name, those that were added later only where they are not the default, or `whole`."""
    fields = {name: (getattr(owner, name), field) for name, field in settings(owner).items()}
    return {n: value for n, (value, f) in fields.items() if whole or not f.metadata["later"] or value != f.default}


def _fields(which: str, part, whole: bool) -> dict[str, Any]:
    """A component's kind and fields; of a user's its settings alone, since the rest shows in what it computes."""
    kind, declared, values = _kind(which, part), settings(part), _settings(part, whole)
    for field in dataclasses.fields(part) if kind else ():
        value = getattr(part, field.name)
        if field.name not in (*declared, "parent", "name") and value is not None:
            values[field.name] = value if isinstance(value, str | int | float) else repr(value)
    return {which: kind or _own_kind(part)} | values


def describe(config: Config) -> dict[str, Any]:
    """What `told` tells as a whole, flat, for people: a name that two components have bears theirs too."""
    flat: dict[str, Any] = {}
    for owner, fields in told(config, whole=True).items():
        for name, value in fields.items():
            flat[f"{owner}.{name}" if name in flat else name] = value
    return flat
