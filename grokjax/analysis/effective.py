"""Effective learning rate and gradient of scale-invariant weights, and what weight decay alone makes of them.

If log p(y|x, C theta) = log p(y|x, theta) for every C > 0, only the direction theta/|theta| matters. A step of SGD on
theta is a step on the unit sphere with learning rate eta/|theta|^2 and gradient g |theta|. The gradient is orthogonal
to theta, so that SGD with L2 regularisation, theta' = (1 - eta lambda) theta - eta g, obeys exactly

    |theta'|^2 = (1 - eta lambda)^2 |theta|^2 + eta^2 |g|^2.

While gradients are small the norm decays, ln(eta/|theta|^2) rises by 2 eta lambda per step, and the network becomes
less and less stable; a jump of the gradient then enlarges the norm again. Source: definition and saw-tooth, Melnik et
al.; the recurrence and the equilibrium, van Laarhoven 2017, arXiv:1706.05350, and Wan et al. 2021, arXiv:2006.08419.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Num
from scipy import stats

from grokjax import results
from grokjax.analysis.statistics import CONFIDENCE, Estimate

Values = np.ndarray | xr.DataArray | float


def effective_learning_rate(learning_rate: Values, weight_norm: Values) -> Values:
    """eta/|theta|^2, the learning rate on the unit sphere; any shapes that broadcast."""
    return learning_rate / weight_norm**2


def effective_gradient(gradient_norm: Values, weight_norm: Values) -> Values:
    """|g| |theta|, the norm of the gradient on the unit sphere; any shapes that broadcast."""
    return gradient_norm * weight_norm


def angular_step(rate: Values, gradient: Values, learning_rate: Values = 0.0, weight_decay: Values = 0.0) -> Values:
    """The angle between scale-invariant weights before and after a step of SGD with L2, in radians.

    The gradient is orthogonal to the weights, hence tan(angle) = eta |g| / ((1 - eta lambda) |theta|).

    Args:
      rate: effective learning rate.
      gradient: effective gradient.
      learning_rate, weight_decay: eta and lambda; 0 leaves the decay out, which changes little.
    """
    return np.arctan(rate * gradient / (1 - learning_rate * weight_decay))


def equilibrium_angular_step(learning_rate: Values, weight_decay: Values) -> Values:
    """sqrt(2 eta lambda), the angular step at which decay and gradient balance, in radians.

    Where |theta'| = |theta| the recurrence gives cos(angle) = 1 - eta lambda exactly; this is its leading term.
    """
    return np.sqrt(2 * learning_rate * weight_decay)


def decay_slope(learning_rate: Values, weight_decay: Values) -> Values:
    """-2 ln(1 - eta lambda), about 2 eta lambda: the rise per step of ln(eta/|theta|^2) where gradients vanish."""
    return -2 * np.log1p(-learning_rate * weight_decay)


def norm_of(grid: xr.Dataset, name: str, tensors: Sequence[str] | None = None) -> xr.DataArray:
    """The norm of several tensors together, from their norms one by one.

    Args:
      grid: a result with the metric `name`, such as 'tensor_norms' or 'tensor_gradient_norms'.
      name: the metric.
      tensors: paths such as 'block_0.mlp_in.kernel'; None: all.

    Returns:
      [axes..., step], sqrt(sum of squares). Mean norms of gradients combine to at most the mean norm of the whole.

    Raises:
      ResultError: if the grid lacks the metric or a tensor.
    """
    stored = [str(curve)[len(name) + 1 :] for curve in grid.data_vars if str(curve).startswith(f"{name}.")]
    if not stored:
        raise results.ResultError(
            f"The result has no curves {name}.*, the norms tensor by tensor. Run its sweep with --metrics={name}."
        )
    if unknown := [tensor for tensor in tensors or () if tensor not in stored]:
        raise results.ResultError(f"The result has no {name}.{unknown[0]}. It has: {', '.join(stored)}.")
    chosen = stored if tensors is None else tensors
    return np.sqrt(sum(grid[f"{name}.{tensor}"].astype(np.float64) ** 2 for tensor in chosen))


def of_grid(grid: xr.Dataset, tensors: Sequence[str] | None = None, learning_rate: Values | None = None) -> xr.Dataset:
    """Effective learning rate and gradient over training, of all weights or of some tensors.

    Args:
      grid: a result. For all weights it needs the metrics `weight_norm` and `gradient_norm`; for some of them,
        `tensor_norms` and `tensor_gradient_norms`.
      tensors: paths of the tensors to take together; None: all weights. `grokjax.analysis.invariance` finds those that
        are scale-invariant.
      learning_rate: eta; None: the grid's own.

    Returns:
      A dataset [axes..., step]: `weight_norm`, `gradient_norm`, `effective_learning_rate`, `effective_gradient`.

    Raises:
      ResultError: if the grid lacks a metric, a tensor or the learning rate.
    """
    if tensors is None and {"weight_norm", "gradient_norm"} <= set(grid.data_vars):
        weight, gradient = grid["weight_norm"].astype(np.float64), grid["gradient_norm"].astype(np.float64)
    else:
        weight, gradient = norm_of(grid, "tensor_norms", tensors), norm_of(grid, "tensor_gradient_norms", tensors)
    eta = setting_of(grid, "learning_rate") if learning_rate is None else learning_rate
    measured = {
        "weight_norm": (weight, "norm of the weights"),
        "gradient_norm": (gradient, "norm of the gradient"),
        "effective_learning_rate": (effective_learning_rate(eta, weight), "effective learning rate"),
        "effective_gradient": (effective_gradient(gradient, weight), "norm of the effective gradient"),
    }
    return xr.Dataset(
        {
            name: value.transpose(*weight.dims).assign_attrs(long_name=text, units="1")
            for name, (value, text) in measured.items()
        }
    )


def setting_of(grid: xr.Dataset, name: str) -> xr.DataArray | float:
    """A setting of the grid's runs: a coordinate [axes...] where it varies, a number where all runs share it.

    Raises:
      ResultError: if the grid says neither.
    """
    if name in grid.coords:
        return grid[name]
    shared = json.loads(grid.attrs.get("meta", "{}")).get("config", {})
    if shared.get(name) is None:
        raise results.ResultError(f"The result does not say its {name}. Pass it as an argument.")
    return shared[name]


class Slopes(NamedTuple):
    """Straight lines through the stretches between jumps.

    Attributes:
      start, stop: [stretches], evaluations; both belong to the stretch.
      slope: [stretches], per step.
      weight: [stretches], sum of squared distances of the steps from their mean, on which a slope's precision rests.
    """

    start: Int[np.ndarray, " stretches"]
    stop: Int[np.ndarray, " stretches"]
    slope: Float[np.ndarray, " stretches"]
    weight: Float[np.ndarray, " stretches"]


def slopes_between(
    steps: Num[np.ndarray, " evaluations"],
    values: Float[np.ndarray, " evaluations"],
    start: Int[np.ndarray, " jumps"],
    stop: Int[np.ndarray, " jumps"],
    least: int = 3,
) -> Slopes:
    """Least-squares slopes of `values` from the end of each jump to the start of the next.

    What lies before the first jump and after the last is left out: nothing says that it is a whole stretch.

    Args:
      steps: [evaluations], increasing.
      values: [evaluations], e.g. ln of the effective learning rate.
      start, stop: [jumps], the evaluations between which each jump happens, as in `events.jumps`.
      least: evaluations that a stretch needs to count.

    Returns:
      The stretches in order.
    """
    found = []
    for first, last in zip(stop[:-1], start[1:], strict=True):
        if last - first + 1 < max(least, 2):
            continue
        x = np.asarray(steps[first : last + 1], np.float64)
        y = np.asarray(values[first : last + 1], np.float64)
        x = x - x.mean()
        found.append((first, last, x @ (y - y.mean()) / (x @ x), x @ x))
    columns = np.array(found, np.float64).reshape(-1, 4).T
    return Slopes(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2], columns[3])


def common_slope(slopes: Slopes, null: float = 0.0) -> Estimate:
    """One slope for all stretches, each with a level of its own.

    The weighted mean of the stretches' slopes is the least-squares solution; its interval is Student's t over the
    stretches, so that noise within a stretch may be correlated.

    Args:
      slopes: of the stretches, of one run or of several.
      null: the slope that the p-value is against, e.g. `decay_slope(eta, lambda)`.

    Returns:
      The estimate per step; of one stretch in an unbounded interval, of none NaN.
    """
    n = len(slopes.slope)
    if not n:
        return Estimate(np.nan, -np.inf, np.inf, 1.0, 0, np.nan)
    share = slopes.weight / slopes.weight.sum()
    value = float(share @ slopes.slope)
    if n == 1:
        return Estimate(value, -np.inf, np.inf, 1.0, 1, value)
    error = float(np.sqrt((share**2 @ (slopes.slope - value) ** 2) * n / (n - 1)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    p_value = float(2 * stats.t.sf(abs(value - null) / error, n - 1) if error else value == null)
    return Estimate(value, value - reach, value + reach, p_value, n, value)
