"""Transforms of gradients and updates beyond optax: noise, Grokfast, orthogonal gradient, decay, fixed norm.

Each takes its hyperparameters as scalars that may be traced, and is named by its equation.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from grokjax.optimizers.groups import factored, without_frozen

Hyperparameters = Mapping[str, Float[Array, ""]]
"""Scalars by name, which may be traced."""

DECAYS = ("zero", "init", "jiggle", "gradient")
"""Kinds of weight decay: what the parameters are drawn to, or how else the decay acts."""


def transformation(init: Callable, update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation whose update takes a key: (updates, state, params, key) -> (updates, state)."""

    def with_key(updates, state, params=None, *, key=None, **_):
        return update(updates, state, params, key)

    return optax.GradientTransformationExtraArgs(init, with_key)


def stateless(update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation without state: (updates, params, key) -> updates."""
    return transformation(
        lambda params: optax.EmptyState(), lambda updates, state, params, key: (update(updates, params, key), state)
    )


def normal_like(key: Key[Array, ""], tree, deviation: Float[Array, ""]):
    """Gaussian numbers of this deviation in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noise)


def add_noise(deviation, stream: int):
    """Adds Gaussian noise; `stream` tells two noises of one update apart."""

    def update(updates, params, key):
        return jax.tree.map(jnp.add, updates, normal_like(jax.random.fold_in(key, stream), updates, deviation))

    return stateless(update)


class _SlowState(NamedTuple):
    begun: Float[Array, ""]
    mean: Any


class _WindowState(NamedTuple):
    count: Int[Array, ""]
    last: Any


def grokfast_ema(alpha, lamb):
    """Grokfast: g + lamb * m, with m <- alpha * m + (1 - alpha) * g and m_1 = g_1 (as Lee et al.'s code begins).

    An optax transformation, to stand before an optimizer in any chain.

    Args:
      alpha: how much of the mean an update keeps, 0 to 1.
      lamb: the factor on the slow gradient.

    Source: Lee et al. 2024, arXiv:2405.20233.
    """

    def init(params):
        return _SlowState(jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, params))

    def update(gradient, state, params, key):
        kept = jnp.where(state.begun > 0, alpha, 0.0).astype(jnp.float32)
        mean = jax.tree.map(lambda m, g: kept * m + (1 - kept) * g, state.mean, gradient)
        return jax.tree.map(lambda g, m: g + lamb * m, gradient, mean), _SlowState(jnp.ones((), jnp.float32), mean)

    return transformation(init, update)


def grokfast_ma(window: int, lamb):
    """Grokfast: g + lamb * (mean of the last `window` gradients), once there are that many; keeps them all.

    Args:
      window: gradients; an integer, which shapes the state.
      lamb: the factor on the slow gradient.

    Source: Lee et al. 2024, arXiv:2405.20233.
    """

    def init(params):
        return _WindowState(
            jnp.zeros((), jnp.int32), jax.tree.map(lambda p: jnp.zeros((window, *p.shape), p.dtype), params)
        )

    def update(gradient, state, params, key):
        last = jax.tree.map(lambda kept, g: kept.at[state.count % window].set(g), state.last, gradient)
        full = (state.count + 1 >= window).astype(jnp.float32)
        amplified = jax.tree.map(lambda g, kept: g + lamb * full * kept.mean(0), gradient, last)
        return amplified, _WindowState(state.count + 1, last)

    return transformation(init, update)


def orthogonal_gradient():
    """Each tensor's gradient without its part along the tensor, scaled to the norm it had. Its update needs `params`.

    Source: Prieto et al. 2025, arXiv:2501.04697.
    """

    def update(gradient, params, key):
        def across(g, p):
            rest = g - (p * g).sum() / ((p * p).sum() + 1e-30) * p
            return rest * (optax.tree.norm(g) / (optax.tree.norm(rest) + 1e-30))

        return jax.tree.map(across, gradient, params)

    return stateless(update)


class _StepState(NamedTuple):
    count: Int[Array, ""]
    initial: Any


def decay_in_gradient(hyper: Hyperparameters, group: str):
    """g + weight_decay * p: L2."""

    def update(gradient, params, key):
        strengths = factored(hyper["weight_decay"], params, group, hyper["group_decay"])
        return jax.tree.map(lambda g, p, s: g + s * p, gradient, params, strengths)

    return stateless(update)


def still(hyper: Hyperparameters, group: str):
    """Nothing for the tensors of a group whose learning rate is 0, not even where there was an infinity."""
    return stateless(lambda updates, params, key: without_frozen(updates, group, hyper["group_rate"]))


def step(hyper: Hyperparameters, decay: str, group: str):
    """From direction to update: learning rate with warm-up, and the decay that is not in the gradient."""

    def init(params):
        return _StepState(jnp.zeros((), jnp.int32), params if decay == "init" else None)

    def update(direction, state, params, key):
        rates = factored(_warmed_up(hyper, state.count), params, group, hyper["group_rate"])
        strengths = factored(hyper["weight_decay"], params, group, hyper["group_decay"])
        if decay == "zero":
            moved = jax.tree.map(lambda d, p, r, s: -r * (d + s * p), direction, params, rates, strengths)
        elif decay == "init":
            away = jax.tree.map(jnp.subtract, params, state.initial)
            moved = jax.tree.map(lambda d, a, r, s: -r * (d + s * a), direction, away, rates, strengths)
        else:
            moved = jax.tree.map(lambda d, r: -r * d, direction, rates)
        if decay == "jiggle":
            scalars = jax.tree.map(lambda p: jnp.zeros((), p.dtype), params)
            normal = normal_like(jax.random.fold_in(key, 2), scalars, jnp.ones(()))
            exponents = jax.tree.map(lambda n, r, s: r * s * n, normal, rates, strengths)
            moved = jax.tree.map(lambda m, p, n: m + p * jnp.expm1(n), moved, params, exponents)
        return moved, _StepState(state.count + 1, state.initial)

    return transformation(init, update)


def _warmed_up(hyper: Hyperparameters, count: Int[Array, ""]) -> Float[Array, ""]:
    """lr * min(1, t / warmup_steps) after t updates."""
    warmup = hyper["warmup_steps"]
    share = count.astype(jnp.float32) / jnp.maximum(warmup, 1.0)
    return hyper["learning_rate"] * jnp.where(warmup > 0, jnp.minimum(share, 1.0), 1.0)


def keep_norm(hyper: Hyperparameters, group: str):
    """Changes the update so that all parameters together keep the norm they had at first; the frozen ones are left."""

    def norm(params):
        return optax.tree.norm(without_frozen(params, group, hyper["group_rate"]))

    def update(updates, state, params, key):
        moved = jax.tree.map(jnp.add, params, updates)
        factor = state / (norm(moved) + 1e-30)
        return jax.tree.map(lambda m, p: m * factor - p, moved, params), state

    return transformation(norm, update)
