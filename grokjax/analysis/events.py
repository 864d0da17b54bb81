"""Dips and jumps of curves, and whether two series of such events coincide."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy import signal

ROUNDING = 1e-6
"""Slack of a threshold: accuracies are stored as float32, and .95 is not exactly .05 below 1."""

RECOVERY = 0.8
"""The share of its depth by which a curve comes back between two dips that are not one."""


class Events(NamedTuple):
    """What happens in a curve, in order.

    Attributes:
      index: [events], the evaluation of the event: the bottom of a dip, the end of a jump's steepest increment.
      start, stop: [events], the evaluations between which it happens.
      size: [events], how deep or how high, > 0, in the curve's unit.
    """

    index: Int[np.ndarray, " events"]
    start: Int[np.ndarray, " events"]
    stop: Int[np.ndarray, " events"]
    size: Float[np.ndarray, " events"]


def dips(accuracy: Num[np.ndarray, " evaluations"], depth: float = 0.05, first: int = 0) -> Events:
    """Where a curve falls by at least `depth` and rises by as much again.

    A dip is a minimum whose prominence is at least `depth`; a fall that the curve does not recover from is not one, nor
    is what the curve shows before it has first been high. Two minima are one dip, the deeper one, where the curve comes
    back by less than `RECOVERY` of its depth between them.

    Args:
      accuracy: [evaluations], without NaN.
      depth: in the unit of `accuracy`; 0.05 is five points.
      first: evaluation from which on to look, e.g. that of memorisation.

    Returns:
      The dips: `index` the bottom (the middle of a flat one), `start` and `stop` where the curve passes half its depth.

    Raises:
      ValueError: for a NaN, or a depth that is not positive.
    """
    values = _finite(accuracy)[first:]
    if not depth > 0:
        raise ValueError(f"depth={depth} must be positive: it is the least depth of a dip. Try 0.05.")
    bottoms, found = signal.find_peaks(-values, prominence=depth - ROUNDING, width=0, rel_height=0.5)
    edges = np.floor(found["left_ips"]), np.ceil(found["right_ips"])
    kept = []
    for dip in zip(bottoms, *edges, found["prominences"], strict=True):
        if kept and _are_one(values, kept[-1], dip):
            before = kept.pop()
            deeper = min(before, dip, key=lambda one: values[one[0]])
            dip = (deeper[0], before[1], dip[2], deeper[3])
        kept.append(dip)
    columns = np.array(kept, np.float64).reshape(-1, 4).T
    return Events(*(columns[:3].astype(np.int64) + first), columns[3])


def _are_one(values, before, after) -> bool:
    """Whether a curve does not come back between two minima, each (index, start, stop, size)."""
    top = values[before[0] : after[0]].max()
    bottom = min(values[before[0]], values[after[0]])
    return bool(top - bottom < RECOVERY * max(before[3], after[3]))


def jumps(
    values: Num[np.ndarray, " evaluations"], size: float | None = None, within: int = 1, upward: bool = True
) -> Events:
    """Where a curve changes by at least `size` within a few evaluations.

    Args:
      values: [evaluations], without NaN; the logarithm of what is positive.
      size: in the unit of `values`; None: six robust standard deviations of the curve's own changes.
      within: evaluations that a jump may take.
      upward: whether the curve jumps up; else down.

    Returns:
      The jumps. Overlapping ones are one, from its lowest to its highest value (upward).

    Raises:
      ValueError: for a NaN, a size that is not positive, or a curve without changes whose size is to be found.
    """
    rising = _finite(values) * (1 if upward else -1)
    if within < 1:
        raise ValueError(f"within={within} must be at least 1: it is the number of evaluations of a jump. Try 1.")
    change = rising[within:] - rising[:-within]
    if size is None:
        size = 6 * 1.4826 * float(np.median(np.abs(change - np.median(change)))) if len(change) else np.inf
    if not size > 0:
        raise ValueError(f"size={size} must be positive: it is the least size of a jump. Give one in the curve's unit.")
    large = np.flatnonzero(change >= size - ROUNDING)
    found = []
    for run in np.split(large, np.flatnonzero(np.diff(large) > within) + 1) if len(large) else ():
        first, last = run[0], run[-1] + within
        index = first + 1 + int(np.argmax(np.diff(rising[first : last + 1])))
        start = index - 1 - int(np.argmin(rising[first:index][::-1]))
        stop = index + int(np.argmax(rising[index : last + 1]))
        found.append((index, start, stop, rising[stop] - rising[start]))
    columns = np.array(found, np.float64).reshape(-1, 4).T
    return Events(*columns[:3].astype(np.int64), columns[3])


class Coincidence(NamedTuple):
    """How often events of one series come with events of another.

    Attributes:
      hits: events of the first series with one of the second near by.
      events, others: events of the first and of the second series.
      expected: hits at a random circular shift, the mean over all of them.
      p_value: the share of all circular shifts, none included, with at least as many hits.
    """

    hits: int
    events: int
    others: int
    expected: float
    p_value: float


def coincidence(
    events: Int[np.ndarray, " events"], others: Int[np.ndarray, " others"], evaluations: int, tolerance: int = 1
) -> Coincidence:
    """Whether `events` come with `others`, against every circular shift of the latter.

    A shift keeps the number of events of both series and the gaps between them, and breaks what relates one to the
    other. All shifts are counted, so that nothing is drawn. Where both series are regular with the same period of T
    evaluations, about (2 tolerance + 1)/T of all shifts hit as often: evaluate often enough for that to be small.

    Args:
      events, others: evaluations at which they happen, equally spaced in steps.
      evaluations: of the whole curve.
      tolerance: evaluations by which a pair may differ, either way.

    Returns:
      The count; the p-value of a series without events is 1.

    Raises:
      ValueError: for an event outside of the curve.
    """
    hits = hits_by_lag(events, others, evaluations, tolerance)
    p_value = float(np.mean(hits >= hits[0])) if len(events) and len(others) else 1.0
    return Coincidence(int(hits[0]), len(events), len(others), float(hits.mean()), p_value)


class Lag(NamedTuple):
    """By how much one series of events follows another.

    Attributes:
      lag: evaluations by which `others` come after `events`; negative: before.
      hits: events with one of the others near by, at this lag.
      p_value: the share of all circular shifts whose best lag within the same range hits at least as often; where no
        other range does, (2 largest + 1)/evaluations.
    """

    lag: int
    hits: int
    p_value: float


def best_lag(
    events: Int[np.ndarray, " events"],
    others: Int[np.ndarray, " others"],
    evaluations: int,
    largest: int,
    tolerance: int = 1,
) -> Lag:
    """The lag, up to `largest` either way, at which the series coincide best, and whether that is more than luck.

    Of several lags that hit alike, the middle one of the longest stretch that is nearest to 0.

    Args:
      events, others, evaluations, tolerance: as in `coincidence`.
      largest: largest lag, in evaluations; less than half of the curve.
    """
    if not 0 <= 2 * largest < evaluations:
        raise ValueError(f"largest={largest} must lie between 0 and half of the {evaluations} evaluations.")
    hits = hits_by_lag(events, others, evaluations, tolerance)
    around = np.take(hits, np.arange(-largest, largest + 1), mode="wrap")
    best = np.flatnonzero(around == around.max())
    stretches = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    middles = [int(stretch[len(stretch) // 2]) - largest for stretch in stretches]
    longest = max(map(len, stretches))
    lag = min((m for m, s in zip(middles, stretches, strict=True) if len(s) == longest), key=abs)
    wrapped = np.pad(hits, largest, mode="wrap")
    maxima = np.lib.stride_tricks.sliding_window_view(wrapped, 2 * largest + 1).max(axis=-1)
    p_value = float(np.mean(maxima >= around.max())) if len(events) and len(others) else 1.0
    return Lag(lag, int(around.max()), p_value)


def hits_by_lag(
    events: Int[np.ndarray, " events"], others: Int[np.ndarray, " others"], evaluations: int, tolerance: int = 1
) -> Int[np.ndarray, " evaluations"]:
    """[evaluations]: events that have one of `others`, shifted back by each lag 0, 1 ... circularly, near by."""
    for series in (events, others):
        if len(series) and (series.min() < 0 or series.max() >= evaluations):
            raise ValueError(f"An event lies outside of the curve's {evaluations} evaluations. Pass their indices.")
    near = _marked(others, evaluations)
    near = np.any([np.roll(near, shift) for shift in range(-tolerance, tolerance + 1)], axis=0)
    spectrum = np.conj(np.fft.rfft(_marked(events, evaluations))) * np.fft.rfft(near)
    return np.rint(np.fft.irfft(spectrum, evaluations)).astype(np.int64)


def _marked(events, evaluations) -> Bool[np.ndarray, " evaluations"]:
    marked = np.zeros(evaluations, bool)
    marked[np.asarray(events, np.int64)] = True
    return marked


def _finite(values) -> Float[np.ndarray, " evaluations"]:
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise ValueError("There is a NaN in the curve. Leave out what was not evaluated.")
    return values
