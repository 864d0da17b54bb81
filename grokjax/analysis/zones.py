"""The zones of model size and data: which dynamics where, drawn from measurements and from the two lines.

Source: figure 1 of Huang et al. 2024, arXiv:2402.15175: memory capacity rises with size, the critical data size falls.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Num, Shaped

from grokjax.analysis.correlation import spearman
from grokjax.analysis.dynamics import LABELS
from grokjax.analysis.statistics import Estimate

ORDER = ("confusion", "progression", "memorisation", "semi-grokking", "grokking", "comprehension")
"""Zones in the order in which a growing model passes them."""


def majority(labels: xr.DataArray, dim: str = "seed") -> xr.DataArray:
    """The most common kind of dynamics along a dimension; '' where no run has ended, or two kinds are as common."""
    counts = np.stack([(labels == label).sum(dim).values for label in LABELS])
    first, second = np.sort(counts, axis=0)[[-1, -2]]
    common = np.array(LABELS)[counts.argmax(axis=0)]
    kept = labels.isel({dim: 0}, drop=True)
    return kept.copy(data=np.where(first > second, common, ""))


def predicted(
    rows: Num[np.ndarray, "..."] | float,
    capacity: Num[np.ndarray, "..."] | float,
    critical_low: Num[np.ndarray, "..."] | float,
    critical_high: Num[np.ndarray, "..."] | float,
) -> Shaped[np.ndarray, "..."]:
    """The zone of each cell by the two measured lines; arguments broadcast against each other.

    Args:
      rows: training rows.
      capacity: rows that a model of this size can memorise.
      critical_low, critical_high: rows from which on validation accuracy begins to rise, and has risen.

    Returns:
      'progression' where there are more rows than capacity; else 'memorisation' below `critical_low`, 'semi-grokking'
      below `critical_high`, and 'grokking'; '' where a line is NaN.
    """
    rows, capacity, low, high = np.broadcast_arrays(rows, capacity, critical_low, critical_high)
    unknown = np.isnan(capacity) | np.isnan(low) | np.isnan(high)
    conditions = [unknown, rows > capacity, rows < low, rows < high]
    return np.select(conditions, ["", "progression", "memorisation", "semi-grokking"], "grokking")


class ZoneOrder(NamedTuple):
    """Whether zones come in order over model size.

    Attributes:
      zones: the zones that occur, by size.
      inversions: pairs of sizes of which the larger has the earlier zone; 0: they come in order.
      correlation: Spearman's, of size and place of the zone in `ORDER`.
    """

    zones: tuple[str, ...]
    inversions: int
    correlation: Estimate


def zone_order(sizes: Num[np.ndarray, " sizes"], labels: Shaped[np.ndarray, " sizes"]) -> ZoneOrder:
    """The order of zones at one number of rows.

    Args:
      sizes: [sizes], increasing.
      labels: [sizes], of `ORDER`; others, such as '' and 'diverged', are left out.
    """
    kept = [(size, ORDER.index(label)) for size, label in zip(sizes, labels, strict=True) if label in ORDER]
    sizes, places = np.array(kept, np.float64).reshape(-1, 2).T
    inversions = sum(int((places[i + 1 :] < place).sum()) for i, place in enumerate(places))
    changes = [i for i in range(len(places)) if not i or places[i] != places[i - 1]]
    return ZoneOrder(tuple(ORDER[int(places[i])] for i in changes), inversions, spearman(sizes, places))
