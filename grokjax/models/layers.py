"""Parts that models are made of: initial distributions by name, attention, dropout, sinusoidal positions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key


class Init(NamedTuple):
    """Initial distributions of a named scheme, each `(key, shape, dtype) -> array`.

    Attributes:
      linear: of a matrix [inputs, outputs], given the model's width.
      bias: of a bias, given the inputs of its matrix.
      embedding: of a table [rows, width] of tokens or positions.
      output: of the matrix [width, classes] that gives the logits.
    """

    linear: Callable[[int], Callable]
    bias: Callable[[int], Callable]
    embedding: Callable[[int], Callable]
    output: Callable[[int], Callable]


def _normal(deviation: float) -> Callable:
    return jax.nn.initializers.normal(deviation)


def _uniform_by_inputs(key, shape, dtype):
    """U(-1/sqrt(inputs), 1/sqrt(inputs)) for a matrix [inputs, outputs]."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _uniform_bias(inputs: int) -> Callable:
    bound = inputs**-0.5
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)


def _nanda_output(key, shape, dtype):
    """N(0, 1)/sqrt(classes) for the matrix [width, classes]."""
    return jax.random.normal(key, shape, dtype) * shape[1] ** -0.5


_ZEROS = jax.nn.initializers.zeros
_LECUN = jax.nn.initializers.lecun_normal()

INITS = {
    "pytorch": Init(
        linear=lambda width: _uniform_by_inputs,
        bias=_uniform_bias,
        embedding=lambda width: _normal(1.0),
        output=lambda width: _uniform_by_inputs,
    ),
    "nanda": Init(
        linear=lambda width: _normal(width**-0.5),
        bias=lambda inputs: _ZEROS,
        embedding=lambda width: _normal(width**-0.5),
        output=lambda width: _nanda_output,
    ),
    "flax": Init(
        linear=lambda width: _LECUN,
        bias=lambda inputs: _ZEROS,
        embedding=lambda width: _normal(width**-0.5),
        output=lambda width: _LECUN,
    ),
}
"""PyTorch's Linear and Embedding; Nanda et al. 2023; Flax Linen's Dense and Embed."""


def attend(
    queries: Float[Array, "batch q heads features"],
    keys: Float[Array, "batch k heads features"],
    values: Float[Array, "batch k heads features"],
    visible: Bool[np.ndarray, "q k"],
) -> Float[Array, "batch q width"]:
    """Scaled dot-product attention; the heads' results side by side.

    Args:
      queries, keys, values: per position and head.
      visible: True where a query sees a key; static.

    Returns:
      [batch, q, heads * features].
    """
    scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys) * queries.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
    mixed = (weights @ values.swapaxes(1, 2)).swapaxes(1, 2)  # several times faster on a CPU than the einsum's order
    return mixed.reshape(*mixed.shape[:2], mixed.shape[2] * mixed.shape[3])  # which may hold no query


def drop(key: Key[Array, ""], x: Float[Array, "*shape"], rate: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Zeroes entries with probability `rate` and scales the others by 1/(1 - rate); `rate` may be traced."""
    kept = jax.random.uniform(key, x.shape, x.dtype) >= rate
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def sinusoidal_positions(length: int, width: int) -> Float[np.ndarray, "length width"]:
    """[length, width]: sin(t/10000^(2i/width)) in column 2i, cos of the same in column 2i+1.

    Source: Vaswani et al. 2017, arXiv:1706.03762.
    """
    column = np.arange(width)
    angle = np.arange(length)[:, None] / 10_000.0 ** (column // 2 * 2 / width)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)
