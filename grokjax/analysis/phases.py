"""The three phases of a run that groks: memorisation, circuit formation, clean-up."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from grokjax.analysis import named
from grokjax.analysis.crossings import crossing

MEMORISED = 0.99
"""Training accuracy at which memorisation ends."""

NEAR_PEAK = 0.95
"""Of the peak of the test loss: circuit formation ends when it was last as high."""

NEAR_END = 1.5
"""Times the final test loss: clean-up ends when it is as low."""


def phases(
    step: Int[Any, " step"],
    train_accuracy: Float[Any, "*runs step"],
    test_loss: Float[Any, "*runs step"],
    hold_steps: int = 0,
) -> xr.Dataset:
    """When each phase of a run ends.

    Memorisation ends at the crossing of 99 % training accuracy; circuit formation when the test loss starts to fall,
    the last evaluation within 5 % of its peak; clean-up at the first evaluation after that with a test loss of at most
    1.5 times the final one.

    Args:
      step: the evaluated steps, increasing.
      train_accuracy: in eval mode; NaN where not evaluated.
      test_loss: of all rows that do not train; NaN where not evaluated.
      hold_steps: of the crossing, see `grokjax.analysis.crossings`.

    Returns:
      A dataset of steps [...]: `memorisation_end`, `circuit_formation_end` and `cleanup_end`. +inf where a phase has
      not ended: the accuracy was never reached, or the test loss has not fallen. NaN where nothing was evaluated.

    Source: Nanda et al. 2023, arXiv:2301.05217; the thresholds are ours.
    """
    steps = np.asarray(step)
    loss, before = named.leading(test_loss, 1)
    accuracy = before.spread(train_accuracy, 1, "train_accuracy")
    names = ("memorisation_end", "circuit_formation_end", "cleanup_end")
    found = {name: np.full(before.shape, np.nan) for name in names}
    for index in np.ndindex(*before.shape):
        found[names[0]][index] = crossing(steps, accuracy[index], MEMORISED, hold_steps)[0]
        found[names[1]][index], found[names[2]][index] = _falls(steps, loss[index])
    texts = ("end of memorisation", "end of circuit formation", "end of clean-up")
    return xr.Dataset({n: before.labelled(found[n], {}, text, "step") for n, text in zip(names, texts, strict=True)})


def _falls(steps, loss) -> tuple[float, float]:
    """When a loss was last near its peak, and when it first came near its end."""
    known = ~np.isnan(loss)
    steps, loss = steps[known], loss[known].astype(np.float64)
    if not len(loss):
        return np.nan, np.nan
    last = np.flatnonzero(loss >= NEAR_PEAK * loss.max())[-1]
    if last == len(loss) - 1:
        return np.inf, np.inf
    low = np.flatnonzero(loss[last + 1 :] <= NEAR_END * loss[-1])[0] + last + 1
    return float(steps[last]), float(steps[low])
