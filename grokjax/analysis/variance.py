"""Shares of variance: of logits in the characters of the answer, of a neuron in one frequency."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from grokjax.analysis import named
from grokjax.analysis.groups import Group, cyclic


def logit_variance(logits: Num[Any, "*batch a b classes"], group: Group | None = None) -> xr.DataArray:
    """The share of the logits' variance along each character: for sums, along cos w_k(a + b - c).

    The characters are orthogonal, so the shares are those of a least squares fit on any set of them: the fraction of
    variance explained, 1 - RSS/TSS, is their sum. Both sums of squares are about the mean over all pairs and classes.
    For S_n the character of a representation is taken at x y z^-1, for z a class.

    Args:
      logits: over the full table, numbered as the task numbers; classes that are not numbers are left out.
      group: of the task; None: sums modulo the size of the table.

    Returns:
      [..., components], NaN where all logits are equal.

    Source: Nanda et al. 2023, arXiv:2301.05217; for S_n, Chughtai, Chan and Nanda 2023, arXiv:2302.03025.
    """
    return _shares(logits, group, along_character, "share of logit variance in the character of the answer")


def answer_variance(logits: Num[Any, "*batch a b classes"], group: Group | None = None) -> xr.DataArray:
    """The share of the logits' variance that is a function of the answer, by component: |P_k L|^2 over the total.

    Where `logit_variance` asks for the one right character, this asks for any function of a o b in the component, a
    different one for each class.

    Args, Returns: as in `logit_variance`.
    """
    return _shares(logits, group, along_answer, "share of logit variance in functions of the answer")


def _shares(logits, group, along, long_name: str) -> xr.DataArray:
    array, before = named.leading(logits, 3)
    group = cyclic(array.shape[-2]) if group is None else group
    found = np.empty((*before.shape, len(group.labels)))
    for index in np.ndindex(*before.shape):
        table = group.take(array[index], -3, -2, -1).astype(np.float64)
        total = ((table - table.mean()) ** 2).sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            found[index] = along(by_answer(table, group), group) / total
    return before.labelled(found, {group.dim: group.labels}, long_name)


def by_answer(table: Float[np.ndarray, "n n classes"], group: Group) -> Float[np.ndarray, "n classes"]:
    """[answers, classes] float64: the mean of a table over the pairs that have each answer.

    Functions of the answer g, such as u_k and v_k, are constant on those pairs, so that a projection on them needs this
    alone. It is the contraction with u_k and v_k for all k at once, in n^3 additions.
    """
    total = np.zeros(table.shape[1:])
    for x, rows in enumerate(group.right_factor):
        total += table[x][rows]
    return total / group.order


def along_character(mean: Float[np.ndarray, "n n"], group: Group) -> Float[np.ndarray, " components"]:
    """[components]: sum of squares of a table's projection on each character, from its `by_answer`.

    The character of component k at g h^-1 is proportional to P_k[g, h], the projector on the component. Over the table
    its norm is sqrt(n tr P_k).
    """
    rotated = group.basis @ mean  # [rows, classes]
    products = (rotated * group.basis).sum(1)  # of P_k, the trace with `mean`, row by row
    return group.order * (group.rows @ products) ** 2 / group.rows.sum(1)


def along_answer(mean: Float[np.ndarray, "n n"], group: Group) -> Float[np.ndarray, " components"]:
    """[components]: sum of squares of a table's projection on the functions of the answer in each component."""
    return group.order * (group.rows @ ((group.basis @ mean) ** 2).sum(1))


def neuron_variance(activations: Num[Any, "*batch a b neurons"], group: Group | None = None) -> xr.DataArray:
    """The share of each neuron's variance that lies in a single frequency.

    For frequency k it is the fit on the constant, the linear terms cos wa, sin wa, cos wb, sin wb and the products of
    the two operands'; 1 - RSS/TSS about the mean. The maximum over frequencies tells how well one of them
    describes the neuron.

    Args:
      activations: of the neurons over the full table, numbered as the task numbers.
      group: of the task; None: sums modulo the size of the table.

    Returns:
      [..., neurons, components], NaN for a neuron that is constant.

    Source: Nanda et al. 2023, arXiv:2301.05217.
    """
    array, before = named.leading(activations, 3)
    group = cyclic(array.shape[-2]) if group is None else group
    found = np.empty((*before.shape, array.shape[-1], len(group.labels)))
    for index in np.ndindex(*before.shape):
        table = group.take(array[index], -3, -2).astype(np.float64)
        table -= table.mean((0, 1))
        total = (table**2).sum((0, 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            found[index] = single_frequency(table, group).T / total[:, None]
    core = {"neuron": None, group.dim: group.labels}
    return before.labelled(found, core, "share of neuron variance in a single frequency")


def single_frequency(table: Float[np.ndarray, "n n neurons"], group: Group) -> Float[np.ndarray, "components neurons"]:
    """[components, neurons]: sum of squares of the linear and quadratic terms of each component."""
    n, neurons = group.order, table.shape[-1]
    first = (group.basis @ table.reshape(n, -1)).reshape(table.shape)  # [rows of a, b, neurons]
    found = np.empty((len(group.labels), neurons))
    for i, rows in enumerate(group.rows):
        terms = np.concatenate([group.basis[:1], group.basis[rows]])  # the constant, and the component
        both = terms @ first[rows]  # in a and, or not, in b
        alone = group.basis[rows] @ first[0]  # in b alone
        found[i] = (both**2).sum((0, 1)) + (alone**2).sum(0)
    return found
