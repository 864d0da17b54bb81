"""A grid: settings that are the same for all runs, and axes along which others vary."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from grokjax.config import Config, ConfigError, settings, shown, unknown_name
from grokjax.sweeps.axes import MOST_RUNS, Axis, Reader, with_seeds
from grokjax.sweeps.code import forget
from grokjax.sweeps.components import COMPONENTS, chosen_component
from grokjax.sweeps.identity import Run, identified
from grokjax.sweeps.overrides import configured


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
        runs = identified(list(counting(self.cells())))
        check_effects(self.axes, runs)
        return runs

    def cells(self) -> Iterator[Run]:
        """Every run, the last axis fastest, not yet identified."""
        made: dict = {}
        for index in itertools.product(*map(range, self.shape)):
            overrides = dict(self.fixed)
            for axis, i in zip(self.axes, index, strict=True):
                overrides |= axis.overrides[i]
            yield Run(index, configured(self.base, overrides, made))


def check_effects(axes: Sequence[Axis], runs: Sequence[Run]) -> None:
    """ConfigError for an axis, of the first in the place of each run, two points of which make the same runs."""
    for place, axis in enumerate(axes):
        points = [[run.run_id for run in runs if run.index[place] == i] for i in range(min(2, len(axis)))]
        if len(points) == 2 and points[0] == points[1]:
            values = " and ".join(str(labels) for labels in axis.labels[0][:2])
            raise ConfigError(
                f"{axis.names[0]}={values} make the same runs: what else is set leaves it without effect. "
                "Leave one out."
            )


def flat(grid: Grid, runs: Sequence[Run]) -> tuple[Grid, list[Run]]:
    """Runs of a grid as a grid of their own, along one axis."""
    axis = Axis(("run",), (tuple(range(len(runs))),), ({},) * len(runs))
    return Grid(grid.base, {}, (axis,)), [run.at((i,)) for i, run in enumerate(runs)]


def make_grid(base: Config, values: Mapping[str, Any], zipped: Any = ()) -> Grid:
    """The grid that settings with one or several values span.

        for each setting: a single value is that of all runs, several make an axis
        refuse settings that are given twice, or that nothing has
        merge the axes that advance together
        refuse points that are given twice, and more runs than can be

    Args:
      base: what the values do not say.
      values: by name. A scalar sets all runs; a sequence or range makes an axis; a mapping makes an axis whose
        points are its keys, each giving the settings of its value; settings that every point gives become coordinates
        along it. A sequence of `Arm` is such a mapping, whose labels are one more coordinate, named e.g.
        'variant_label'. `num_seeds=n` is short for `seed=range(n)`.
      zipped: groups of names whose axes advance together, as one axis under the first name.

    Returns:
      The grid, axes in the order of `values`.

    Raises:
      ConfigError: for an unknown name, an empty or repeating axis, or zipped axes that do not fit.
    """
    _check_of_grid(values)
    reader, fixed, axes = Reader(base), {}, {}
    for name, value in with_seeds(values).items():
        if (axis := reader.axis(name, value)) is None:
            fixed[name] = reader.read(name, value)
        else:
            axes[name] = axis
    _check_given_once(fixed, axes)
    _check_known(base, [fixed, *(point for axis in axes.values() for point in axis.overrides)])
    grid = Grid(base, fixed, _zipped(axes, zipped), reader.snapped)
    for axis in grid.axes:
        _check_points_differ(axis)
    if math.prod(grid.shape) > MOST_RUNS:
        raise ConfigError(f"The grid has {math.prod(grid.shape):,} runs, more than {MOST_RUNS:,}. Try fewer values.")
    return grid


def _check_given_once(fixed: Mapping[str, Any], axes: Mapping[str, Axis]) -> None:
    """ConfigError for an axis without values, or a setting that two axes give, or an axis and all runs."""
    for name, axis in axes.items():
        if not len(axis):
            raise ConfigError(f"{name} has no value, so the grid is empty. Give it at least one.")
    given = {name: {setting for point in axis.overrides for setting in point} for name, axis in axes.items()}
    for name, mine in given.items():
        others = {setting for other, theirs in given.items() if other != name for setting in theirs}
        if twice := mine & others:
            raise ConfigError(f"{min(twice)} is set by two axes, {name} among them. Give it in one place.")
        if twice := mine & set(fixed):
            raise ConfigError(f"{min(twice)} is given once for all runs and again by {name}. Give it in one place.")


def _check_known(base: Config, overrides: Sequence[Mapping[str, Any]]) -> None:
    """ConfigError for a setting that neither a run nor any kind of task, model or optimizer has."""
    known = _known_names(base, overrides)
    for name in {name for given in overrides for name in given}:
        _check_of_grid([name])
        if name not in known:
            raise unknown_name("setting", name, known)


def _check_of_grid(names: Collection[str]) -> None:
    """ConfigError for what only a configuration has."""
    for name, example in (("metrics", "[...]"), ("start", "weights")):
        if name in names:
            raise ConfigError(f"{name} cannot vary within a grid. Try grokjax.Config(..., {name}={example}).")


def _known_names(base: Config, overrides: Sequence[Mapping[str, Any]]) -> set[str]:
    """The components and every setting of the kinds there are, those of `base` and of the overrides among them."""
    owners = [Config, base.task, base.model, base.optimizer]
    owners += [kind for kinds in COMPONENTS.values() for kind in kinds.values()]
    made: dict = {}
    for which in COMPONENTS:
        owners += [chosen_component(which, given[which], made) for given in overrides if which in given]
    return {*COMPONENTS, *(name for owner in owners for name in settings(owner))}


def _zipped(axes: Mapping[str, Axis], groups: Any) -> tuple[Axis, ...]:
    """The axes, those of each group as one: its points take the values of all members at the same place."""
    axes = dict(axes)
    for group in groups if isinstance(groups, Sequence) else [groups]:
        _check_group(group, axes)
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


def _check_group(group: Any, axes: Mapping[str, Axis]) -> None:
    """ConfigError for what is not names of axes of equal length."""
    if not isinstance(group, list | tuple) or not group or not all(isinstance(name, str) for name in group):
        raise ConfigError(f"zip holds {shown(repr(group))}, which is no group of names. Try zip=[['seed', 'steps']].")
    for name in group:
        if name not in axes:
            known = f"The axes are {', '.join(axes)}." if axes else "There is no axis."
            raise ConfigError(f"zip={','.join(group)} names {name}, which has no list of values. {known}")
    lengths = {name: len(axes[name]) for name in group}
    if len(set(lengths.values())) > 1:
        have = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ConfigError(f"zip={','.join(group)} needs as many values of each, but {have}.")


def _check_points_differ(axis: Axis) -> None:
    """ConfigError for two points of an axis that have one label, or the same values where none has a label."""
    counted = 1 if axis.labelled else len(axis.names)
    points = list(zip(*axis.labels[:counted], strict=True))
    if len(set(points)) < len(points):
        twice = next(point for i, point in enumerate(points) if point in points[:i])
        given = f"{','.join(axis.names[:counted])}={','.join(map(str, twice))}"
        raise ConfigError(f"{given} is given twice. Each value of an axis may stand once.")


def _snapped_note(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Says which numbers of a setting were read as which."""
    given, read = (",".join(map(str, numbers[:3])) for numbers in zip(*pairs, strict=True))
    if len(pairs) == 1:
        return f"{name}={given} is read as {read}."
    more = f", and {len(pairs) - 3} more likewise" if len(pairs) > 3 else ""
    return f"{name}={given} are read as {read}{more}."
