"""The window of learning rates within which runs generalise.

Source: Power et al. 2022, arXiv:2201.02177, find that it spans less than an order of magnitude.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num


class Window(NamedTuple):
    """All arrays [runs...].

    Attributes:
      low, high: the smallest and the largest rate of the window; NaN where no rate reaches the level.
      low_bracket, high_bracket: the next rates that ran outside of it; 0 and +inf where none did.
      decades: log10(high/low), the width that is certain; 0 where no rate, or one, reaches the level.
      most_decades: log10(high_bracket/low_bracket), the width that is possible; +inf where an end is not known.
    """

    low: Float[np.ndarray, "*runs"]
    high: Float[np.ndarray, "*runs"]
    low_bracket: Float[np.ndarray, "*runs"]
    high_bracket: Float[np.ndarray, "*runs"]
    decades: Float[np.ndarray, "*runs"]
    most_decades: Float[np.ndarray, "*runs"]


def window(rates: Num[np.ndarray, " rates"], values: Num[np.ndarray, "*runs rates"], level: float = 0.99) -> Window:
    """The widest stretch of neighbouring learning rates that all reach a level, widest in the logarithm.

    Args:
      rates: [rates], increasing and positive.
      values: [runs..., rates], e.g. highest validation accuracy; NaN where not run, which is passed over.
      level: compared in the precision of `values`.

    Raises:
      ValueError: if the rates do not increase, or are not positive.
    """
    rates, values = np.asarray(rates, np.float64), np.asarray(values)
    if np.any(np.diff(rates) <= 0) or np.any(rates <= 0):
        raise ValueError(
            "The learning rates must be positive and strictly increase. Sort them, and the values with them."
        )
    found = [_of_run(rates, run, float(level)) for run in values.reshape(-1, len(rates))]
    return Window(*np.array(found, np.float64).reshape(-1, 6).T.reshape(6, *values.shape[:-1]))


def _of_run(rates, values, level):
    known = ~np.isnan(values)
    rates, reached = rates[known], np.flatnonzero(values[known] >= level)
    if not len(reached):
        return np.nan, np.nan, 0.0, np.inf, 0.0, np.inf
    stretches = np.split(reached, np.flatnonzero(np.diff(reached) > 1) + 1)
    first, last = max(((s[0], s[-1]) for s in stretches), key=lambda ends: np.log(rates[ends[1]] / rates[ends[0]]))
    below = rates[first - 1] if first else 0.0
    above = rates[last + 1] if last + 1 < len(rates) else np.inf
    most = np.log10(above / below) if below else np.inf
    return rates[first], rates[last], below, above, np.log10(rates[last] / rates[first]), most
