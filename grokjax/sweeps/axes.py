"""The values that a user gives a setting, as the points of an axis."""

import dataclasses
import itertools
import math
from collections.abc import KeysView, Mapping, Sequence, Set
from typing import Any

from grokjax.config import Config, ConfigError, check_component, own_name, plain, settings, several, shown, snapped
from grokjax.sweeps.components import COMPONENTS, component_name

MOST_RUNS = 1_000_000
"""Runs that a grid may have, and values that an axis may."""


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


class Reader:
    """Reads values as they are meant: a number as the short decimal that it is but for rounding, a name in any case.

    Attributes:
      snapped: the numbers that were read as others, by setting.
    """

    def __init__(self, base: Config):
        kinds = [kind for kinds in COMPONENTS.values() for kind in kinds.values()]
        self.names: dict[str, dict] = {which: dict.fromkeys(kinds) for which, kinds in COMPONENTS.items()}
        for owner in (Config, base.task, base.model, base.optimizer, *kinds):
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

    def axis(self, name: str, value) -> Axis | None:
        """The axis that a setting's values make; None for a single value. ConfigError for values that make none.

        Args:
          name: of the setting, or of an axis of labelled configurations.
          value: a sequence of values or of `Arm`; a mapping from labels to settings; or a single value.
        """
        if _are_arms(value):
            labelled = {arm.id: arm.settings for arm in value}
            if len(labelled) < len(value):
                raise ConfigError(f"{name} has two arms of one id. Give each its own.")
            return self._labelled(name, labelled, {f"{name}_label": tuple(arm.label for arm in value)})
        if isinstance(value, Mapping):
            return self._labelled(name, value, {})
        if not several(value):
            return None
        points = [self.read(name, point) for point in _points(name, value)]
        return Axis((name,), (_labels(name, points),), tuple({name: point} for point in points))

    def _labelled(self, name: str, values: Mapping, more: Mapping[str, tuple]) -> Axis:
        """An axis of labelled configurations; the settings that all of them give are coordinates along it.

        Args:
          name: of the axis.
          values: by label, the settings of a point.
          more: a further coordinate.
        """
        if not all(isinstance(overrides, Mapping) for overrides in values.values()):
            raise ConfigError(f"{name} must map labels to settings, such as {{'a': {{'weight_decay': 0.0}}}}.")
        points = [{n: self.read(n, v) for n, v in overrides.items()} for overrides in values.values()]
        coords = {name: tuple(map(str, values))} | more | _shared_settings(points)
        return Axis(tuple(coords), tuple(coords.values()), tuple(points))


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


def with_seeds(values: Mapping[str, Any]) -> dict[str, Any]:
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
