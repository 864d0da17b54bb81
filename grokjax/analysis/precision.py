"""Float64 for what float32 cannot resolve."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp


@contextlib.contextmanager
def float64():
    """A context in which arrays may be float64, and a model's float32 constants join float64 parameters."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def widened(tree: Any) -> Any:
    """The arrays of a tree as float64, within the context."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)
