"""The JSON string `meta` of a result file: what each of its fields must be, and the checksum over all of them."""

import hashlib
import json
import reprlib
from collections.abc import Callable, Mapping

Check = Callable[[object], bool]


def dumped(meta: Mapping[str, object]) -> str:
    """`meta` as strict JSON.

    Raises:
      TypeError, ValueError, RecursionError: if it holds what strict JSON cannot: NaN, infinity, NumPy values, ...
    """
    return json.dumps(meta, allow_nan=False)


def parsed(text: str | bytes) -> dict:
    """The mapping that `dumped` made this text from.

    Raises:
      TypeError, ValueError, RecursionError: if it is not strict JSON, or not a mapping.
    """
    meta = json.loads(text)
    if not isinstance(meta, dict):
        raise TypeError("it is not a mapping")
    dumped(meta)  # json.loads also takes NaN, and makes infinity of 1e999
    return meta


def checksum(meta: Mapping[str, object]) -> str:
    """SHA-256 of the canonical JSON of all fields but "checksum" itself: keys sorted, no spaces, ASCII."""
    rest = {name: value for name, value in meta.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def mistyped(meta: Mapping[str, object]) -> str:
    """Which field is not of the kind that everything below relies on, in words; empty if none is.

    Fields that are absent, and those that nothing computes with, are not its concern.
    """
    for name, (right, words) in FIELDS.items():
        if name in meta and not right(meta[name]):
            return f"its meta has {name}={reprlib.repr(meta[name])}, which must be {words}"
    return ""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(of: Check) -> Check:
    return lambda value: isinstance(value, list | tuple) and all(map(of, value))


def _table(of: Check) -> Check:
    return lambda value: isinstance(value, Mapping) and all(map(_text, value)) and all(map(of, value.values()))


def _either(*kinds: Check) -> Check:
    return lambda value: any(kind(value) for kind in kinds)


def _anything(value: object) -> bool:
    return True


def _of_each_run(of: Check) -> Check:
    """Whether it is such a value, or lists of them, nested."""

    def right(value: object) -> bool:
        return all(map(right, value)) if isinstance(value, list | tuple) else of(value)

    return right


def _points(value: object) -> bool:
    """Whether it is the points of an axis: at least one, each a table of settings."""
    return _list(_table(_anything))(value) and len(value) > 0


def _start(value: object) -> bool:
    """Whether it may say what a run starts from."""
    return value is None or _text(value) or _whole(value)


def _share(value: object) -> bool:
    """Whether it says what one process did of a sweep."""
    return _table(_anything)(value) and _number(value.get("wall_seconds")) and _whole(value.get("run_steps"))


FIELDS: Mapping[str, tuple[Check, str]] = {
    "dims": (_table(_list(_text)), "the names of the dimensions of each array"),
    "coords": (_list(_text), "the names of the arrays that are coordinates"),
    "long_name": (_table(_text), "a text for each of some arrays"),
    "units": (_table(_text), "a text for each of some arrays"),
    "params": (_either(_text, lambda value: value is None), "the name of a folder, or null"),
    "config": (_table(_anything), "the settings by name"),
    "axes": (_table(_points), "the settings at each point of each axis"),
    "seeds": (_table(_of_each_run(_whole)), "the seeds of each stream, whole numbers"),
    "starts": (_table(_of_each_run(_start)), "what each run starts from, texts and whole numbers, or null"),
    "versions": (_either(_table(_text), _list(_table(_text))), "the version of each package"),
    "lanes": (_list(_whole), "whole numbers"),
    "wall_seconds": (_number, "a number"),
    "run_steps": (_whole, "a whole number"),
    "trained_by": (_list(_share), "the wall_seconds and run_steps of each process, numbers"),
    "checksums": (_table(_text), "a text for each array"),
    "checksum": (_text, "a text"),
}
"""What must be what, and how that is said. Fields that are only shown or compared may be any JSON."""
