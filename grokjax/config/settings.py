"""Settings: declared with their ranges, read, checked, and sorted into what shapes a program and what a run brings."""

import dataclasses
import functools
import math
import types
import warnings
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from grokjax.config.names import ConfigError, own_name, shown, unknown_value
from grokjax.config.values import LARGEST, SMALLEST, beyond, exact_number, plain, several, snapped

PROGRAM = "program"
"""Role of a setting that shapes the compiled program: changing it compiles another one."""


RUN = "run"
"""Role of a setting that is a traced value of the program: changing it never recompiles."""


HOST = "host"
"""Role of a setting that only the host reads (budgets, evaluation steps, stopping)."""


WIDEST, DEEPEST = 10_000_000, 128
"""Features and layers that a model may have: beyond them even its description is too large to be made."""


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
    functions: bool = False,
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
      functions: whether a function may stand in place of a name.

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
        functions=functions,
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


def checked(name: str, value, field: dataclasses.Field):
    """One value, converted to the kind of its setting; ConfigError if it lies outside the setting's range."""
    data = field.metadata
    if value is None and data["optional"]:
        return None
    if data["functions"] and callable(value) and not isinstance(value, type):
        return value
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
