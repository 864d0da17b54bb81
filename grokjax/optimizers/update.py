"""The update that an optimizer makes, applied to the parameters."""

import jax
import jax.numpy as jnp

from grokjax.config import ConfigError


def apply(params, updates):
    """`params` + `updates`, leaf by leaf, in the dtype of the parameters; ConfigError if they do not fit."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        raise ConfigError("The optimizer's update is another tree than the parameters. Change leaves, not the tree.")
    for (path, p), u in zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(updates), strict=True):
        if jnp.shape(u) != p.shape:
            name = jax.tree_util.keystr(path)
            raise ConfigError(f"The optimizer's update of {name} has the shape {jnp.shape(u)}; it must have {p.shape}.")
    return jax.tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)
