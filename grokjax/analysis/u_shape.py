"""Whether a curve over model size has a U, how deep it is, and whether a monotone curve would show one as deep."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from grokjax.analysis.statistics import Estimate, location


class Dip(NamedTuple):
    """The deepest dip of one curve.

    Attributes:
      depth: how far the bottom lies below the lower of the highest points on its left and on its right. Not positive
        for a monotone curve.
      left, bottom, right: points.
    """

    depth: float
    left: int
    bottom: int
    right: int


class UShape(NamedTuple):
    """The U of several runs.

    Attributes:
      mean: the deepest dip of the mean over seeds. Noise alone makes it positive.
      depth: how deep each seed is where the other seeds' mean has its dip, so that no seed chooses its own: the mean
        over seeds with Student's interval.
      depths: [seeds], the same one by one; compare two arms by their difference.
      p_value: the share of curves that are monotone but for noise with a dip of the mean at least as deep.
    """

    mean: Dip
    depth: Estimate
    depths: Float[np.ndarray, " seeds"]
    p_value: float


def deepest_dip(curve: Float[np.ndarray, " points"]) -> Dip:
    """The deepest dip of a curve of at least 3 points."""
    curve = np.asarray(curve, np.float64)
    bottom = 1 + int(_depths(curve).argmax())
    return Dip(
        float(_depths(curve)[bottom - 1]),
        int(curve[:bottom].argmax()),
        bottom,
        bottom + 1 + int(curve[bottom + 1 :].argmax()),
    )


def u_shape(values: Float[np.ndarray, "seeds points"], seed: int, num_draws: int = 999) -> UShape:
    """The depth of the U with its interval, and its p-value against a monotone fit.

    The null is the increasing fit to the mean, for a larger model does better where there is no U, plus the error of a
    mean of so few seeds: Student's t times the point's own standard error. (Random signs for the seeds' own distances
    from the mean call one in eight monotone curves of three seeds a U.)

    Args:
      values: [seeds, points], e.g. final validation accuracy over increasing width; without NaN.
      seed: of the draws.
      num_draws: of the null.

    Raises:
      ValueError: for fewer than 3 points or 2 seeds, or a NaN.

    Source: isotonic regression by `scipy.optimize.isotonic_regression`; the statistic is ours.
    """
    values = np.asarray(values, np.float64)
    num_seeds, points = values.shape
    if points < 3 or num_seeds < 2 or np.isnan(values).any():
        raise ValueError(
            f"{num_seeds} seeds at {points} points, or a NaN among them: a U needs 3 points and 2 seeds at each. "
            "Leave out points that did not run."
        )
    mean = values.mean(axis=0)
    depths = np.array([_depth_of_one(run, np.delete(values, i, 0).mean(axis=0)) for i, run in enumerate(values)])
    dip = deepest_dip(mean)
    error = values.std(axis=0, ddof=1) / np.sqrt(num_seeds)
    noise = np.random.default_rng(seed).standard_t(num_seeds - 1, (num_draws, points)) * error
    null = _depths(optimize.isotonic_regression(mean).x + noise).max(axis=-1)
    p_value = (1 + np.sum(null >= dip.depth)) / (1 + num_draws)
    return UShape(dip, location(depths), depths, float(p_value))


def _depths(curves):
    """[..., points - 2]: how deep each inner point lies below the highest points on either side."""
    left = np.maximum.accumulate(curves, axis=-1)[..., :-2]
    right = np.maximum.accumulate(curves[..., ::-1], axis=-1)[..., ::-1][..., 2:]
    return np.minimum(left, right) - curves[..., 1:-1]


def _depth_of_one(run, others) -> float:
    dip = deepest_dip(others)
    shoulder = min(dip.left, dip.right, key=lambda point: others[point])
    return run[shoulder] - run[dip.bottom]
