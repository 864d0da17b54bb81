"""Hidden progress: the loss of the part of the logits that generalises, and of all but that part.

P_S L is the projection of the logits L [a, b, c], for each class c, on u_k and v_k (proportional to cos w_k(a + b) and
sin w_k(a + b)) for the key frequencies k in S.

    restricted loss = CE(P_S L + mean over (a, b) of L)    on training rows, test rows and all
    excluded loss   = CE(L - P_S L)                        on training rows, for all keys together and for each

S comes from the final model and is the same for every snapshot. For other groups the components of the answer take the
place of the frequencies.

Source: Nanda et al. 2023, arXiv:2301.05217.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Num

from grokjax.analysis import named
from grokjax.analysis.groups import Group, cyclic
from grokjax.analysis.variance import by_answer

PARTS = ("train", "test", "all")
"""Rows over which a loss is a mean; test rows are all that do not train."""


class Table(NamedTuple):
    """One network on a full table, in the group's order.

    Attributes:
      logits: [a, b, classes] float64.
      labels: [a, b], the place of the right class.
      train: [a, b], True where the row trains.
    """

    logits: Float[np.ndarray, "n n n"]
    labels: Int[np.ndarray, "n n"]
    train: Bool[np.ndarray, "n n"]


def tables(logits, train, keys, group: Group | None, labels):
    """What the losses here have in common: each network's table and keys, one after another.

    Args:
      logits, train, keys, group, labels: as `progress` takes them.

    Returns:
      (group, leading, iterator of (index, `Table`, keys [components])).

    Raises:
      ValueError: where shapes do not fit, or the keys differ between snapshots.
    """
    array, before = named.leading(logits, 3)
    group = cyclic(array.shape[-2]) if group is None else group
    if isinstance(keys, xr.DataArray) and "step" in keys.dims:
        raise ValueError(
            "keys has an axis 'step', and a snapshot must not choose what is measured of it: keys come from the final "
            "model. Pass keys.isel(step=-1)."
        )
    chosen = group.chosen(keys)
    chosen = before.spread(keys if chosen.ndim > 1 else chosen, 1, "keys")
    trains = before.spread(train, 2, "train")
    given = None if labels is None else before.spread(labels, 2, "labels")

    def each():
        for index in np.ndindex(*before.shape):
            table = group.take(array[index], -3, -2, -1).astype(np.float64)
            right = group.products if given is None else group.places(group.take(given[index], -2, -1))
            yield index, Table(table, right, group.take(trains[index], -2, -1)), chosen[index]

    return group, before, each()


def progress(
    logits: Num[Any, "*batch a b classes"],
    train: Bool[Any, "*runs a b"],
    keys: Any,
    group: Group | None = None,
    labels: Int[Any, "*runs a b"] | None = None,
) -> xr.Dataset:
    """The loss, the restricted loss and the excluded loss of networks on their full tables.

    Args:
      logits: over the full table, numbered as the task numbers; classes that are not numbers are left out of the loss.
        Leading axes are runs, snapshots or whatever there are.
      train: True where the row trains; its leading axes are those of the logits, or fewer.
      keys: of the *final* model: labels, or a mask [..., components] as `key_frequencies` gives it.
      group: of the task; None: sums modulo the size of the table.
      labels: the right classes, where they are not the group's; numbered as the task numbers.

    Returns:
      A dataset, float64, in nats: `loss` and `restricted_loss` [..., part] with parts train, test and all;
      `excluded_loss` [...] on training rows without all keys; `excluded_loss_each` [..., components] on training rows
      without one of them, NaN for components that are not keys. A mean over no rows is NaN.

    Raises:
      ValueError: where shapes do not fit, a label is not in the group, or the keys differ between snapshots.
    """
    group, before, networks = tables(logits, train, keys, group, labels)
    whole = np.full((*before.shape, len(PARTS)), np.nan)
    restricted, excluded = whole.copy(), np.full(before.shape, np.nan)
    each = np.full((*before.shape, len(group.labels)), np.nan)
    for index, table, chosen in networks:
        mean = by_answer(table.logits, group)
        whole[index] = by_part(cross_entropy(table.logits, table.labels), table.train)
        restricted[index] = by_part(_restricted(table, mean, chosen, group), table.train)
        if not table.train.any():
            continue
        rows = table.logits[table.train], table.labels[table.train], group.products[table.train]
        excluded[index] = _excluded(*rows, component_of(mean, chosen, group))
        for k in np.flatnonzero(chosen):
            each[(*index, k)] = _excluded(*rows, component_of(mean, np.arange(len(chosen)) == k, group))
    part = {"part": list(PARTS)}
    return xr.Dataset(
        {
            "loss": before.labelled(whole, part, "loss", "nat"),
            "restricted_loss": before.labelled(restricted, part, "restricted loss", "nat"),
            "excluded_loss": before.labelled(excluded, {}, "excluded loss on training rows", "nat"),
            "excluded_loss_each": before.labelled(
                each, {group.dim: group.labels}, f"loss on training rows without one {group.dim}", "nat"
            ),
        }
    )


def component_of(
    mean: Float[np.ndarray, "n classes"], chosen: Bool[np.ndarray, " components"], group: Group
) -> Float[np.ndarray, "n classes"]:
    """[answers, classes]: P_S L at each answer, from the mean over the pairs that have it.

    Args:
      mean: by `by_answer`.
      chosen: the components S.
      group: of the task.
    """
    rows = group.basis[group.rows[chosen].any(0)]
    return rows.T @ (rows @ mean)


def cross_entropy(
    logits: Float[np.ndarray, "*rows classes"], labels: Int[np.ndarray, "*rows"]
) -> Float[np.ndarray, "*rows"]:
    """The negative log-likelihood of the right classes, in nats and float64."""
    top = logits.max(-1, keepdims=True)
    own = np.take_along_axis(logits, labels[..., None], -1)
    shifted = logits - top
    return np.log(np.exp(shifted, out=shifted).sum(-1)) + (top - own)[..., 0]


def by_part(losses: Float[np.ndarray, "n n"], train: Bool[np.ndarray, "n n"]) -> Float[np.ndarray, " parts"]:
    """The mean over training rows, over test rows and over all; NaN over none."""
    sides = (losses[train], losses[~train], losses)
    return np.array([side.mean() if side.size else np.nan for side in sides])


def _restricted(table: Table, mean, chosen, group: Group) -> Float[np.ndarray, "n n"]:
    """The loss of each row, from logits that depend on its answer alone: they are computed once per answer."""
    logits = component_of(mean, chosen, group) + mean.mean(0)
    right = np.arange(group.order)
    of_answer = cross_entropy(np.repeat(logits[:, None], group.order, 1), np.broadcast_to(right, (group.order,) * 2))
    return of_answer[group.products, table.labels]


def _excluded(logits, labels, answers, component) -> float:
    """The mean loss of rows [rows, classes] less a component [answers, classes]."""
    return float(cross_entropy(logits - component[answers], labels).mean())
