"""How often a curve turns: the repeated switching of semi-grokking between memorising and generalising."""

import numpy as np
from jaxtyping import Int, Num

from grokjax.analysis.events import ROUNDING


def turns(accuracy: Num[np.ndarray, " evaluations"], size: float = 0.2) -> Int[np.ndarray, " turns"]:
    """The evaluations at which a curve turns, for moves of at least `size`.

    The curve is cut into moves up and down, each at least `size` long; smaller ones within are passed over. A turn is
    the highest or lowest evaluation between two moves. A curve that only rises has none.

    Args:
      accuracy: [evaluations], NaN left out.
      size: of the least move, in the unit of `accuracy`.

    Returns:
      [turns], their indices, alternately high and low.
    """
    accuracy = np.asarray(accuracy, np.float64)
    known = np.flatnonzero(~np.isnan(accuracy))
    found, direction = [], 0
    high = low = known[0] if len(known) else 0
    for i in known:
        if accuracy[i] > accuracy[high]:
            high = i
        if accuracy[i] < accuracy[low]:
            low = i
        if direction >= 0 and accuracy[high] - accuracy[i] >= size - ROUNDING:
            found += [high] * (direction > 0)
            direction, low = -1, i
        elif direction <= 0 and accuracy[i] - accuracy[low] >= size - ROUNDING:
            found += [low] * (direction < 0)
            direction, high = 1, i
    return np.array(found, np.int64)


def switches(accuracy: Num[np.ndarray, "*runs evaluations"], size: float = 0.2) -> Int[np.ndarray, "*runs"]:
    """[runs...] the number of `turns` of each run. Compare groups of runs by a rank test."""
    accuracy = np.asarray(accuracy)
    counts = [len(turns(run, size)) for run in accuracy.reshape(-1, accuracy.shape[-1])]
    return np.array(counts, np.int64).reshape(accuracy.shape[:-1])
