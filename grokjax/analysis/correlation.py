"""Rank correlation with an interval and a p-value that hold for a handful of runs."""

import itertools

import numpy as np
from jaxtyping import Num
from scipy import stats

from grokjax.analysis.statistics import CONFIDENCE, Estimate

EXACT = 8
"""Pairs up to which the p-value is that of all permutations."""


def spearman(x: Num[np.ndarray, " pairs"], y: Num[np.ndarray, " pairs"]) -> Estimate:
    """Spearman's rank correlation; ties share their mean rank, and infinities are ranks like others.

    Args:
      x, y: [pairs], without NaN.

    Returns:
      The correlation, with Fisher's interval as Bonett and Wright 2000 widen it for ranks (unbounded, that is -1 to 1,
      for fewer than 4 pairs), and a two-sided p-value: of all permutations for at most `EXACT` pairs, else Student's t.
      NaN with a p-value of 1 where one side does not vary.

    Raises:
      ValueError: for a NaN.
    """
    x, y = (np.asarray(values, np.float64) for values in (x, y))
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("There is a NaN among the pairs. Leave out what was not run.")
    n = len(x)
    one, other = (stats.rankdata(values) - (n + 1) / 2 for values in (x, y))
    scale = np.sqrt((one @ one) * (other @ other))
    if n < 2 or not scale:
        return Estimate(np.nan, -1.0, 1.0, 1.0, n, np.nan)
    value = float(np.clip(one @ other / scale, -1, 1))
    low, high = -1.0, 1.0
    if n > 3:
        reach = stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt((1 + value**2 / 2) / (n - 3))
        if abs(value) < 1:
            low, high = (float(np.tanh(np.arctanh(value) + sign * reach)) for sign in (-1, 1))
        else:
            low = high = value
    if n <= EXACT:
        orders = np.array(list(itertools.permutations(range(n))))
        p_value = float(np.mean(np.abs(other[orders] @ one) / scale >= abs(value) - 1e-12))
    elif abs(value) == 1:
        p_value = 0.0
    else:
        p_value = float(2 * stats.t.sf(abs(value) * np.sqrt((n - 2) / (1 - value**2)), n - 2))
    return Estimate(value, low, high, p_value, n, value)
