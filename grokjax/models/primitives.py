"""Primitives of JAX with one form for a TPU and one for all other platforms; their derivatives are their owners'."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir


def new_primitive(
    name: str, compute: Callable, on_tpu: Callable, static: Sequence[str], mapped: Callable[[dict], dict] = dict
) -> Primitive:
    """A primitive that computes, and is mapped over lanes; without derivatives.

    Args:
      name: what programs call it.
      compute, on_tpu: (*operands, **static) -> the result, in two forms. Leading axes of all operands are alike.
      static: names of its keywords, which are static.
      mapped: from these keywords to those for operands with one more leading axis.
    """
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=tuple(static)))
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(on_tpu, multiple_results=False), platform="tpu")

    def abstract(*operands, **keywords):
        result = jax.eval_shape(functools.partial(compute, **keywords), *operands)
        return jax.core.ShapedArray(result.shape, result.dtype)

    def batched(operands, axes, **keywords) -> tuple[Any, int]:
        size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
        leading = [
            jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
            for x, axis in zip(operands, axes, strict=True)
        ]
        return primitive.bind(*leading, **mapped(keywords)), 0

    primitive.def_abstract_eval(abstract)
    batching.primitive_batchers[primitive] = batched
    return primitive
