"""Which kind of dynamics a run shows: from confusion and progression to memorisation, semi-grokking and grokking.

Source: the kinds are those of Huang et al. 2024, arXiv:2402.15175, and Liu et al. 2022, arXiv:2205.10343; Huang et al.
call memorisation "ungrokking". The thresholds are ours.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from grokjax.analysis.statistics import Estimate, share
from grokjax.results import UNFINISHED

LABELS = (
    "diverged",
    "confusion",
    "progression",
    "memorisation",
    "semi-grokking",
    "comprehension",
    "grokking",
)
"""The kinds, in the order in which they are tested."""

FINAL_SHARE = 0.01
"""The last part of a run over which its final accuracy is the mean."""

MEMORISED, BEGUN, GENERALISED = 0.99, 0.1, 0.95
"""Training accuracy, and validation accuracies, that count."""


def final(steps: Num[np.ndarray, " evaluations"], accuracy: Float[np.ndarray, " evaluations"]) -> np.floating:
    """The mean over the evaluations in the last 1 % of the steps, NaN left out; in the curve's precision."""
    accuracy = np.asarray(accuracy)
    known = ~np.isnan(accuracy)
    steps, accuracy = np.asarray(steps)[known], accuracy[known]
    if not len(steps):
        return accuracy.dtype.type(np.nan)
    last = steps > (1 - FINAL_SHARE) * steps[-1]
    last[-1] = True
    return accuracy.dtype.type(accuracy[last].mean(dtype=np.float64))


def classify(
    steps: Num[np.ndarray, " evaluations"],
    train_accuracy: Float[np.ndarray, " evaluations"],
    val_accuracy: Float[np.ndarray, " evaluations"],
    steps_to_train_99: float,
    steps_to_val_99: float,
    diverged: bool = False,
) -> str:
    """The kind of one run; the first that holds of

        diverged        it did
        confusion       training accuracy never reaches .99, and final validation accuracy is below .1
        progression     validation accuracy reaches .1 before training accuracy has ever reached .99
        memorisation    final validation accuracy below .1
        semi-grokking   below .95
        comprehension   validation takes at most twice as long to .99 as training
        grokking        it takes longer

    Args:
      steps: [evaluations], increasing.
      train_accuracy, val_accuracy: [evaluations], NaN where not evaluated.
      steps_to_train_99, steps_to_val_99: crossings, held, as a result stores them; +inf: never. Where neither is ever
        held there is no delay to see, and the run counts as comprehension.
      diverged: whether the run did.

    Returns:
      One of `LABELS`. Levels are compared in the precision of the curves: .95 stored as float32 is .95.
    """
    if diverged:
        return "diverged"
    ends = final(steps, val_accuracy)
    fitted, begun = _first(train_accuracy, MEMORISED), _first(val_accuracy, BEGUN)
    if fitted == np.inf and ends < BEGUN:
        return "confusion"
    if begun < fitted:
        return "progression"
    if ends < BEGUN:
        return "memorisation"
    if ends < GENERALISED:
        return "semi-grokking"
    return "comprehension" if steps_to_val_99 <= 2 * steps_to_train_99 else "grokking"


def _first(accuracy, level) -> float:
    """The first evaluation at or above a level; inf where none is."""
    reached = np.flatnonzero(accuracy >= level)
    return float(reached[0]) if len(reached) else np.inf


def of_grid(grid: xr.Dataset) -> xr.DataArray:
    """The kind of each run of a result.

    Args:
      grid: a dataset from `grokjax.load`, filled or not.

    Returns:
      [axes...] text, one of `LABELS`; '' where a run has not ended.
    """
    status = grid["status"]
    curves = [grid[f"{part}_accuracy"].transpose(*status.dims, "step").values for part in ("train", "val")]
    crossings = [grid[f"steps_to_{part}_99"].transpose(*status.dims).values for part in ("train", "val")]
    last = grid["last_step"].transpose(*status.dims).values
    labels = np.full(status.shape, "", f"<U{max(map(len, LABELS))}")
    for run in np.ndindex(status.shape):
        if status.values[run] in UNFINISHED:
            continue
        done = grid["step"].values <= last[run]
        labels[run] = classify(
            grid["step"].values[done],
            *(curve[run][done] for curve in curves),
            *(float(crossing[run]) for crossing in crossings),
            diverged=bool(status.values[run] == "diverged"),
        )
    return status.copy(data=labels).rename("dynamics").assign_attrs(long_name="dynamics", units="1")


def shares(labels: Sequence[str] | np.ndarray) -> dict[str, Estimate]:
    """The share of runs of each kind, with its exact interval; runs without a label are left out."""
    labels = np.asarray(labels).ravel()
    ended = labels[labels != ""]
    return {label: share(ended == label) for label in LABELS}
