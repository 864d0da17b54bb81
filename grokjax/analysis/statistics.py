"""Estimates with exact or small-sample intervals, in which "never" is an observation: +inf, never dropped.

Everything here is for a handful of runs: Student's t where all values are finite, order statistics where some are
infinite, exact binomial intervals for shares. NumPy and SciPy alone.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import stats

from grokjax import results

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value with its interval.

    Attributes:
      value: the estimate.
      low, high: the ends of its 95 % interval; may be infinite.
      p_value: two-sided, against the null.
      runs: values it rests on.
    """

    value: float
    low: float
    high: float
    p_value: float
    runs: int


def location(values: Sequence[float] | np.ndarray) -> Estimate:
    """Where values lie: their mean by Student's t if all are finite, otherwise their median by order statistics.

    The order statistics are the closest pair that encloses the median with at least 95 % confidence whatever the
    distribution: of 6 values the least and the largest (96.9 %), of 10 the second and the ninth (97.9 %); fewer than 6
    bound nothing. Its p-value is the sign test's, in which values of 0 take no part.

    Args:
      values: one per run or pair; +-inf where a run never got there; no NaN.

    Returns:
      The estimate, its p-value against 0. Of no value, NaN in an unbounded interval; of one, that value in an unbounded
      interval; NaN if the two in the middle are -inf and +inf.

    Raises:
      ValueError: for a NaN.
    """
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise ValueError(
            "There is a NaN among the values. A run that never got there is +inf; leave out what was not run."
        )
    n = len(values)
    if not n:
        return Estimate(np.nan, -np.inf, np.inf, 1.0, 0)
    if np.isfinite(values).all():
        mean = float(values.mean())
        if n == 1:
            return Estimate(mean, -np.inf, np.inf, 1.0, 1)
        error = float(values.std(ddof=1)) / np.sqrt(n)
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
        p_value = float(2 * stats.t.sf(abs(mean) / error, n - 1) if error else mean == 0)
        return Estimate(mean, mean - reach, mean + reach, p_value, n)
    ordered = np.sort(values)
    place = median_place(n)
    low, high = (ordered[place - 1], ordered[n - place]) if place else (-np.inf, np.inf)
    above, below = int((values > 0).sum()), int((values < 0).sum())
    p_value = float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
    with np.errstate(invalid="ignore"):
        return Estimate(float(results.median(ordered)), float(low), float(high), p_value, n)


def median_place(count: int) -> int:
    """k such that the k-th least and the k-th largest of `count` values enclose the median at 95 % or more; 0: none do.

    They fail to if fewer than k values lie on one side of it, with a probability of 2 P(Binomial(count, 1/2) < k).
    """
    place = 0
    while stats.binom.cdf(place, count, 0.5) <= (1 - CONFIDENCE) / 2:
        place += 1
    return place


def share(hits: Bool[np.ndarray, " runs"], null: float = 0.5) -> Estimate:
    """The share of runs that do something, with Clopper and Pearson's exact interval; of none, NaN."""
    hits = np.asarray(hits, bool)
    if not len(hits):
        return Estimate(np.nan, 0.0, 1.0, 1.0, 0)
    test = stats.binomtest(int(hits.sum()), len(hits), null)
    interval = test.proportion_ci(CONFIDENCE, "exact")
    return Estimate(float(hits.mean()), float(interval.low), float(interval.high), float(test.pvalue), len(hits))


def holm(p_values: Sequence[float] | np.ndarray) -> list[float]:
    """p-values adjusted for their number by Holm's method, in their order."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out.tolist()


def log_ratio(
    upper: Float[np.ndarray, " runs"],
    lower: Float[np.ndarray, " runs"],
    upper_bracket: Num[np.ndarray, " runs"],
    lower_bracket: Num[np.ndarray, " runs"],
) -> Float[np.ndarray, " runs"]:
    """ln(upper / lower) of two crossings, run by run.

    A crossing is known to lie in (bracket, crossing]. Two whose intervals overlap are a tie, 0; so are two that never
    came. Where only one never came the ratio is +-inf.
    """
    upper, lower = np.asarray(upper, np.float64), np.asarray(lower, np.float64)
    tie = (np.asarray(upper_bracket) < lower) & (np.asarray(lower_bracket) < upper)
    tie |= np.isinf(upper) & np.isinf(lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(upper) - np.log(lower)
    return np.where(tie, 0.0, ratio)


def difference(one: Float[np.ndarray, " runs"], other: Float[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    """one - other, run by run, where two equal infinities make 0: what is not known to differ is a tie."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(one == other, 0.0, one - other)


class Survival(NamedTuple):
    """Kaplan and Meier's estimate of the share of runs that have not yet got there.

    Attributes:
      steps: [points], from 0, each a time at which some run got there.
      share: [points], from each of them on.
      low, high: [points], pointwise 95 % limits: log-log, and the binomial's where no run or every run has got there.
    """

    steps: Float[np.ndarray, " points"]
    share: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]


def survival(crossings: Num[np.ndarray, " runs"], last_step: Num[np.ndarray, " runs"]) -> Survival:
    """How many runs have not yet crossed, over steps; a run that never did is censored at its last step.

    Args:
      crossings: [runs], +inf where never.
      last_step: [runs], up to which each was seen.

    Source: Kaplan and Meier 1958, by `scipy.stats.ecdf`.
    """
    curve = stats.ecdf(_censored(crossings, last_step)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of limits that are undefined, which are set below
        interval = curve.confidence_interval(CONFIDENCE, method="log-log")
    share, low, high = (
        np.concatenate([[1.0], np.asarray(end.probabilities, np.float64)])
        for end in (curve, interval.low, interval.high)
    )
    none_of_all = ((1 - CONFIDENCE) / 2) ** (1 / len(crossings))
    low = np.where(share == 1, none_of_all, np.where(share == 0, 0.0, low))
    high = np.where(share == 1, 1.0, np.where(share == 0, 1 - none_of_all, high))
    return Survival(np.concatenate([[0.0], curve.quantiles]), share, low, high)


def log_rank(
    crossings: Num[np.ndarray, " runs"],
    last_step: Num[np.ndarray, " runs"],
    other_crossings: Num[np.ndarray, " others"],
    other_last_step: Num[np.ndarray, " others"],
) -> float:
    """The two-sided p-value of the log-rank test that two groups of runs get there alike; 1 if nobody does."""
    groups = _censored(crossings, last_step), _censored(other_crossings, other_last_step)
    if not any(np.isfinite(group).any() for group in (np.asarray(crossings), np.asarray(other_crossings))):
        return 1.0
    return float(stats.logrank(*groups).pvalue)


def _censored(crossings, last_step) -> stats.CensoredData:
    crossings, last_step = np.asarray(crossings, np.float64), np.asarray(last_step, np.float64)
    never = np.isinf(crossings)
    return stats.CensoredData.right_censored(np.where(never, last_step, crossings), never)
