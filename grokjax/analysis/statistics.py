"""Estimates with exact or small-sample intervals, in which "never" is an observation: later than its last step.

Everything here is for a handful of runs: Student's t where all values are known, order statistics where of some only a
bound is, exact binomial intervals for shares. NumPy and SciPy alone.
"""

import functools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import optimize, stats

from grokjax import results

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value with its interval.

    Attributes:
      value: the estimate; where runs that never got there leave it open, the least that it may be.
      low, high: the ends of its 95 % interval; may be infinite.
      p_value: two-sided, against the null; the largest that may be.
      runs: values it rests on.
      most: the largest that the estimate may be; `value` where it is known.
    """

    value: float
    low: float
    high: float
    p_value: float
    runs: int
    most: float


class Between(NamedTuple):
    """Values of which two bounds are known: [runs] each, equal where the value itself is known.

    A run that never got somewhere gets there later than its last step, or not at all: that is what is known of it, no
    more and no less. Where nothing is known of a value its bounds are -inf and +inf.
    """

    least: np.ndarray
    most: np.ndarray

    @classmethod
    def of(cls, values: "Sequence[float] | np.ndarray | Between") -> "Between":
        """Of known values; what is one already stays one."""
        if isinstance(values, Between):
            return values
        values = np.asarray(values, np.float64)
        return cls(values, values)

    def known(self) -> np.ndarray:
        """[runs], which values are known."""
        return self.least == self.most

    def unsure(self) -> np.ndarray:
        """[runs], of which values not even the sign is known."""
        return (self.least < 0) & (self.most > 0)

    def shifted(self, by: float) -> "Between":
        """All of them plus a number."""
        return Between(self.least + by, self.most + by)


def location(values: Sequence[float] | np.ndarray | Between) -> Estimate:
    """Where values lie: their mean by Student's t if all are known, finite and not all alike, else their median.

    The median's interval is the closest pair of order statistics that encloses it with at least 95 % confidence
    whatever the distribution: of 6 values the least and the largest (96.9 %), of 10 the second and the ninth (97.9 %);
    fewer than 6 bound nothing. A value that is only known to lie between two bounds counts at the lower one for the
    lower end and at the upper one for the upper end, so that the interval covers whatever it is. The p-value is then
    the sign test's, in which values of 0 take no part, and those of unknown sign have the signs that make it largest.

    Args:
      values: one per run or pair, or bounds of it; +-inf where a run can never get there; no NaN.

    Returns:
      The estimate, its p-value against 0. Of no value, NaN in an unbounded interval; of one, that value in an unbounded
      interval.

    Raises:
      ValueError: for a NaN.
    """
    least, most = Between.of(values)
    if np.isnan(least).any() or np.isnan(most).any():
        raise ValueError(
            "There is a NaN among the values. A run that never got there is +inf; leave out what was not run."
        )
    n = len(least)
    if not n:
        return Estimate(np.nan, -np.inf, np.inf, 1.0, 0, np.nan)
    if n == 1 and least[0] == most[0]:
        return Estimate(float(least[0]), -np.inf, np.inf, 1.0, 1, float(least[0]))
    if np.isfinite(least).all() and (least == most).all() and np.ptp(least):
        mean, error = float(least.mean()), float(least.std(ddof=1)) / np.sqrt(n)
        reach, p_value = _student(n) * error, float(2 * stats.t.sf(abs(mean) / error, n - 1))
        return Estimate(mean, mean - reach, mean + reach, p_value, n, mean)
    place = median_place(n)
    low, high = (np.sort(least)[place - 1], np.sort(most)[n - place]) if place else (-np.inf, np.inf)
    above, below, ties = int((least > 0).sum()), int((most < 0).sum()), int(((least == 0) & (most == 0)).sum())
    p_value = max(_sign_test(above + k, n - ties) for k in range(n - ties - above - below + 1))
    middle = [_middle(least, -np.inf), _middle(most, np.inf)]
    return Estimate(middle[0], float(low), float(high), p_value, n, middle[1])


def _middle(values: np.ndarray, worst: float) -> float:
    """The median; where the two in the middle are -inf and +inf, the worse of them."""
    with np.errstate(invalid="ignore"):
        found = float(results.median(values))
    return worst if np.isnan(found) else found


@functools.cache
def _student(count: int) -> float:
    """How many standard errors a mean of so many values may lie off, at 95 %."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))


@functools.cache
def _sign_test(above: int, count: int) -> float:
    return float(stats.binomtest(above, count).pvalue) if count else 1.0


