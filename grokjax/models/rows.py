"""Rows of an array by number, in the form that each platform computes fastest.

A TPU is slow at gathering rows, and slower at the derivative, which scatters; there both are products with a matrix of
ones and zeros, exact at the highest precision. Elsewhere they are JAX's own, with its own derivative.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad
from jaxtyping import Array, Float, Int

from grokjax.models.primitives import new_primitive

MOST_BY_PRODUCT = 1024
"""Rows of an array up to which a TPU takes some of them by a product."""


def rows_of(x: Float[Array, "rows ..."], index: Int[Array | np.ndarray, "..."]) -> Float[Array, "..."]:
    """x[index]: [*shape of the index, *features]."""
    return _take_p.bind(x, jnp.asarray(index), lanes=0)


def _take(x, index, lanes):
    """x [*lanes, rows, *features] at index [*lanes, *places]."""
    if lanes:
        return jax.vmap(functools.partial(_take, lanes=lanes - 1))(x, index)
    return x[index]


def _add(places, index, lanes, num_rows):
    """[*lanes, rows, *features]: for each row the sum of what lies at its places [*lanes, *places, *features]."""
    if lanes:
        return jax.vmap(functools.partial(_add, lanes=lanes - 1, num_rows=num_rows))(places, index)
    shape = jax.ShapeDtypeStruct((num_rows, *places.shape[index.ndim :]), places.dtype)
    (found,) = jax.linear_transpose(lambda x: x[index], shape)(places)
    return found


def _take_tpu(x, index, lanes):
    if x.shape[lanes] > MOST_BY_PRODUCT:
        return _take(x, index, lanes)
    flat = x.reshape(*x.shape[: lanes + 1], -1)
    taken = jnp.matmul(_ones(index, lanes, x.shape[lanes], x.dtype), flat, precision="highest")
    return taken.reshape(*index.shape, *x.shape[lanes + 1 :])


def _add_tpu(places, index, lanes, num_rows):
    if num_rows > MOST_BY_PRODUCT:
        return _add(places, index, lanes, num_rows)
    ones, features = _ones(index, lanes, num_rows, places.dtype), places.shape[index.ndim :]
    flat = places.reshape(*ones.shape[:-1], -1)
    added = jnp.matmul(ones.swapaxes(-1, -2), flat, precision="highest")
    return added.reshape(*added.shape[:-1], *features)


def _ones(index, lanes, num_rows, dtype):
    """[*lanes, places, rows]: 1 where a place is of a row."""
    flat = index.reshape(*index.shape[:lanes], -1, 1)
    return (flat == jnp.arange(num_rows, dtype=index.dtype)).astype(dtype)


def _linear(name: str, compute: Callable, on_tpu: Callable, transposed: Callable) -> Primitive:
    """A primitive (operand, index, lanes=) that is linear in the operand, with a form of its own on a TPU.

    Args:
      name: what programs call it.
      compute, on_tpu: what it computes, in two forms.
      transposed: (cotangent, shape of the operand, index, lanes) -> the cotangent of the operand.
    """
    primitive = new_primitive(
        name, compute, on_tpu, static=("lanes", "num_rows"), mapped=lambda given: given | {"lanes": given["lanes"] + 1}
    )

    def forward(primals, tangents, **static):
        (x, index), (along, _) = primals, tangents
        out = primitive.bind(x, index, **static)
        if isinstance(along, ad.Zero):
            return out, ad.Zero.from_primal_value(out)
        return out, primitive.bind(along, index, **static)

    def backward(cotangent, x, index, *, lanes, **_):
        return [transposed(cotangent, x.aval.shape, index, lanes), None]

    ad.primitive_jvps[primitive] = forward
    ad.primitive_transposes[primitive] = backward
    return primitive


_take_p = _linear(
    "take_rows",
    _take,
    _take_tpu,
    lambda cotangent, shape, index, lanes: _add_p.bind(cotangent, index, lanes=lanes, num_rows=shape[lanes]),
)
_add_p = _linear(
    "add_rows", _add, _add_tpu, lambda cotangent, shape, index, lanes: _take_p.bind(cotangent, index, lanes=lanes)
)
