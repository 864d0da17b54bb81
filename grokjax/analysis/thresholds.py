"""The least amount of something with which runs reach a level: data, width, parameters."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from grokjax import results
from grokjax.analysis.statistics import Between, Estimate, median_place


class Threshold(NamedTuple):
    """Where runs first reach a level; all arrays [runs...].

    What is known is that the threshold lies in (bracket, at].

    Attributes:
      at: the least amount at which the level is reached; +inf: at none.
      bracket: the largest amount below it that ran; -inf: `at` is the least that ran, so that the threshold may lie
        anywhere below; NaN, as `at`, where nothing ran.
      interpolated: where the straight line between the two reaches the level. Censored at both ends: -inf where the
        least amount reaches it already, +inf where none does.
    """

    at: Float[np.ndarray, "*runs"]
    bracket: Float[np.ndarray, "*runs"]
    interpolated: Float[np.ndarray, "*runs"]

    def bounds(self) -> Between:
        """The interpolated threshold where it is known; else all that is known of it: beyond the amounts that ran."""
        least = np.where(np.isposinf(self.interpolated), self.bracket, self.interpolated)
        return Between(least, np.where(np.isneginf(self.interpolated), self.at, self.interpolated))


def least_reaching(
    amounts: Num[np.ndarray, " amounts"], values: Num[np.ndarray, "*runs amounts"], level: float, log: bool = False
) -> Threshold:
    """The least amount whose value reaches a level.

    Args:
      amounts: [amounts], strictly increasing.
      values: [runs..., amounts]; NaN where not run, which is passed over.
      level: compared in the precision of `values`.
      log: interpolate in the logarithm of the amounts.

    Returns:
      The threshold of each run.

    Raises:
      ValueError: if the amounts do not increase, or are not positive where their logarithm is asked for.
    """
    amounts, values = np.asarray(amounts, np.float64), np.asarray(values)
    if np.any(np.diff(amounts) <= 0):
        raise ValueError("The amounts do not strictly increase. Sort them, and the values with them.")
    if log and np.any(amounts <= 0):
        raise ValueError("The amounts must be positive to interpolate in their logarithm. Try log=False.")
    found = [_of_run(amounts, run, float(level), log) for run in values.reshape(-1, len(amounts))]
    return Threshold(*np.array(found, np.float64).reshape(-1, 3).T.reshape(3, *values.shape[:-1]))


def _of_run(amounts, values, level, log) -> tuple[float, float, float]:
    known = ~np.isnan(values)
    amounts, values = amounts[known], values[known]
    if not len(amounts):
        return np.nan, np.nan, np.nan
    reached = np.flatnonzero(values >= level)
    if not len(reached):
        return np.inf, amounts[-1], np.inf
    first = reached[0]
    if not first:
        return amounts[0], -np.inf, -np.inf
    pair, heights = amounts[first - 1 : first + 1], values[first - 1 : first + 1].astype(np.float64)
    ends = np.log(pair) if log else pair
    between = ends[0] + (level - heights[0]) / (heights[1] - heights[0]) * (ends[1] - ends[0])
    return pair[1], pair[0], np.exp(between) if log else between


def median_run(values: Between) -> Estimate:
    """The median with its interval of order statistics, which hold for any distribution and for censored runs.

    Args:
      values: bounds of one value per run, such as `Threshold.bounds`; NaN left out.

    Returns:
      The median, and the closest pair of values that encloses it with at least 95 % confidence: unbounded for fewer
      than 6 runs. There is no null, so the p-value is 1.
    """
    least, most = (np.sort(ends[~np.isnan(ends)]) for ends in values)
    n, place = len(least), median_place(len(least))
    low, high = (least[place - 1], most[n - place]) if place else (-np.inf, np.inf)
    middle = [float(results.median(ends)) for ends in (least, most)]
    return Estimate(middle[0], float(low), float(high), 1.0, n, middle[1])


def ratio_bounds(upper: Threshold, lower: Threshold) -> tuple[Float[np.ndarray, "*runs"], Float[np.ndarray, "*runs"]]:
    """(least, largest) ratio of two positive thresholds that their brackets allow, run by run.

    A threshold that is never reached makes the largest +inf, and the least "at least": the largest amount that ran over
    the other threshold.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.maximum(upper.bracket, 0) / lower.at
        largest = np.where(lower.bracket > 0, upper.at / np.maximum(lower.bracket, 0), np.inf)
    return least, largest
