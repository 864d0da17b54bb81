"""A group of tensors, named by patterns, which has a learning rate and a weight decay of its own."""

import fnmatch

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def tensor_paths(tree) -> tuple[str, ...]:
    """The path of every tensor of a tree, such as 'block_0.query.kernel', in the order of its leaves."""
    return tuple(_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree))


def in_group(params, group: str):
    """Which tensors are in a group, as optax takes it for a mask.

    Args:
      params: a tree of tensors.
      group: shell-style patterns, joined by '+', each of a tensor's path or of a beginning of it that ends before a
        '.': 'embedding+output' has 'embedding', 'output.kernel' and 'output.bias', '*.bias+*norm*' all biases and
        norms. '' has none.

    Returns:
      The same tree, True for each tensor that one of the patterns names and False for the others.
    """
    patterns = _patterns(group)
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(_matches(_name(path), pattern) for pattern in patterns), params
    )


def unmatched(params, group: str) -> list[str]:
    """The patterns of a group that name no tensor of a tree."""
    paths = tensor_paths(params)
    return [pattern for pattern in _patterns(group) if not any(_matches(path, pattern) for path in paths)]


def factored(value: Float[Array, ""], tree, group: str, factor: Float[Array, ""]):
    """A number for each tensor of a tree: `value`, times `factor` for those in the group."""
    return jax.tree.map(lambda inside: value * factor if inside else value, in_group(tree, group))


def without_frozen(tree, group: str, factor: Float[Array, ""]):
    """A tree whose tensors in the group are 0 where the factor is, whatever they hold: -0, which changes no sum."""
    return jax.tree.map(
        lambda inside, leaf: jnp.where(factor > 0, leaf, jnp.full_like(leaf, -0.0)) if inside else leaf,
        in_group(tree, group),
        tree,
    )


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _patterns(group: str) -> list[str]:
    return [pattern.strip() for pattern in group.split("+")] if group else []


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern names a tensor: its whole path, or a beginning of it that ends before a '.'."""
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f"{pattern}.*")
