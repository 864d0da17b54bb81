"""What tells a task, a model and an optimizer from anything else, and what is answered to anything else."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from grokjax.config.contracts import CONTRACTS, lacks, members, methods
from grokjax.config.execution import SWEEP_KEYWORDS
from grokjax.config.names import OTHER_NAMES, ConfigError, folded, shown, unknown_name
from grokjax.config.settings import settings


def refusing(cls):
    """Has a class of settings answer what it is not made of by a ConfigError, which names the setting that is meant.

    Args:
      cls: a dataclass, or a Flax module, whose fields are settings.

    Returns:
      The class itself.
    """
    made = cls.__init__
    signature = inspect.signature(made)

    @functools.wraps(made)
    def init(self, *args, **given):
        try:
            signature.bind(self, *args, **given)
        except TypeError as error:
            given = dict(zip(list(signature.parameters)[1:], args, strict=False)) | given
            raise ConfigError(_not_made_of(cls, given, error)) from None
        made(self, *args, **given)

    cls.__init__ = init
    return cls


def _not_made_of(cls, given: Mapping[str, Any], error: TypeError) -> str:
    """The message for arguments that a class of settings does not take, or lacks."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in given:
        if name not in fields:
            ours = OTHER_NAMES.get(folded(name), name)
            called = f", called {ours} here" if ours != name else ""
            owners = [w for w in CONTRACTS if w in given and is_component(w, given[w])]
            for which in owners:
                if ours in settings(given[which]):
                    return (
                        f"{name} is a setting of the {which}{called}. Give it where the {which} is made, or try "
                        f"grokjax.sweep(config, {ours}={shown(given[name])})."
                    )
            if cls.__name__ == "Config" and ours in SWEEP_KEYWORDS:
                return f"{name} is no setting of a run. Try grokjax.sweep(config, {ours}={shown(given[name])})."
            return str(unknown_name(f"setting of {cls.__name__}", name, fields))
    for name, field in fields.items():
        if name not in given and field.default is field.default_factory is dataclasses.MISSING:
            return f"{cls.__name__} needs {name}=. {COMPONENT_HINTS.get(name, '')}".strip()
    return f"{cls.__name__} cannot be made: {error}."


COMPONENT_HINTS = {
    "task": "Give one, such as grokjax.tasks.modular('add', 97) or grokjax.tasks.from_function(f, modulus=59).",
    "model": "Give a Flax Linen module, such as grokjax.models.Decoder().",
    "optimizer": "Give one, such as grokjax.optimizers.AdamW() or one made by grokjax.optimizers.custom.",
}


def check_component(which: str, value) -> None:
    """ConfigError unless `value` is a task, model or optimizer, as `which` says."""
    if not is_component(which, value):
        if which == "model" and (advice := nnx_advice(value)):
            raise ConfigError(advice)
        what = f"the class {value.__qualname__}" if isinstance(value, type) else shown(value, repr)
        raise ConfigError(f"{which}={what} is no {which}. {_component_hint(which, value)}")


def is_component(which: str, value) -> bool:
    """Whether a value is a 'task', 'model' or 'optimizer': a dataclass that has what the contract of one asks for."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and not lacks(value, CONTRACTS[which])


def _component_hint(which: str, value) -> str:
    """What to try in place of what is no task, model or optimizer."""
    if others := [other for other in CONTRACTS if is_component(other, value)]:
        return f"It is a {others[0]}: try {others[0]}=..., and name task, model and optimizer."
    contract = CONTRACTS[which]
    if isinstance(value, type) and all(hasattr(value, method) for method in methods(contract)):
        return f"Give one of it, such as {value.__qualname__}(), with what it needs in the brackets."
    if dataclasses.is_dataclass(value) and 0 < len(missing := lacks(value, contract)) < len(members(contract)):
        return f"It lacks {' and '.join(missing)}: see help(grokjax.config.{contract.__name__})."
    if which == "optimizer" and hasattr(value, "init") and hasattr(value, "update"):
        return (
            "It is a chain of optax, whose numbers are fixed. Try optimizer=grokjax.optimizers.custom(lambda h: "
            "optax.adamw(h.learning_rate)), with your chain in it: then learning_rate can be swept."
        )
    if which == "optimizer" and inspect.isroutine(value):
        if str(value.__module__).startswith("optax"):
            place = "optax.contrib" if ".contrib" in value.__module__ else "optax"
            return f"Try optimizer=grokjax.optimizers.custom(lambda h: {place}.{value.__name__}(h.learning_rate))."
        return "A function from hyperparameters h to a chain becomes one by grokjax.optimizers.custom(function)."
    return COMPONENT_HINTS[which]


def nnx_advice(value) -> str | None:
    """The line that makes a Flax NNX module, or its class, a Linen one; None for anything else."""
    kind = value if isinstance(value, type) else type(value)
    homes = [".".join(base.__module__.split(".")[:2]) for base in kind.__mro__]
    if "flax.nnx" not in homes or "flax.linen" in homes:  # the bridge's own are both
        return None
    return (
        f"model={kind.__name__} is a Flax NNX module, and a Flax Linen module is needed. "
        f"Try model=flax.nnx.bridge.to_linen({kind.__name__}, ...), with the arguments of {kind.__name__} except rngs."
    )
