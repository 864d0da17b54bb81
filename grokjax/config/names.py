"""Names that are not ours, answered with ours; the error that every wrong setting ends in."""

import difflib
import importlib
import shlex
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from grokjax.config import other_names


def folded(name: str) -> str:
    """`name` as names are compared: in lower case, '-' being '_'."""
    return name.lower().replace("-", "_")


def _by_name(table: Mapping[str, str]) -> dict[str, str]:
    """By each of the names that an entry holds, ours or the sentence of the entry."""
    return {folded(other): ours for ours, others in table.items() for other in others.split()}


OTHER_NAMES = _by_name(other_names.SAME)
"""Ours, by each name that other projects have for it."""


SENTENCES = _by_name(other_names.SENTENCES)
"""What to do, by each name that has no single counterpart here."""


OTHER_VALUES = {setting: _by_name(table) for setting, table in other_names.VALUES.items()}


VALUE_SENTENCES = {setting: _by_name(table) for setting, table in other_names.VALUE_SENTENCES.items()}
"""The same of the values of a setting."""


FEW = 20
"""Names that a message lists; of more it has the nearest."""


class ConfigError(ValueError):
    """A setting or a combination of settings that cannot be run: what, got, why, try."""


def imported(module: str, extra: str, asked: str) -> ModuleType:
    """A package that only an extra of ours brings; ConfigError with the command that installs it.

    Args:
      module: its name.
      extra: ours.
      asked: what needs it, as the message begins.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            f"{asked} needs the package {module}, which is not installed. Try pip install 'grokjax[{extra}]'."
        ) from None


def shown(value, text_of: Callable[[Any], str] = str) -> str:
    """A value as messages name it: on one line, and no longer than is read."""
    try:
        text = " ".join(text_of(value).split())
    except Exception:  # such as an integer of too many digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


LISTS = "`grokjax sweep --help` lists all."
"""Where all settings and their values are found."""

LONGEST_SHOWN = 80
"""Characters of a value that a message shows."""


def own_name(name: str, known) -> str:
    """The one of the known names that `name` is but for case and '-' for '_'; otherwise `name`."""
    return name if name in known else {folded(str(one)): str(one) for one in known}.get(folded(name), name)


def _suggestion(value, known, lists: str) -> str:
    """'Did you mean ...? Known: ...' for a value that is not known; where many are, `lists` says what lists them."""
    known = {folded(str(k)): str(k) for k in known}
    many = len(known) > FEW
    close = [known[k] for k in difflib.get_close_matches(folded(shown(value)), known, n=3 if many else 1)]
    mean = f"Did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}? " if close else ""
    return mean + (lists if many else f"Known: {', '.join(known.values())}.")


def unknown_name(what: str, name: str, known) -> ConfigError:
    """The error for a name we do not have, answered with ours where the field calls it otherwise.

    Args:
      what: 'flag', 'setting', 'optimizer', ...
      name: that is not known.
      known: those that are.
    """
    if what != "flag" and not what.startswith("setting"):
        return unknown_value(what, name, sorted(known), f"There is no {what} {name!r}.")
    ours = OTHER_NAMES.get(folded(name))
    if ours in known:
        return ConfigError(f"{name} is called {ours} here. Try --{ours}, in Python {ours}=.")
    if sentence := SENTENCES.get(folded(name)):
        return ConfigError(f"There is no {what} {name!r}. {sentence}")
    lists = "--help lists all." if what == "flag" else LISTS
    return ConfigError(f"There is no {what} {name!r}. {_suggestion(name, sorted(known), lists)}")


def other_value(name: str, value) -> str | None:
    """Our value of a setting, where other projects call it so."""
    return OTHER_VALUES.get(name, {}).get(folded(shown(value)))


def unknown_value(name: str, value, known, what: str | None = None) -> ConfigError:
    """The error for a value that a setting does not have, answered with ours where the field calls it otherwise.

    Args:
      name: of the setting.
      value: given.
      known: its values.
      what: what is wrong, if another sentence says it better.
    """
    what = what or f"{name}={shown(value)} is not known."
    ours = other_value(name, value)
    if ours in known:
        return ConfigError(f"{name}={shown(value)} is called {ours} here. Try --{name}={shlex.quote(ours)}.")
    if sentence := VALUE_SENTENCES.get(name, {}).get(folded(shown(value))):
        return ConfigError(f"{what} {sentence}")
    lists = "`grokjax list` lists all." if name == "experiment" else LISTS
    return ConfigError(f"{what} {_suggestion(value, known, lists)}")
