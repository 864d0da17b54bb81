"""What a network loses without some frequencies of its logits, and what it keeps with them alone.

The logits of each class are a function of two operands; those of frequency k are spanned by the linear terms cos wa,
sin wa, cos wb, sin wb and the products of a's and b's, as a neuron's are. The mean over all pairs is always kept.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Num

from grokjax.analysis.groups import Group
from grokjax.analysis.progress import PARTS, by_part, cross_entropy, tables


def ablations(
    logits: Num[Any, "*batch a b classes"],
    train: Bool[Any, "*runs a b"],
    keys: Any,
    group: Group | None = None,
    labels: Int[Any, "*runs a b"] | None = None,
    each: bool = False,
) -> xr.Dataset:
    """The loss without the key frequencies, with them alone, and without each frequency.

    Args:
      logits, train, keys, group, labels: as in `grokjax.analysis.progress.progress`.
      each: whether to take out every component in its turn too, keys and others; a loss over the table for each.

    Returns:
      A dataset, float64, in nats: `loss`, `without_keys` and `only_keys` [..., part]; with `each`, `without_each`
      [..., components, part].

    Raises:
      ValueError: as `progress`.

    Source: Nanda et al. 2023, arXiv:2301.05217, section 4.4.
    """
    group, before, networks = tables(logits, train, keys, group, labels)
    names = ("loss", "without_keys", "only_keys")
    found = {name: np.full((*before.shape, len(PARTS)), np.nan) for name in names}
    alone = np.full((*before.shape, len(group.labels), len(PARTS)), np.nan)
    for index, table, chosen in networks:
        key_part = of_frequencies(table.logits, chosen, group)
        variants = (table.logits, table.logits - key_part, key_part + table.logits.mean((0, 1)))
        for name, variant in zip(names, variants, strict=True):
            found[name][index] = by_part(cross_entropy(variant, table.labels), table.train)
        for k in range(len(group.labels)) if each else ():
            rest = table.logits - of_frequencies(table.logits, np.arange(len(group.labels)) == k, group)
            alone[(*index, k)] = by_part(cross_entropy(rest, table.labels), table.train)
    part = {"part": list(PARTS)}
    texts = ("loss", f"loss without the key {group.dim}", f"loss with the key {group.dim} alone")
    result = {name: before.labelled(found[name], part, text, "nat") for name, text in zip(names, texts, strict=True)}
    if each:
        core = {group.dim: group.labels} | part
        result["without_each"] = before.labelled(alone, core, f"loss without one {group.dim}", "nat")
    return xr.Dataset(result)


def of_frequencies(
    table: Float[np.ndarray, "n n features"], chosen: Bool[np.ndarray, " components"], group: Group
) -> Float[np.ndarray, "n n features"]:
    """The part of functions of two operands that lies in some components, the mean left out.

    Args:
      table: over all pairs of elements, in the group's order.
      chosen: the components.
      group: of the task.

    Returns:
      [n, n, features]: for each component, its terms in a, in b, and in both.
    """
    n, features = group.order, table.shape[-1]
    found = np.zeros_like(table)
    constant = group.basis[:1]
    for rows in group.rows[chosen]:
        terms = np.concatenate([constant, group.basis[rows]])
        inner = (terms @ table.reshape(n, -1)).reshape(len(terms), n, features)  # [terms of a, b, features]
        inner = terms @ inner  # [terms of a, terms of b, features]
        inner[0, 0] = 0
        across = (terms.T @ inner).reshape(len(terms), -1)  # [terms of a, b * features]
        found += (terms.T @ across).reshape(table.shape)
    return found
