"""What trains the parameters: optax chains by name, each hyperparameter a per-run value.

Every optimizer is a frozen dataclass; `chain` builds the optax transformation from its hyperparameters, which may be
traced, so that each of them can be an axis of a sweep without recompiling. What an optimizer leaves out at its default,
such as noise of deviation 0, is no part of the program.
"""

import dataclasses
import inspect
import keyword
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from grokjax.config import (
    RUN,
    SWEEP_KEYWORDS,
    Config,
    ConfigError,
    check_settings,
    plain,
    refusing,
    setting,
    settings,
    shown,
)

Hyperparameters = Mapping[str, Float[Array, ""]]

DECAYS = ("zero", "init", "jiggle", "gradient")
"""Kinds of weight decay: what the parameters are drawn to, or how else the decay acts."""


def _hyperparameter(default: Any, help: str, **bounds):
    return setting(default, help, role=RUN, kind=float, **bounds)


def _weight_decay(default: float):
    return _hyperparameter(
        default,
        "decay of the parameters, times the learning rate unless in the gradient",
        low=0.0,
        label="weight decay",
    )


@refusing
@dataclasses.dataclass(frozen=True)
class Optimizer:
    """What all optimizers share: learning rate and warm-up, weight decay, and what is done to gradient and update.

    In this order: noise is added to the gradient; Grokfast amplifies its slow part; its part along each tensor is
    taken away; its global norm is clipped; L2 is added to it; the optimizer turns it into a direction; noise is added
    to that; the parameters move by -lr_t * direction and decay; their norm is put back to what it was at first.
    lr_t rises linearly from 0 over `warmup_steps` updates: the first update has learning rate 0.

    Weight decay acts on *all* parameters p, biases and norms included, beside the direction d, in one of four ways:
    'zero' -lr_t * (d + weight_decay * p); 'init' -lr_t * (d + weight_decay * (p - p_0)) with p_0 the initial value;
    'jiggle' p * exp(n * lr_t * weight_decay) - lr_t * d with one n ~ N(0, 1) for each tensor and update; 'gradient'
    weight_decay * p is added to the gradient (L2), before the optimizer sees it.

    Source: decoupled decay, Loshchilov and Hutter 2019, arXiv:1711.05101; decay on all parameters, its kinds, warm-up
    and update noise, Power et al. 2022, arXiv:2201.02177; Grokfast, Lee et al. 2024, arXiv:2405.20233; orthogonal
    gradient, Prieto et al. 2025, arXiv:2501.04697; the fixed norm, Liu et al. 2023, arXiv:2210.01117.
    """

    learning_rate: float = _hyperparameter(1e-3, "step size after warm-up", low=0.0, label="learning rate")
    weight_decay: float = _weight_decay(0.0)
    decay: str = setting(
        "zero",
        "weight decay towards zero or the initial weights, as random factors, or in the gradient",
        choices=DECAYS,
    )
    warmup_steps: float = _hyperparameter(10.0, "updates over which the learning rate rises from 0", low=0.0)
    clip_norm: float = _hyperparameter(0.0, "largest norm of the whole gradient; 0: not clipped", low=0.0, on=1.0)
    gradient_noise: float = _hyperparameter(
        0.0, "deviation of Gaussian noise on the gradient", low=0.0, on=1.0, label="gradient noise"
    )
    update_noise: float = _hyperparameter(
        0.0, "deviation of Gaussian noise on the update, times the learning rate", low=0.0, on=1.0, label="update noise"
    )
    grokfast: str = setting(
        "none",
        "amplify the slow part of the gradient: an exponential or a moving average of it",
        choices=("none", "ema", "ma"),
    )
    grokfast_lamb: float = _hyperparameter(2.0, "how much of the average is added to the gradient", low=0.0)
    grokfast_alpha: float = _hyperparameter(0.98, "decay of Grokfast's exponential average", low=0.0, below=1.0)
    grokfast_window: int = setting(100, "updates in Grokfast's moving average", low=1, high=10_000)
    orthogonal_gradient: bool = setting(False, "take away the gradient's part along each tensor, keep its norm")
    fixed_norm: bool = setting(False, "scale all parameters back to their initial total norm after each update")

    def __post_init__(self):
        check_settings(self)

    def direction(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """The transformation from gradient to (uphill) direction, before decay and learning rate."""
        raise NotImplementedError

    def chain(self, hyper: Hyperparameters) -> optax.GradientTransformationExtraArgs:
        """The whole transformation from gradient to update.

        Args:
          hyper: the hyperparameters by name, as scalars that may be traced.

        Returns:
          An optax transformation; its `update` needs the parameters, and a `key` for what is random in it.
        """
        parts = []
        if self.gradient_noise:
            parts.append(_add_noise(hyper["gradient_noise"], 0))
        if self.grokfast == "ema":
            parts.append(_grokfast_ema(hyper["grokfast_alpha"], hyper["grokfast_lamb"]))
        if self.grokfast == "ma":
            parts.append(_grokfast_ma(self.grokfast_window, hyper["grokfast_lamb"]))
        if self.orthogonal_gradient:
            parts.append(_orthogonal())
        if self.clip_norm:
            parts.append(optax.clip_by_global_norm(hyper["clip_norm"]))
        if self.decay == "gradient":
            parts.append(optax.add_decayed_weights(hyper["weight_decay"]))
        parts.append(self.direction(hyper))
        if self.update_noise:
            parts.append(_add_noise(hyper["update_noise"], 1))
        parts.append(_step(hyper, self.decay))
        if self.fixed_norm:
            parts.append(_keep_norm())
        return optax.with_extra_args_support(optax.chain(*parts))


def _transformation(init: Callable, update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation whose update is told the key: (updates, state, params, key) -> (updates, state)."""

    def told(updates, state, params=None, *, key=None, **_):
        return update(updates, state, params, key)

    return optax.GradientTransformationExtraArgs(init, told)


def _stateless(update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation without state: (updates, params, key) -> updates."""
    return _transformation(
        lambda params: optax.EmptyState(), lambda updates, state, params, key: (update(updates, params, key), state)
    )


def normal_like(key: Key[Array, ""], tree, deviation: Float[Array, ""]):
    """Gaussian numbers of this deviation in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noise)


def _add_noise(deviation, stream: int):
    """Adds Gaussian noise; `stream` tells two noises of one update apart."""

    def update(updates, params, key):
        return jax.tree.map(jnp.add, updates, normal_like(jax.random.fold_in(key, stream), updates, deviation))

    return _stateless(update)


class _SlowState(NamedTuple):
    begun: Float[Array, ""]
    mean: Any


class _WindowState(NamedTuple):
    count: Int[Array, ""]
    last: Any


def _grokfast_ema(alpha, lamb):
    """g + lamb * m, with m <- alpha * m + (1 - alpha) * g and m_1 = g_1 (as Lee et al.'s code begins)."""

    def init(params):
        return _SlowState(jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, params))

    def update(gradient, state, params, key):
        kept = jnp.where(state.begun > 0, alpha, 0.0).astype(jnp.float32)
        mean = jax.tree.map(lambda m, g: kept * m + (1 - kept) * g, state.mean, gradient)
        return jax.tree.map(lambda g, m: g + lamb * m, gradient, mean), _SlowState(jnp.ones((), jnp.float32), mean)

    return _transformation(init, update)


def _grokfast_ma(window: int, lamb):
    """g + lamb * (mean of the last `window` gradients), once there are so many; keeps them all."""

    def init(params):
        return _WindowState(
            jnp.zeros((), jnp.int32), jax.tree.map(lambda p: jnp.zeros((window, *p.shape), p.dtype), params)
        )

    def update(gradient, state, params, key):
        last = jax.tree.map(lambda kept, g: kept.at[state.count % window].set(g), state.last, gradient)
        full = (state.count + 1 >= window).astype(jnp.float32)
        amplified = jax.tree.map(lambda g, kept: g + lamb * full * kept.mean(0), gradient, last)
        return amplified, _WindowState(state.count + 1, last)

    return _transformation(init, update)


def _orthogonal():
    """Each tensor's gradient without its part along the tensor, scaled to the norm it had."""

    def update(gradient, params, key):
        def across(g, p):
            rest = g - (p * g).sum() / ((p * p).sum() + 1e-30) * p
            return rest * (optax.tree.norm(g) / (optax.tree.norm(rest) + 1e-30))

        return jax.tree.map(across, gradient, params)

    return _stateless(update)


class _StepState(NamedTuple):
    count: Int[Array, ""]
    initial: Any


def _step(hyper: Hyperparameters, decay: str):
    """From direction to update: learning rate with warm-up, and the decay that is not in the gradient."""

    def init(params):
        return _StepState(jnp.zeros((), jnp.int32), params if decay == "init" else None)

    def update(direction, state, params, key):
        rate, strength = _warmed_up(hyper, state.count), hyper["weight_decay"]
        if decay == "zero":
            moved = jax.tree.map(lambda d, p: -rate * (d + strength * p), direction, params)
        elif decay == "init":
            moved = jax.tree.map(lambda d, p, p0: -rate * (d + strength * (p - p0)), direction, params, state.initial)
        else:
            moved = jax.tree.map(lambda d: -rate * d, direction)
        if decay == "jiggle":
            scalars = jax.tree.map(lambda p: jnp.zeros((), p.dtype), params)
            exponents = normal_like(jax.random.fold_in(key, 2), scalars, rate * strength)
            moved = jax.tree.map(lambda m, p, n: m + p * jnp.expm1(n), moved, params, exponents)
        return moved, _StepState(state.count + 1, state.initial)

    return _transformation(init, update)


def _warmed_up(hyper: Hyperparameters, count: Int[Array, ""]) -> Float[Array, ""]:
    """lr * min(1, t / warmup_steps) after t updates."""
    warmup = hyper["warmup_steps"]
    share = count.astype(jnp.float32) / jnp.maximum(warmup, 1.0)
    return hyper["learning_rate"] * jnp.where(warmup > 0, jnp.minimum(share, 1.0), 1.0)


def _keep_norm():
    """Changes the update so that all parameters together keep the norm they had at first."""

    def init(params):
        return optax.tree.norm(params)

    def update(updates, state, params, key):
        moved = jax.tree.map(jnp.add, params, updates)
        factor = state / (optax.tree.norm(moved) + 1e-30)
        return jax.tree.map(lambda m, p: m * factor - p, moved, params), state

    return _transformation(init, update)


@refusing
@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: the bias-corrected mean of the gradient over the root of that of its square, eps outside the root.

    Source: Kingma and Ba 2015, arXiv:1412.6980.
    """

    b1: float = _hyperparameter(0.9, "decay of the mean of the gradient", low=0.0, below=1.0, label="beta 1")
    b2: float = _hyperparameter(0.98, "decay of the mean of its square", low=0.0, below=1.0, label="beta 2")
    eps: float = _hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        return optax.scale_by_adam(hyper["b1"], hyper["b2"], hyper["eps"])


@refusing
@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, 1 by default as in Power et al. 2022, arXiv:2201.02177."""

    weight_decay: float = _weight_decay(1.0)


@refusing
@dataclasses.dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    learning_rate: float = _hyperparameter(1e-2, "step size after warm-up", low=0.0, label="learning rate")

    def direction(self, hyper):
        return optax.identity()


@refusing
@dataclasses.dataclass(frozen=True)
class SgdMomentum(Sgd):
    """SGD whose direction is m_t = momentum * m_(t-1) + gradient, as in PyTorch (no dampening, no Nesterov)."""

    momentum: float = _hyperparameter(0.9, "decay of the sum of directions", low=0.0, below=1.0)

    def direction(self, hyper):
        return optax.trace(hyper["momentum"])


@refusing
@dataclasses.dataclass(frozen=True)
class RmsProp(Optimizer):
    """PyTorch's RMSprop: gradient over (root of the mean of its square, plus eps), then momentum.

    Optax's own default differs in the decay (0.9) and puts eps under the root.

    Source: Tieleman and Hinton 2012, lecture 6.5; torch.optim.RMSprop.
    """

    learning_rate: float = _hyperparameter(5e-4, "step size after warm-up", low=0.0, label="learning rate")
    momentum: float = _hyperparameter(0.0, "decay of the sum of directions", low=0.0, below=1.0)
    b2: float = _hyperparameter(0.99, "decay of the mean of the gradient's square", low=0.0, below=1.0, label="beta 2")
    eps: float = _hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        scaled = optax.scale_by_rms(hyper["b2"], hyper["eps"], eps_in_sqrt=False)
        return optax.chain(scaled, optax.trace(hyper["momentum"]))


@refusing
@dataclasses.dataclass(frozen=True)
class Muon(Adam):
    """Muon for the matrices inside the network: the momentum made orthogonal by Newton and Schulz's iteration.

    Embeddings, the output matrix and vectors are trained by Adam, as its authors do. A matrix [inputs, outputs] moves
    by sqrt(max(1, outputs / inputs)) times the orthogonal one. Both share the learning rate.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/, as optax.contrib has it; on grokking, Tveit
    et al. 2025, arXiv:2504.16041.
    """

    momentum: float = _hyperparameter(0.95, "decay of the sum of directions", low=0.0, below=1.0)

    def direction(self, hyper):
        orthogonal = optax.contrib.scale_by_muon(beta=hyper["momentum"], weight_dimension_numbers=_rows_and_columns)
        muon = optax.chain(orthogonal, _stateless(_scaled_by_shape))
        return optax.partition({"muon": muon, "adam": super().direction(hyper)}, _muon_labels)


def _rows_and_columns(updates):
    return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(), updates)


def _scaled_by_shape(updates, params, key):
    return jax.tree.map(lambda u: u * max(1.0, u.shape[1] / u.shape[0]) ** 0.5, updates)


def _muon_labels(params):
    """'muon' for the matrices between embedding and output, 'adam' for all else."""

    def label(path, leaf):
        names = [str(getattr(part, "key", part)) for part in path]
        outer = names[0] == "output" or any(name.startswith(("embed", "position")) for name in names)
        return "adam" if leaf.ndim != 2 or outer else "muon"

    return jax.tree_util.tree_map_with_path(label, params)


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": Sgd, "sgd_momentum": SgdMomentum, "rmsprop": RmsProp, "muon": Muon}
"""Optimizers by the name the command line uses."""


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
    """An optimizer of one's own, each declared hyperparameter an axis that can be swept without recompiling.

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
        (name, float, _hyperparameter(default, f"hyperparameter; default: {default}"))
        for name, default in declared.items()
    ]
    made = dataclasses.make_dataclass("Custom", fields, bases=(Custom,), frozen=True)
    return made(build)


def apply(params, updates):
    """`params` + `updates`, leaf by leaf, in the dtype of the parameters; ConfigError if they do not fit."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        raise ConfigError("The optimizer's update is another tree than the parameters. Change leaves, not the tree.")
    for (path, p), u in zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(updates), strict=True):
        if jnp.shape(u) != p.shape:
            name = jax.tree_util.keystr(path)
            raise ConfigError(f"The optimizer's update of {name} has the shape {jnp.shape(u)}; it must have {p.shape}.")
    return jax.tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)
