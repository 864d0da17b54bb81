"""Whether the elements of S_n cluster by the cosets of a subgroup.

Source: figure 3 of Power et al. 2022, arXiv:2201.02177: t-SNE of the output layer of S5 shows the cosets of
<(0 3)(1 4), (1 2)(3 4)> and of its conjugates.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num

from grokjax.tasks.permutations import elements, inverses, numbers_of, products

Cycles = Sequence[Sequence[int]]
"""A permutation as disjoint cycles of 0 .. n-1: ((0, 3), (1, 4))."""

POWERS = (((0, 3), (1, 4)), ((1, 2), (3, 4)))
"""The generators that Power et al. name: those of a dihedral group of 10 elements, with 12 cosets in S5."""


def number_of(cycles: Cycles, degree: int) -> int:
    """The number, in the order of `grokjax.tasks.permutations`, of the permutation with these cycles.

    Raises:
      ValueError: for a point that is not below `degree`, or occurs twice.
    """
    points = [point for cycle in cycles for point in cycle]
    if len(set(points)) < len(points) or not set(points) <= set(range(degree)):
        raise ValueError(f"{cycles} are not disjoint cycles of the points 0 to {degree - 1}.")
    images = np.arange(degree)
    for cycle in cycles:
        images[list(cycle)] = [*cycle[1:], *cycle[:1]]
    return int(numbers_of(images[None])[0])


def subgroup(generators: Sequence[Cycles], degree: int) -> Int[np.ndarray, " order"]:
    """[order] the elements, by number, of the subgroup of S_n that some permutations generate."""
    chosen = np.array([number_of(cycles, degree) for cycles in generators], np.int64)
    found = np.zeros(1, np.int64)  # the identity
    while True:
        larger = np.union1d(found, products(degree)[np.ix_(found, chosen)])
        if len(larger) == len(found):
            return found
        found = larger


def cosets(members: Int[np.ndarray, " order"], degree: int, left: bool = True) -> Int[np.ndarray, " elements"]:
    """[elements] a number per coset, 0, 1 ...: of the left cosets xH, or the right ones Hx."""
    table = products(degree) if left else products(degree).T
    return np.unique(table[:, members].min(axis=1), return_inverse=True)[1]


def conjugates(members: Int[np.ndarray, " order"], degree: int) -> list[Int[np.ndarray, " order"]]:
    """The distinct subgroups g H g^-1, H itself first."""
    table, inverse = products(degree), inverses(degree)
    found = {}
    for g in range(len(elements(degree))):
        conjugate = np.sort(table[table[g, members], inverse[g]])
        found.setdefault(conjugate.tobytes(), conjugate)
    return list(found.values())


def silhouette(points: Num[np.ndarray, "rows features"], labels: Int[np.ndarray, " rows"]) -> float:
    """The mean silhouette of clusters: (b - a)/max(a, b), with a a row's mean distance to its own cluster and b that to
    the nearest other one; 0 for a row alone. From -1 to 1. Source: Rousseeuw 1987."""
    return float(_silhouettes(_distances(points), np.asarray(labels)[None])[0])


class Clustering(NamedTuple):
    """How well named clusters fit.

    Attributes:
      silhouette: of the named clusters.
      expected: the mean of random partitions into clusters of the same sizes.
      p_value: the share of these with a silhouette at least as large.
    """

    silhouette: float
    expected: float
    p_value: float


def clustering(
    points: Num[np.ndarray, "rows features"], labels: Int[np.ndarray, " rows"], seed: int, num_draws: int = 999
) -> Clustering:
    """The silhouette of clusters against random partitions of the same sizes.

    Args:
      points: [rows, features], e.g. rows of the output layer, or their picture.
      labels: [rows], e.g. `cosets(...)`.
      seed: of the partitions.
      num_draws: partitions.

    Raises:
      ValueError: for fewer than two clusters.
    """
    distances = _distances(points)
    labels = np.unique(labels, return_inverse=True)[1]
    if labels.max(initial=0) < 1:
        raise ValueError("There is a single cluster, so that no other is near. Pass labels of at least two.")
    shuffled = np.random.default_rng(seed).permuted(np.tile(labels, (num_draws, 1)), axis=1)
    own = float(_silhouettes(distances, labels[None])[0])
    null = np.concatenate(
        [_silhouettes(distances, part) for part in np.array_split(shuffled, max(1, num_draws // 100))]
    )
    return Clustering(own, float(null.mean()), float((1 + np.sum(null >= own)) / (1 + num_draws)))


def _distances(points):
    points = np.asarray(points, np.float64)
    return np.sqrt(((points[:, None] - points) ** 2).sum(axis=-1))


def _silhouettes(distances, labels):
    """[partitions] of labels [partitions, rows], each with all clusters."""
    member = (labels[..., None] == np.arange(labels.max() + 1)).astype(np.float64)  # [partitions, rows, clusters]
    totals, sizes = distances @ member, member.sum(axis=-2, keepdims=True)
    own_size = (member * sizes).sum(axis=-1)
    own = (member * totals).sum(axis=-1) / np.maximum(own_size - 1, 1)
    other = np.where(member > 0, np.inf, totals / sizes).min(axis=-1)
    larger = np.maximum(own, other)
    score = np.divide(other - own, larger, out=np.zeros_like(own), where=(larger > 0) & (own_size > 1))
    return score.mean(axis=-1)
