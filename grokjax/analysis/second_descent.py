"""The second descent of validation loss: it falls, rises while the training set is memorised, and falls again.

Source: figure 4 of Power et al. 2022, arXiv:2201.02177.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from grokjax.analysis.u_shape import deepest_dip

LEAST_FALL = 0.5
"""The share of its peak that a loss loses in a second descent."""

LEAST_RISE, LEAST_PEAK = 0.3, 0.1
"""By which share of its first low a loss rises to its peak, and that peak as a share of the loss at the start.

A noisy curve has inner maxima everywhere, and one that comes close to 0 falls by half from many of them.
"""


class SecondDescent(NamedTuple):
    """A loss with its interior maximum, the one that rises farthest above what comes before and what comes after.

    Attributes:
      start: the first loss.
      first_low, peak, last_low: the lowest loss before the peak, the peak, the lowest loss after.
      at: the evaluation of the peak.
    """

    start: float
    first_low: float
    peak: float
    last_low: float
    at: int

    @property
    def rises(self) -> bool:
        """Whether there is an interior maximum that is no small matter, by `LEAST_RISE` and `LEAST_PEAK`."""
        return self.peak >= (1 + LEAST_RISE) * self.first_low and self.peak >= LEAST_PEAK * self.start

    @property
    def fall(self) -> float:
        """1 - last_low / peak, the share that is lost after the peak."""
        return 1 - self.last_low / self.peak

    @property
    def found(self) -> bool:
        """Whether the loss rises, and then loses at least half of its peak."""
        return self.rises and self.fall >= LEAST_FALL


def second_descent(loss: Num[np.ndarray, " evaluations"]) -> SecondDescent:
    """Where a loss peaks between two lows.

    Args:
      loss: [evaluations], positive; NaN left out.

    Raises:
      ValueError: for fewer than three evaluations.
    """
    loss = np.asarray(loss, np.float64)
    known = np.flatnonzero(~np.isnan(loss))
    if len(known) < 3:
        raise ValueError(f"A loss at {len(known)} evaluations has no inner maximum. Pass at least 3.")
    dip = deepest_dip(-loss[known])
    first, peak, last = known[[dip.left, dip.bottom, dip.right]]
    return SecondDescent(float(loss[known[0]]), float(loss[first]), float(loss[peak]), float(loss[last]), int(peak))
