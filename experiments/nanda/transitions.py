"""When a loss falls, and how abruptly: read off the curves of runs, for the claims and figures on digits and sequences.

Loss counts from that of the best guess that ignores what was read. To learn how often each answer comes is not the
transition that is meant, so what a run loses above that guess is not counted.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from grokjax.analysis.in_context import in_context_score, phase_change

LEARNED = 0.05
"""Share of the loss that is left once everything counts as learned."""

MEMORISED, GENERALISED = 0.1, 1.0
"""Nats a token below which the source counts a training loss, and a test loss."""

EARLY, LATE, POSITIONS = 5, 65, 10
"""Of the in-context score: the first of the predictions at either stretch, counted from 0, and how many; of 84."""


def guesses(answers: int, carry: bool) -> Float[np.ndarray, " answers"]:
    """The loss in nats of the best guess of each digit of a sum; with carry the leading one is 0 or 1."""
    found = np.full(answers, np.log(10.0))
    found[: int(carry)] = np.log(2.0)
    return found


def frequencies(trigrams: int, exponent: float) -> Float[np.ndarray, " trigrams"]:
    """How often each trigram occurs, as `grokjax.tasks.SkipTrigram` draws them."""
    weights = np.arange(1, trigrams + 1) ** -exponent
    return weights / weights.sum()


def capped(loss: Num[np.ndarray, "runs steps"], guess) -> Float[np.ndarray, "runs steps"]:
    """[runs, steps] the loss as a share of that of the best guess, 1 where it is as high or higher.

    Args:
      loss: in nats.
      guess: the loss of the best guess, in nats; a number, or one for each run [runs, 1].
    """
    return np.minimum(np.asarray(loss, np.float64) / guess, 1.0)


def length(step: Num[np.ndarray, " steps"], left: Num[np.ndarray, "runs steps"]) -> Float[np.ndarray, " runs"]:
    """[runs] the step at which what is left of the loss is 5 % or less, or the last one where it never is."""
    came = left <= LEARNED
    return np.where(came.any(1), step[came.argmax(1)], step[-1]).astype(np.float64)


def largest_fall(
    step: Num[np.ndarray, " steps"], left: Num[np.ndarray, "runs steps"], window: Num[np.ndarray, " runs"]
) -> Float[np.ndarray, " runs"]:
    """[runs] the most that is lost within a window of so many steps, wherever it lies; between evaluations a line.

    Args:
      step: evaluated ones, increasing.
      left: share of the loss that is left.
      window: steps, of each run.
    """
    found = []
    for line, steps in zip(left, window, strict=True):
        ahead = line - np.interp(step + steps, step, line)
        behind = np.interp(step - steps, step, line) - line
        found.append(max(ahead.max(), behind.max()))
    return np.array(found)


def falls_to(
    step: Num[np.ndarray, " steps"], left: Num[np.ndarray, "runs steps"], level: float
) -> Float[np.ndarray, " runs"]:
    """[runs] the step at which what is left first is at a level, on the line between evaluations; +inf if never."""
    below = left <= level
    found = np.full(len(left), np.inf)
    for run in np.flatnonzero(below.any(1)):
        at = int(below[run].argmax())
        if at == 0:
            found[run] = step[0]
        else:
            high, low = left[run, at - 1], left[run, at]
            found[run] = step[at - 1] + (step[at] - step[at - 1]) * (high - level) / (high - low)
    return found


def first_below(
    step: Num[np.ndarray, " steps"], loss: Num[np.ndarray, "runs steps"], nats: float
) -> tuple[Float[np.ndarray, " runs"], Float[np.ndarray, " runs"]]:
    """[runs] the first evaluated step at which a loss is below a level, and the one before; never: +inf, the last."""
    below = loss < nats
    at, came = below.argmax(1), below.any(1)
    return np.where(came, step[at], np.inf), np.where(came, step[np.maximum(at - 1, 0)], step[-1]).astype(np.float64)


def stretches(predictions: int) -> tuple[int, int, int]:
    """EARLY, LATE and POSITIONS of a sequence with another number of predictions: the same shares of it."""
    return tuple(max(1, place * predictions // 84) for place in (EARLY, LATE, POSITIONS))


def score_and_window(
    step: Num[np.ndarray, " steps"], losses: Num[np.ndarray, "positions runs steps"]
) -> tuple[Float[np.ndarray, "runs steps"], xr.Dataset]:
    """The in-context score over steps, and its phase-change window, as `grokjax.analysis.in_context` has them."""
    score = in_context_score(np.moveaxis(losses, 0, -1), *stretches(len(losses))).values
    return score, phase_change(step, score)
