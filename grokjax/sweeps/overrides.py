"""A configuration with some settings replaced, each in the task, model, optimizer or run that has it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from grokjax.config import PLAIN, Config, ConfigError, settings, shown, unknown_name
from grokjax.sweeps.components import COMPONENTS, chosen_component, component_name


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
            parts[which] = chosen_component(which, overrides[which], made)
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
