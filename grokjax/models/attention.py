"""Scaled dot-product attention, in one form for rows of a few tokens and in another for longer ones."""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad
from jaxtyping import Array, Bool, Float

from grokjax.models.primitives import new_primitive

HIDDEN_SCORE = -1e9
"""Attention score of a hidden key: its weight is exactly 0 in float32 beside any that is seen."""

MOST_UNROLLED = 8
"""Queries and keys up to which attention is computed without a product per row and head."""

QUERIES_AT_ONCE, MOST_BLOCKS = 32, 4
"""Queries of longer rows that are computed together, about; and the blocks of them at most."""


def attend(
    queries: Float[Array, "batch q heads features"],
    keys: Float[Array, "batch k heads features"],
    values: Float[Array, "batch k heads features"],
    visible: Bool[Array | np.ndarray, "*rows #q k"],
) -> Float[Array, "batch q width"]:
    """Scaled dot-product attention; the heads' results side by side.

    Args:
      queries, keys, values: per position and head.
      visible: True where a query sees a key, for all rows alike (static) or for each. One that sees no key at all
        attends to every key alike.

    Returns:
      [batch, q, heads * features].
    """
    short = min(queries.shape[1], keys.shape[1]) > 0 and max(queries.shape[1], keys.shape[1]) <= MOST_UNROLLED
    scale = queries.shape[-1] ** -0.5
    if short:
        scores = jnp.where(visible[..., None], pair_scores(queries, keys) * scale, HIDDEN_SCORE)
        mixed = mix(jax.nn.softmax(scores, axis=2), values)
    else:
        mixed = _in_blocks(queries * scale, keys, values, visible)
    return mixed.reshape(*mixed.shape[:2], mixed.shape[2] * mixed.shape[3])  # which may hold no query


def _in_blocks(queries, keys, values, visible):
    """[batch, q, heads, features]: attention by matrix products per row and head, for a block of queries at a time.

    Keys that no query of a block sees are left out, of causal attention up to three eighths. Weights are normalised
    after the values are mixed, by their sum, which is one more feature of the values: 1.
    """
    queries, keys, values = (x.swapaxes(1, 2) for x in (queries, keys, values))
    values = jnp.concatenate([values, jnp.ones_like(values[..., :1])], axis=-1)
    count, blocks = queries.shape[2], []
    edges = np.linspace(0, count, min(MOST_BLOCKS, max(1, round(count / QUERIES_AT_ONCE))) + 1).astype(int)
    for first, last in itertools.pairwise(edges):
        seen = _seen(visible[..., first:last, :])
        some_keys, some_values = (x[:, :, : seen.shape[-1]] for x in (keys, values))
        scores = jnp.einsum("bhqd,bhkd->bhqk", queries[:, :, first:last], some_keys)
        scores = jnp.where(seen[..., None, :, :], scores, HIDDEN_SCORE)
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
        mixed = weights @ some_values  # several times faster on a CPU than the einsum's order
        blocks.append(mixed[..., :-1] / mixed[..., -1:])
    return jnp.concatenate(blocks, axis=2).swapaxes(1, 2)


def _seen(visible):
    """`visible` up to the last key that any of its queries sees, where that is known; whole if one sees no key."""
    if isinstance(visible, np.ndarray) and visible.size and visible.any(axis=-1).all():
        return visible[..., : np.flatnonzero(visible.any(axis=tuple(range(visible.ndim - 1))))[-1] + 1]
    return visible


def pair_scores(
    queries: Float[Array, "*batch q heads features"], keys: Float[Array, "*batch k heads features"]
) -> Float[Array, "*batch q k heads"]:
    """The dot product of each query and key, per head, for rows of a few tokens.

    A product per row and head would be tiny, and a CPU is many times slower at thousands of those than at this: all
    products of features at once, added within each head by one matrix product.
    """
    return _pair_scores_p.bind(queries, keys, precision=jax.config.jax_default_matmul_precision)


