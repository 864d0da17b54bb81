"""Norms by frequency: of an embedding, of the map from neurons to logits, of the logits themselves."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from grokjax.analysis import named
from grokjax.analysis.groups import Group


def embedding_spectrum(embedding: Num[Any, "*batch tokens width"], group: Group) -> xr.DataArray:
    """The norm of an embedding's Fourier components: |F W_E| by frequency.

    Args:
      embedding: a row per token; those that are not numbers are left out.
      group: of the task.

    Returns:
      [..., components], the constant left out: the norm over the component's rows of the basis, and over the width.
    """
    array, before = named.leading(embedding, 2)
    return _labelled(before, _norms(group.take(array, -2), group), group, "norm of the embedding's components")


def output_spectrum(output_map: Num[Any, "*batch hidden classes"], group: Group) -> xr.DataArray:
    """The norm of the components of W_L, from neurons to logits, along the classes: |F W_L| by frequency.

    Args:
      output_map: as `output_map` gives it; classes that are not numbers are left out.
      group: of the task.

    Returns:
      [..., components], the constant left out: the norm over the component's rows of the basis, and over neurons.
    """
    array, before = named.leading(output_map, 2)
    norms = _norms(group.take(array, -1).swapaxes(-1, -2), group)
    return _labelled(before, norms, group, "norm of the output map's components")


def output_map(params, layer: int | None = None) -> np.ndarray:
    """W_L, the product of the matrix that leaves the last MLP and the one that gives the logits.

    Args:
      params: of a `Decoder`, as `gj.params` or `open_run` give them.
      layer: of the MLP; None: the last.

    Returns:
      [hidden, classes] float64. Norms between the two are not in it.

    Raises:
      ValueError: for parameters of another model, or of a decoder without an MLP.
    """
    blocks = [name for name in params if name.startswith("block_")]
    block = params.get(f"block_{len(blocks) - 1 if layer is None else layer}", {})
    if "mlp_out" not in block or "output" not in params:
        raise ValueError(
            f"These parameters ({', '.join(params)}) are not those of a decoder with an MLP. Multiply the last two "
            "matrices of your model instead."
        )
    return np.asarray(block["mlp_out"]["kernel"], np.float64) @ np.asarray(params["output"], np.float64)


def plane(values: Num[Any, "*batch n n features"], group: Group) -> Float[np.ndarray, "*batch n n features"]:
    """Coefficients of functions of two operands in the basis of each: F V F^T, for each feature.

    Args:
      values: over all pairs of elements, in the group's order (`group.take(values, -3, -2)`).
      group: of the task.

    Returns:
      [..., n, n, features] float64, the rows of `group.basis` along both axes.
    """
    array = np.asarray(values, np.float64)
    flat = array.reshape(*array.shape[:-2], -1)  # [..., a, b * features]
    first = (group.basis @ flat).reshape(array.shape)
    return group.basis @ first


def logit_spectrum(logits: Num[Any, "*batch a b classes"], group: Group) -> xr.DataArray:
    """The norm of the logits' components by frequency of both operands.

    Args:
      logits: over the full table; other classes than numbers are left out.
      group: of the task.

    Returns:
      [..., components, components], the constant first: norms over rows of the basis and classes.
    """
    array, before = named.leading(logits, 3)
    count = len(group.labels) + 1
    found = np.empty((*before.shape, count, count))
    starts = np.searchsorted(group.component, np.arange(count))
    for index in np.ndindex(*before.shape):
        powers = (plane(group.take(array[index], -3, -2, -1), group) ** 2).sum(-1)
        found[index] = np.add.reduceat(np.add.reduceat(powers, starts, 0), starts, 1)
    labels = np.concatenate([["constant"], group.labels.astype(str)])
    core = {f"{group.dim}_a": labels, f"{group.dim}_b": labels}
    return before.labelled(np.sqrt(found), core, "norm of the logits' components")


def _norms(values, group: Group) -> np.ndarray:
    """[..., components]: of values [..., n, features]."""
    powers = ((group.basis @ values.astype(np.float64)) ** 2).sum(-1)
    return np.sqrt(powers @ group.rows.T)


def _labelled(before, values, group: Group, long_name: str) -> xr.DataArray:
    return before.labelled(values, {group.dim: group.labels}, long_name)