@functools.cache
def median_place(count: int) -> int:
    """k such that the k-th least and the k-th largest of `count` values enclose the median at 95 % or more; 0: none do.

    They fail to if fewer than k values lie on one side of it, with a probability of 2 P(Binomial(count, 1/2) < k).
    """
    place = 0
    while stats.binom.cdf(place, count, 0.5) <= (1 - CONFIDENCE) / 2:
        place += 1
    return place


def share(
    hits: Bool[np.ndarray, " runs"], unknown: Bool[np.ndarray, " runs"] | None = None, null: float = 0.5
) -> Estimate:
    """The share of runs that do something, with Clopper and Pearson's exact interval; of none, NaN.

    Args:
      hits: which do.
      unknown: of which that is not known; none by default. They count as misses for the lower end, as hits for the
        upper one, and as what makes the p-value largest.
      null: the share that the p-value is against.
    """
    hits = np.asarray(hits, bool)
    n = len(hits)
    if not n:
        return Estimate(np.nan, 0.0, 1.0, 1.0, 0, np.nan)
    open_ones = np.zeros(n, bool) if unknown is None else np.asarray(unknown, bool)
    least = int((hits & ~open_ones).sum())
    tests = [stats.binomtest(count, n, null) for count in range(least, least + int(open_ones.sum()) + 1)]
    low = float(tests[0].proportion_ci(CONFIDENCE, "exact").low)
    high = float(tests[-1].proportion_ci(CONFIDENCE, "exact").high)
    p_value = float(max(test.pvalue for test in tests))
    return Estimate(least / n, low, high, p_value, n, (least + int(open_ones.sum())) / n)


def paired_shares(one: Bool[np.ndarray, " pairs"], other: Bool[np.ndarray, " pairs"]) -> Estimate:
    """The share of pairs whose one side does something less that of which the other does, with Tango's score interval.

    The interval is all differences that a score test does not reject; unlike Student's t it has a width where all pairs
    are alike: of six that all succeed on both sides it reaches from -39 to +39 %. The p-value is McNemar's exact one.

    Args:
      one, other: which do.

    Source: Tango 1998, Statistics in Medicine 17, 891.
    """
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    n, more, fewer = len(one), int((one & ~other).sum()), int((other & ~one).sum())
    if n < 2:
        return Estimate(
            (more - fewer) / n if n else np.nan, -np.inf, np.inf, 1.0, n, (more - fewer) / n if n else np.nan
        )
    value, z = (more - fewer) / n, float(stats.norm.ppf((1 + CONFIDENCE) / 2))

    def beyond(difference: float) -> float:
        """How far the score of a difference is beyond the limit; its variance is that of the likeliest shares."""
        linear = (2 * n - more + fewer) * difference - more - fewer
        inside = linear**2 + 8 * n * fewer * difference * (1 - difference)
        discordant = (np.sqrt(max(inside, 0.0)) - linear) / (2 * n) + difference * (1 - difference)
        return abs(n * (value - difference)) - z * np.sqrt(max(n * discordant, 0.0))

    tiny = 1e-9  # at the ends, and at the value itself, the variance may be 0
    low, high = (
        end
        if abs(value - end) <= 2 * tiny or beyond(end * (1 - tiny)) <= 0
        else float(optimize.brentq(beyond, end * (1 - tiny), value + end * tiny))
        for end in (-1.0, 1.0)
    )
    return Estimate(value, low, high, _sign_test(more, more + fewer), n, value)


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
) -> Between:
    """ln(upper / lower) of two crossings, run by run: what is known of it.

    A crossing is known to lie in (bracket, crossing]. Two whose intervals overlap are a tie, 0. One that never came,
    +inf, comes later than its bracket, its last step: so the ratio to one that came has a bound on one side. Where
    neither came nothing is known.
    """
    upper, lower, seen, other_seen = (
        np.asarray(values, np.float64) for values in (upper, lower, upper_bracket, lower_bracket)
    )
    came, other_came = np.isfinite(upper), np.isfinite(lower)
    tie = (came & other_came) & (((seen < lower) & (other_seen < upper)) | (upper == lower))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(tie, 0.0, np.log(upper) - np.log(lower))
        least = np.select([came & other_came, other_came], [ratio, np.log(seen) - np.log(lower)], -np.inf)
        most = np.select([came & other_came, came], [ratio, np.log(upper) - np.log(other_seen)], np.inf)
    return Between(least, most)


def difference(one: Between, other: Between) -> Between:
    """one - other, run by run: what is known of it."""
    with np.errstate(invalid="ignore"):
        least, most = one.least - other.most, one.most - other.least
    return Between(np.where(np.isnan(least), -np.inf, least), np.where(np.isnan(most), np.inf, most))


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
