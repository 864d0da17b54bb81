"""The least train fraction with which runs generalise, read off a grid of fractions.

Source: Power et al. 2022, arXiv:2201.02177, compare operations and regularisations by it (figure 2).
"""

import numpy as np
import xarray as xr

from grokjax import results
from grokjax.analysis.statistics import Between, Estimate, location, log_ratio
from grokjax.analysis.thresholds import least_reaching

GENERALISED = 0.99


def least_fraction(
    grid: xr.Dataset, level: float = GENERALISED, value: str = "max_val_accuracy", axis: str = "train_fraction"
) -> xr.Dataset:
    """The least train fraction at which each run reaches a level; known to lie in (bracket, least_fraction].

    Args:
      grid: a result with an axis of train fractions. Cells that did not run are passed over, so that a grid of which
        a bisection trained a part gives what the whole grid would.
      level: to reach.
      value: what is to reach it, a value per run.
      axis: another axis than the train fraction, such as 'num_train'.

    Returns:
      A dataset [the other axes]: `least_fraction`, +inf where no fraction that ran reaches the level; `bracket`, the
      largest fraction below it that ran, -inf where there is none.

    Raises:
      ResultError: if the grid has no such axis or value.
    """
    if value not in grid or axis not in grid[value].dims:
        raise results.ResultError(
            f"The result has no {value} along an axis {axis}. Run its sweep with several values of --{axis}."
        )
    ended = ~grid["status"].isin(results.UNFINISHED)
    ordered = grid[value].where(ended).sortby(axis).transpose(..., axis)
    found = least_reaching(ordered[axis].values, ordered.values, level)
    kept = ordered.isel({axis: 0}, drop=True)
    return xr.Dataset(
        {
            "least_fraction": kept.copy(data=found.at).assign_attrs(long_name=f"least {axis}", units="1"),
            "bracket": kept.copy(data=found.bracket).assign_attrs(long_name="largest that does not do", units="1"),
        }
    )


def factor(more: xr.Dataset, less: xr.Dataset) -> Estimate:
    """The ratio of two least train fractions, run by run: its geometric mean with an interval.

    Args:
      more, less: `least_fraction` of two groups of runs paired by seed, [seed].

    Returns:
      The ratio, by Student's t on its logarithm, or the median by order statistics where one of a pair never got there;
      the p-value is against a ratio of 1. Two whose brackets overlap are a tie.
    """
    more, less = xr.align(more, less, join="inner")
    ratios = log_ratio(
        more["least_fraction"].values.ravel(),
        less["least_fraction"].values.ravel(),
        more["bracket"].values.ravel(),
        less["bracket"].values.ravel(),
    )
    ran = ~np.isnan(ratios.least) & ~np.isnan(ratios.most)
    found = location(Between(ratios.least[ran], ratios.most[ran]))
    with np.errstate(over="ignore"):
        value, low, high, most = (float(np.exp(end)) for end in (*found[:3], found.most))
    return Estimate(value, low, high, found.p_value, found.runs, most)
