"""Tasks, models and optimizers by name, and those that a user's file gives."""

import dataclasses
import functools
import importlib.util
import inspect
from pathlib import Path

from grokjax import tasks
from grokjax.config import ConfigError, check_component, own_name, settings, unknown_name
from grokjax.models import MODELS
from grokjax.optimizers import OPTIMIZERS, Custom

COMPONENTS = {"task": tasks.TASKS, "model": MODELS, "optimizer": OPTIMIZERS}
"""The parts of a configuration that are objects, and their kinds by name."""


def component(which: str, name: str):
    """A task, model or optimizer by its name, with its default settings, or from a file of the user's.

    Args:
      which: 'task', 'model' or 'optimizer'.
      name: one of ours, or 'file.py:name' of an object or of what makes it when called without arguments; of a task
        also 'file.npz', its table.

    Raises:
      ConfigError: naming the known ones, or what is wrong with the file.
    """
    if ".py:" in name:
        return from_file(which, name)
    if which == "task" and name.endswith(".npz"):
        return tasks.from_file(name)
    if name.endswith(".py"):
        raise ConfigError(f"{which}={name} names a file and nothing in it. Try --{which}={name}:make_{which}.")
    name = own_name(name, COMPONENTS[which])
    if name not in COMPONENTS[which]:
        raise unknown_name(which, name, COMPONENTS[which])
    return COMPONENTS[which][name]()


def chosen_component(which: str, chosen, made: dict):
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


def kind_name(which: str, owner) -> str | None:
    """What the command line calls the kind of a component; None for a user's own."""
    return {kind: name for name, kind in COMPONENTS[which].items()}.get(type(owner))


def own_name_of(owner) -> str:
    """What a component of a user's is called: by its content where that tells all, or by its name."""
    return getattr(owner, "identity", None) or (owner.name if isinstance(owner, Custom) else type(owner).__qualname__)


def component_name(which: str, owner) -> str:
    """The name of a component's kind, and in brackets those of its settings that are not the default."""
    name = kind_name(which, owner) or own_name_of(owner)
    changed = [f"{n}={getattr(owner, n)}" for n, f in settings(owner).items() if getattr(owner, n) != f.default]
    return f"{name}({', '.join(changed)})" if changed else name
