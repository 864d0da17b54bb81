"""When a curve reaches a level and stays there: the times to 50, 90, 95 and 99 % accuracy.

A training curve touches a level before it holds it, and a spike after grokking falls below it again. A
crossing is therefore the first evaluation at or above the level whose following evaluations, over a window
fixed in steps, have a median at or above it too. What is not reached is censored: +inf, not missing.
"""

import numpy as np
from jaxtyping import Float, Int

LEVELS = (50, 90, 95, 99)
"""The levels stored with every run, in percent."""


def crossing(
    steps: Int[np.ndarray, " evaluations"],
    accuracy: Float[np.ndarray, " evaluations"],
    level: float,
    hold_steps: int,
) -> tuple[float, float]:
    """The first evaluated step at which `accuracy` reaches `level` and holds it, and the evaluation before.

    It is the first s with accuracy(s) >= level such that the evaluations in (s, s + hold_steps], if there are
    any, have a median >= level. The curve truly got there somewhere in (bracket, step].

    `level` is compared in the precision of `accuracy`, so that 9 of 10 rows stored as float32 reach 0.9.

    Args:
      steps: [evaluations], strictly increasing.
      accuracy: [evaluations], in the unit of `level`. NaN means not evaluated, and is left out.
      level: the accuracy to reach, as a fraction (0.99, not 99).
      hold_steps: length of the window, in steps, >= 0.

    Returns:
      (step, bracket), floats: the crossing and the last evaluated step before it. A crossing at the very
      first evaluation is its own bracket. Never reached: (inf, last evaluated step). Never evaluated:
      (nan, nan).

    Raises:
      ValueError: if the shapes differ, steps do not increase, or hold_steps is negative.

    Source: the threshold crossing of the grokking literature; the hold window and the bracket are ours.
    """
    steps, accuracy, level = _evaluated(steps, accuracy, level, hold_steps)
    if not len(steps):
        return float("nan"), float("nan")
    first = _first_held(steps, accuracy, level, hold_steps)
    if first is None:
        return float("inf"), float(steps[-1])
    return float(steps[first]), float(steps[max(first - 1, 0)])


def stop_step(
    steps: Int[np.ndarray, " evaluations"],
    accuracy: Float[np.ndarray, " evaluations"],
    level: float,
    hold_steps: int,
) -> int | None:
    """The first evaluated step at which a crossing is certain, so that a run may stop there.

    A crossing s is certain from the first evaluation t >= s + hold_steps: the windows of s and of every
    earlier candidate lie before t, so no later evaluation can change it. A run stopped at t has the same
    crossing as one that goes on.

    Args:
      steps, accuracy, level, hold_steps: as in `crossing`; the evaluations so far are enough.

    Returns:
      t, or None as long as there is none.

    Raises:
      ValueError: as in `crossing`.
    """
    steps, accuracy, level = _evaluated(steps, accuracy, level, hold_steps)
    first = _first_held(steps, accuracy, level, hold_steps)
    if first is None:
        return None
    certain = np.searchsorted(steps, steps[first] + hold_steps, side="left")
    return int(steps[certain]) if certain < len(steps) else None


def _evaluated(steps, accuracy, level, hold_steps):
    """Checked arrays without the NaNs, and the level rounded as they were, in exact wider types."""
    steps, accuracy = np.asarray(steps), np.asarray(accuracy)
    if steps.ndim != 1 or steps.shape != accuracy.shape:
        raise ValueError(
            f"steps has shape {steps.shape} and accuracy {accuracy.shape}, not one accuracy per evaluated "
            "step. Pass the curve of a single run."
        )
    if hold_steps < 0:
        raise ValueError(f"hold_steps={hold_steps} is negative: it is the length of a window, in steps. Try 0.")
    if np.any(steps[1:] <= steps[:-1]):
        raise ValueError("steps do not strictly increase, so there is no first crossing. Sort the evaluations.")
    if np.issubdtype(accuracy.dtype, np.floating):
        level = accuracy.dtype.type(level)
    known = ~np.isnan(accuracy)
    return steps[known].astype(np.int64), accuracy[known].astype(np.float64), float(level)


def _first_held(steps, accuracy, level, hold_steps) -> int | None:
    """Index of the first evaluation at or above `level` whose window has a median at or above it; None if
    none.

    Counting decides almost every window: the median is at or above the level if more than half of the window
    is, below it if less than half. Exactly half, where the mean of the two middle values decides, is left to
    np.median.
    """
    above = accuracy >= level
    candidates = np.flatnonzero(above)
    if not len(candidates):
        return None
    ends = np.searchsorted(steps, steps[candidates] + hold_steps, side="right")
    sizes = ends - candidates - 1
    counts = np.concatenate([[0], np.cumsum(above)])
    twice = 2 * (counts[ends] - counts[candidates + 1])
    for i in np.flatnonzero(twice >= sizes):
        start, end = candidates[i] + 1, ends[i]
        if not sizes[i] or twice[i] > sizes[i] or np.median(accuracy[start:end]) >= level:
            return int(candidates[i])
    return None
