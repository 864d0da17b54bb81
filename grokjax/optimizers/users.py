"""A user's own optax chain as an optimizer, each declared hyperparameter an axis that can be swept."""

import dataclasses
import inspect
import keyword
import math
import types
from collections.abc import Callable
from typing import Any

import optax

from grokjax.config import SWEEP_KEYWORDS, Config, ConfigError, check_settings, plain, settings, shown
from grokjax.optimizers.base import hyperparameter
from grokjax.optimizers.transforms import Hyperparameters


@dataclasses.dataclass(frozen=True)
class Custom:
    """A user's own optax chain, made by `custom`, which adds the hyperparameters as fields."""

    build: Callable[[types.SimpleNamespace], optax.GradientTransformation]

    def __post_init__(self):
        check_settings(self)

    @property
    def name(self) -> str:
        """The builder's qualified name."""
        return getattr(self.build, "__qualname__", type(self.build).__qualname__)

    def chain(self, hyper: Hyperparameters) -> optax.GradientTransformationExtraArgs:
        """The user's transformation, given its hyperparameters as attributes; ConfigError if it is none."""
        made = self.build(types.SimpleNamespace(**hyper))
        if isinstance(made, type) or not (hasattr(made, "init") and hasattr(made, "update")):
            raise ConfigError(
                f"The optimizer {self.name} returned {_type_name(made)}, which is no optax transformation. Return one, "
                "such as optax.adamw(h.learning_rate)."
            )
        return _given_what_it_takes(optax.with_extra_args_support(made))


EXTRA_ARGUMENTS = {
    "key": "a random key of this step",
    "value": "the loss of the batch, in train mode",
    "grad": "its gradient, which also is the update that the chain begins with",
    "value_fn": "the same loss as a function of the parameters: what line searches call",
    "obj_fn": "the same function, by its name in optax.contrib.sophia",
    "grad_fn": "its gradient as a function of the parameters and of a number, which is not used: what SAM calls",
}
"""What the update of a user's chain may ask for, by keyword, besides gradient, state and parameters."""


def _given_what_it_takes(made: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """The same transformation, given those of `EXTRA_ARGUMENTS` that its update declares; all if it takes any."""
    declared = inspect.signature(made.update).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared):
        return made
    names = {parameter.name for parameter in declared}

    def update(updates, state, params=None, **extra):
        return made.update(updates, state, params, **{name: value for name, value in extra.items() if name in names})

    return optax.GradientTransformationExtraArgs(made.init, update)


def _type_name(value) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


TAKEN = ("config", "task", "model", "optimizer", "metrics", *SWEEP_KEYWORDS)
"""Names that a hyperparameter cannot have, besides those of settings."""


def custom(
    build: Any,
    *,
    learning_rate: Any = 1e-3,
    **hyperparameters: Any,
) -> Custom:
    """An optimizer of your own, each declared hyperparameter an axis that can be swept without recompiling.

    Args:
      build: a function: given an object whose attributes are the hyperparameters, as scalars that may be traced, it
        returns an optax transformation from gradient to update, learning rate included. Its update may ask for any of
        `EXTRA_ARGUMENTS`, so that line searches and SAM work. A schedule of optax that compares its numbers is given
        plain ones and scaled: lambda step: h.learning_rate * optax.warmup_cosine_decay_schedule(0, 1, 10, 1000)(step).
      learning_rate: its default.
      **hyperparameters: further ones, with their defaults.

    Returns:
      An optimizer for `grokjax.Config`.

    Raises:
      ConfigError: for a name that is a setting of every run already, or a default that is no number.
    """
    if not callable(build) or isinstance(build, type) or hasattr(build, "update"):
        raise ConfigError(
            f"custom was given {shown(repr(build))}, no function. Give one from hyperparameters to an optax "
            "transformation, such as lambda h: optax.adam(h.learning_rate)."
        )
    if str(getattr(build, "__module__", "")).startswith("optax"):
        raise ConfigError(
            f"custom was given optax's {build.__name__}, which takes numbers one by one. Give a function of all "
            f"hyperparameters, such as lambda h: optax.{build.__name__}(h.learning_rate)."
        )
    taken = {*settings(Config), *TAKEN, *dir(Custom)}
    for name in hyperparameters:
        if name in taken:
            raise ConfigError(f"{name} is the name of something else already. Give the hyperparameter another name.")
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigError(f"{name!r} is no name. A hyperparameter's name is made of letters, digits and '_'.")
    declared = {"learning_rate": learning_rate, **hyperparameters}
    declared = {name: plain(default) for name, default in declared.items()}
    for name, default in declared.items():
        if isinstance(default, bool) or not isinstance(default, int | float) or not math.isfinite(default):
            raise ConfigError(f"{name}={shown(default)} is not a finite number. Give each hyperparameter its default.")
    fields = [
        (name, float, hyperparameter(default, f"hyperparameter; default: {default}"))
        for name, default in declared.items()
    ]
    made = dataclasses.make_dataclass("Custom", fields, bases=(Custom,), frozen=True)
    return made(build)