def mix(
    weights: Float[Array, "*batch q k heads"], values: Float[Array, "*batch k heads features"]
) -> Float[Array, "*batch q heads features"]:
    """The sum of the values by their weights, per query and head, for rows of a few tokens."""
    return _mix_p.bind(weights, values, precision=jax.config.jax_default_matmul_precision)


def _within(heads: int, features: int, dtype) -> np.ndarray:
    """[heads * features, heads]: 1 where a feature belongs to a head."""
    return np.kron(np.eye(heads), np.ones((features, 1))).astype(dtype)


def _pair_scores(queries, keys, precision):
    heads, features = queries.shape[-2:]
    products = queries[..., :, None, :, :] * keys[..., None, :, :, :]
    within = _within(heads, features, queries.dtype)
    return jnp.matmul(products.reshape(*products.shape[:-2], heads * features), within, precision=precision)


def _mix(weights, values, precision):
    parts = [weights[..., k, :, None] * values[..., None, k, :, :] for k in range(values.shape[-3])]
    return functools.reduce(jnp.add, parts)  # unrolled: nothing but elementwise arithmetic is left


def _pair_scores_tpu(queries, keys, precision):
    """`_pair_scores` of features side by side: an array whose last axis is one head's is padded to 128 on a TPU."""
    heads, features = queries.shape[-2:]
    queries, keys = (x.reshape(*x.shape[:-2], heads * features) for x in (queries, keys))
    products = queries[..., :, None, :] * keys[..., None, :, :]
    return jnp.matmul(products, _within(heads, features, queries.dtype), precision=precision)


def _mix_tpu(weights, values, precision):
    """`_mix` of features side by side; each head's weight is spread over its features by an exact product."""
    heads, features = values.shape[-2:]
    spread = _within(heads, features, weights.dtype).T
    side_by_side = values.reshape(*values.shape[:-2], heads * features)
    parts = [
        jnp.matmul(weights[..., k, :], spread, precision="highest") * side_by_side[..., None, k, :]
        for k in range(values.shape[-3])
    ]
    mixed = functools.reduce(jnp.add, parts)
    return mixed.reshape(*mixed.shape[:-1], heads, features)


def _bilinear(name: str, compute: Callable, on_tpu: Callable, of_left: Callable, of_right: Callable) -> Primitive:
    """A product of two arrays whose derivatives are such products again, as a primitive of JAX.

    The derivatives that JAX finds in `compute` are slow. `jax.custom_vjp` gives fast ones and forbids differentiating
    forward; `jax.custom_jvp` transposes what is inside the rule, and so gives the slow ones; `linear_call` can neither
    be mapped nor differentiated by what it is not linear in. A primitive has its own rule for each.

    Args:
      name: what programs call it.
      compute: (left, right, precision) -> the result. Leading axes are a batch, the same of both.
      on_tpu: the same, in the form that a TPU computes fastest.
      of_left, of_right: (cotangent, the other array) -> the cotangent of that array.

    Returns:
      The primitive, bound by (left, right, precision=): that of its matrix product, since it is lowered after the
      context that says so has been left.
    """
    primitive = new_primitive(name, compute, on_tpu, static=("precision",))
    ad.defbilinear(
        primitive,
        lambda cotangent, left, right, precision: of_left(cotangent, right),
        lambda cotangent, left, right, precision: of_right(cotangent, left),
    )
    return primitive


_pair_scores_p = _bilinear(
    "pair_scores",
    _pair_scores,
    _pair_scores_tpu,
    of_left=lambda cotangent, keys: mix(cotangent, keys),
    of_right=lambda cotangent, queries: mix(cotangent.swapaxes(-3, -2), queries),
)
_mix_p = _bilinear(
    "mix",
    _mix,
    _mix_tpu,
    of_left=lambda cotangent, values: pair_scores(cotangent, values),
    of_right=lambda cotangent, weights: mix(weights.swapaxes(-3, -2), cotangent),
)
