"""Learning from the context: how much lower a sequence's loss is late than early, and when that comes about."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Num

from grokjax.analysis import named

SPAN = 0.25
"""Natural logarithm of the steps over which a slope is taken, to either side."""

HALF = 0.5
"""Of the steepest slope; the window is where the score falls at least as fast."""


def in_context_score(losses: Num[Any, "*batch position"], early: int, late: int, width: int = 1) -> xr.DataArray:
    """Loss late in the sequence minus loss early in it: 0 if the context does not help, negative if it does.

    Args:
      losses: per position of the sequence, a mean over sequences.
      early, late: positions, counted from 0; negative ones from the end.
      width: positions from each on that are averaged.

    Returns:
      [...], in nats.

    Raises:
      ValueError: for positions beyond the sequence, or in the wrong order.

    Source: Olsson et al. 2022, arXiv:2209.11895, whose positions are 50 and 500.
    """
    array, before = named.leading(losses, 1)
    length = array.shape[-1]
    first, last = (place % length if -length <= place < length else length for place in (early, late))
    if width < 1 or first + width > last or last + width > length:
        raise ValueError(
            f"early={early} and late={late} with width={width} are not two stretches of a sequence of {length} "
            f"positions, one after the other. Try early={length // 10}, late={length - 1 - length // 10}, width=1."
        )
    array = array.astype(np.float64)
    score = array[..., last : last + width].mean(-1) - array[..., first : first + width].mean(-1)
    return before.labelled(score, {}, "in-context score", "nat")


def phase_change(step: Int[Any, " step"], score: Float[Any, "*runs step"]) -> xr.Dataset:
    """The window in which the in-context score falls: around its steepest fall, where it is at least half as steep.

    Slopes are taken against the logarithm of the step, over a factor exp(0.5) centred on each step, so that they do not
    depend on how densely a run was evaluated.

    Args:
      step: the evaluated steps, increasing; step 0 is left out.
      score: by `in_context_score`; NaN where not evaluated.

    Returns:
      A dataset [...]: `start` and `end` of the window, steps, `fall` within it, in nats, and `share` of the whole
      fall, from the first score to the lowest after it, NaN where none is lower. All are NaN where the score never
      falls, or has fewer than 3 steps.

    Source: the window of Olsson et al. 2022, arXiv:2209.11895, was chosen by eye; the rule is ours.
    """
    steps = np.asarray(step)
    array, before = named.leading(score, 1)
    names = ("start", "end", "fall", "share")
    found = np.full((*before.shape, len(names)), np.nan)
    for index in np.ndindex(*before.shape):
        found[index] = _window(steps, array[index].astype(np.float64))
    texts = ("start of the phase change", "end of the phase change", "fall of the score in it", "share of its fall")
    units = ("step", "step", "nat", "1")
    columns = {name: before.labelled(found[..., i], {}, texts[i], units[i]) for i, name in enumerate(names)}
    return xr.Dataset(columns)


def _window(steps, score) -> tuple[float, float, float, float]:
    """Start, end, fall and share of one curve's phase change."""
    known = ~np.isnan(score) & (steps > 0)
    steps, score = steps[known], score[known]
    time = np.log(steps)
    nothing = (np.nan,) * 4
    if len(score) < 3:
        return nothing
    left, right = np.maximum(time - SPAN, time[0]), np.minimum(time + SPAN, time[-1])
    slope = (np.interp(right, time, score) - np.interp(left, time, score)) / (right - left)
    steepest = int(np.argmin(slope))
    if slope[steepest] >= 0:
        return nothing
    steep = slope <= HALF * slope[steepest]
    first = steepest - np.argmin(np.append(steep[steepest::-1], False)) + 1
    last = steepest + np.argmin(np.append(steep[steepest:], False)) - 1
    fall, whole = score[first] - score[last], score[0] - score.min()
    return float(steps[first]), float(steps[last]), float(fall), float(fall / whole) if whole else np.nan
