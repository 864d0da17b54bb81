"""The critical data size: the least number of training rows with which a model generalises.

Source: Huang et al. 2024, arXiv:2402.15175, who use the least size whose mean final validation accuracy reaches 99 %.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from grokjax.analysis.statistics import Between, Estimate
from grokjax.analysis.thresholds import least_reaching, median_run

GENERALISED = 0.99


class CriticalSize(NamedTuple):
    """In training rows.

    Attributes:
      of_mean: where the mean over seeds reaches the level, interpolated between sizes; -inf or +inf beyond the sizes
        that ran. One seed that fails holds the mean below 99 %, so this is nearly the size with which all succeed.
      of_seeds: where the median seed reaches it, interpolated, with an interval of order statistics over seeds.
    """

    of_mean: float
    of_seeds: Estimate


def critical_size(
    rows: Num[np.ndarray, " sizes"], val_accuracy: Num[np.ndarray, "seeds sizes"], level: float = GENERALISED
) -> CriticalSize:
    """The critical data size of one model.

    Args:
      rows: [sizes], training rows, increasing.
      val_accuracy: [seeds, sizes], final; NaN where not run.
      level: that counts as generalising.
    """
    seeds = least_reaching(rows, val_accuracy, level).bounds()
    return CriticalSize(_of_mean(rows, val_accuracy, level), median_run(seeds))


def semi_grokking_band(
    rows: Num[np.ndarray, " sizes"],
    val_accuracy: Num[np.ndarray, "seeds sizes"],
    low: float = 0.1,
    high: float = 0.9,
) -> CriticalSize:
    """How many rows lie between those with which validation accuracy first reaches `low` and `high`.

    Args:
      rows, val_accuracy: as in `critical_size`.

    Returns:
      The width of the band, in rows: of the mean over seeds, and of the seeds. Where an end of the band lies
      beyond the sizes that ran, the mean's is +inf and a seed's has a bound on one side; a seed that never reaches
      `low` shows no band and is left out.
    """
    begins, ends = (least_reaching(rows, val_accuracy, level).bounds() for level in (low, high))
    seen = np.isfinite(begins.most)
    width = Between((ends.least - begins.most)[seen], (ends.most - begins.least)[seen])
    mean_begins, mean_ends = (_of_mean(rows, val_accuracy, level) for level in (low, high))
    of_mean = np.inf if mean_begins == -np.inf else np.nan if mean_begins == np.inf else mean_ends - mean_begins
    return CriticalSize(of_mean, median_run(width))


def _of_mean(rows, val_accuracy, level) -> float:
    known = ~np.isnan(val_accuracy)
    total = np.where(known, val_accuracy, 0).sum(axis=0, dtype=np.float64)
    counts = known.sum(axis=0)
    mean = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    return float(least_reaching(rows, mean.astype(val_accuracy.dtype), level).interpolated)
