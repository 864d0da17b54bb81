"""Texts of a command line as values: numbers, lists, ranges, labelled configurations."""

import math
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from grokjax.config import ConfigError, beyond, exact_number, own_name, unknown_name
from grokjax.sweeps.components import COMPONENTS, from_file

LONGEST_RANGE = 1_000_000
"""Values a range may have."""


def parse_values(name: str, text: str, kind: type, optional: bool = False) -> Any:
    """One value, a list `a,b,c` or an inclusive range `start:stop:step`, as text.

    Args:
      name: of the setting, for messages.
      text: what the user wrote.
      kind: int, float or str; only numbers have ranges.
      optional: whether 'none' stands for None.

    Returns:
      A single value, or a list of them if there are several. Numbers in decimal are exact: 0.3:0.5:0.05 has 0.35.

    Raises:
      ConfigError: if a part cannot be read.
    """
    values = []
    for part in text.split(","):
        part = part.strip()
        if not part:
            raise ConfigError(f"{name}={text} has an empty value. Try --{name}=a,b,c, without spare commas.")
        if optional and part.lower() == "none":
            values.append(None)
        elif kind in (int, float) and ":" in part:
            values += _range(name, part, kind)
        elif kind in (int, float):
            values.append(number(name, part, kind))
        else:
            values.append(part)
    return values[0] if len(values) == 1 and (kind is str or ":" not in text) else values


def _range(name: str, text: str, kind: type) -> list:
    parts = [_decimal(name, text, part) for part in text.split(":")]
    example = "0:4:1" if kind is int else "0.3:0.8:0.05"
    if len(parts) != 3 or parts[2] <= 0 or parts[1] < parts[0]:
        raise ConfigError(f"{name}={text} is not a range: it must be start:stop:step, rising. Try --{name}={example}.")
    start, stop, step = parts
    steps = (stop - start) / step
    if steps >= LONGEST_RANGE:
        count = f"{int(steps) + 1:,}" if steps < 10**15 else f"about {steps:.0e}"
        raise ConfigError(f"{name}={text} has {count} values, more than {LONGEST_RANGE:,}. Try a larger step.")
    return [number(name, str(start + i * step), kind) for i in range(int(steps) + 1)]


def _decimal(name: str, whole: str, part: str) -> Decimal:
    number = exact_number(name, part.strip(), whole)
    if number is None or not number.is_finite():
        raise ConfigError(f"{name}={whole} cannot be read: {part!r} is not a number.")
    return number


def number(name: str, text: str, kind: type) -> float | int:
    """The number that a flag says, of the kind float or int; ConfigError if it says none or one out of range."""
    value = exact_number(name, text)
    if value is None:
        raise ConfigError(f"{name}={text} is not a number.")
    if kind is float:
        number = float(value)
        if value.is_finite() and value and (not number or math.isinf(number)):
            raise beyond(name, text)
        return number
    if not value.is_finite() or value != value.to_integral_value():
        raise ConfigError(f"{name}={text} is not a whole number.")
    if abs(value) > 2**63:
        raise ConfigError(f"{name}={text} is out of range.")
    return int(value)


def variant_words(text: str) -> dict[str, list[tuple[str, str]]]:
    """'label: name=value name=value; label: ...' as {label: [(name, value)]}, nothing being known of the names."""
    variants = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        label, colon, rest = part.partition(":")
        try:
            words = [word.partition("=") for word in shlex.split(rest)]
        except ValueError as error:
            raise ConfigError(f"variant={part} cannot be read: {str(error).lower()}.") from None
        if broken := [name for name, equals, _ in words if not equals]:
            raise ConfigError(f"variant={part} cannot be read: {broken[0]!r} is not name=value.")
        if label.strip() in variants:
            raise ConfigError(f"variant gives the label {label.strip()!r} twice. Give each its own.")
        if not colon or not words:
            raise ConfigError(f"variant={part} cannot be read. Try 'a: weight_decay=0; b: weight_decay=1'.")
        variants[label.strip()] = [(name, value) for name, _, value in words]
    if not variants:
        raise ConfigError("variant has no value, so the grid is empty. Try 'a: weight_decay=0; b: weight_decay=1'.")
    return variants


def parse_variants(text: str, known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """'label: name=value name=value; label: ...' as {label: {name: value}}; ConfigError if it is not of this form.

    A value with spaces stands in quotes. `known` are the settings by name.
    """
    variants = {}
    for label, pairs in variant_words(text).items():
        chosen = variants[label] = {}
        for name, value in pairs:
            name = own_name(name, (*known, *COMPONENTS))
            if name in COMPONENTS:
                chosen[name] = value
            elif name in known:
                data = known[name].metadata
                chosen[name] = parse_values(name, value, data["kind"], data["optional"])
                if isinstance(chosen[name], list):
                    raise ConfigError(f"variant={label}:... gives {name} several values. A variant has one of each.")
            else:
                raise unknown_name("setting", name, {*known, *COMPONENTS})
    return variants


def metric(text: str) -> tuple[str, Any]:
    """A metric's name and, for one of the user's, its function."""
    name = text.strip()
    return (name.rpartition(":")[2], from_file("metric", name)) if ".py:" in name else (name, None)
