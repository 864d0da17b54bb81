"""What this room shares: the error, the schema's versions, statuses, medians in which "never" is an observation."""

import numpy as np

SCHEMA = 2


READS = (1, 2)
"""Schemas that can be read."""


STATUSES = ("finished", "stopped", "diverged", "under way", "not run")


UNFINISHED = ("under way", "not run")
"""Of runs that have not ended: in the result of a sweep that still goes on, or was interrupted."""


REQUIRED = ("step", "status", "last_step", "run_id")
"""Arrays without which nothing below can be computed; the others depend on what was asked of the sweep."""


class ResultError(ValueError):
    """A result that cannot be written, read or asked for what was asked: what, got, why, try."""


def median(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """The median without the NaNs, in which +inf ("never") counts as larger than any number.

    Of an even count the mean of the two middle values, so a finite and an infinite one give inf; none give
    NaN.

    Args:
      values: [...], float.
      axis: the axis or axes to reduce; None is all of them.

    Returns:
      Values with those axes gone, float64.
    """
    values = np.asarray(values, np.float64)
    axes = range(values.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted({a % values.ndim for a in axes})
    rest = [a for a in range(values.ndim) if a not in axes]
    columns = values.transpose([*rest, *axes]).reshape(*(values.shape[a] for a in rest), -1)
    if not columns.shape[-1]:
        return np.full(columns.shape[:-1], np.nan)
    ordered = np.sort(columns, axis=-1)  # NaNs go last
    count = np.sum(~np.isnan(columns), axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, columns.shape[-1] - 1), axis=-1)
    middle = np.where(low == high, low, low / 2 + high / 2)
    return np.where(count > 0, middle, np.nan)[..., 0]


def fill_last(values: np.ndarray, axis: int) -> np.ndarray:
    """`values` with NaNs replaced by the last number before them along `axis`."""
    moved = np.moveaxis(values, axis, -1)
    last = np.maximum.accumulate(np.where(np.isnan(moved), 0, np.arange(moved.shape[-1])), axis=-1)
    return np.moveaxis(np.take_along_axis(moved, last, axis=-1), -1, axis)


def listed(names, most: int = 12) -> str:
    """Names or values in a sentence; the first few of many."""
    names = [f"{n:g}" if isinstance(n, float) else str(n) for n in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
