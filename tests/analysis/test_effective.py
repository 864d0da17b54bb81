"""Effective learning rate and gradient: the recurrence of SGD with L2, its equilibrium, and slopes between jumps."""

import math

import numpy as np
import pytest
import xarray as xr

from grokjax import metrics, results
from grokjax.analysis import effective, events

RATE, DECAY = 0.1, 0.05
TARGET = np.array([[2.0, 0.3, -0.5], [0.3, -1.0, 0.4], [-0.5, 0.4, 0.7]])


def loss_gradient(theta, noise=0.0):
    """Of the Rayleigh quotient theta' A theta / |theta|^2, which depends on the direction of theta alone."""
    square = theta @ theta
    matrix = TARGET + noise
    return 2 * (matrix @ theta - (theta @ matrix @ theta) / square * theta) / square


def sgd(steps, noise=0.0, seed=0):
    """[steps + 1] norms of the weights and [steps] norms of gradients and angles of SGD with L2."""
    rng = np.random.default_rng(seed)
    theta, norms, gradients, angles = np.array([1.0, 0.8, -0.4]), [], [], []
    for _ in range(steps):
        disturbance = rng.standard_normal((3, 3)) * noise
        gradient = loss_gradient(theta, disturbance + disturbance.T)
        after = theta - RATE * (gradient + DECAY * theta)
        norms.append(np.linalg.norm(theta))
        gradients.append(np.linalg.norm(gradient))
        angles.append(math.acos(theta @ after / np.linalg.norm(theta) / np.linalg.norm(after)))
        theta = after
    return np.array([*norms, np.linalg.norm(theta)]), np.array(gradients), np.array(angles)


def test_the_norm_of_scale_invariant_weights_obeys_the_recurrence_exactly():
    norms, gradients, _ = sgd(200, noise=1.0)
    expected = (1 - RATE * DECAY) ** 2 * norms[:-1] ** 2 + RATE**2 * gradients**2
    np.testing.assert_allclose(norms[1:] ** 2, expected, rtol=1e-13)


def test_the_angular_step_is_the_angle_between_weights_before_and_after():
    norms, gradients, angles = sgd(200, noise=1.0)
    rate = effective.effective_learning_rate(RATE, norms[:-1])
    gradient = effective.effective_gradient(gradients, norms[:-1])
    np.testing.assert_allclose(effective.angular_step(rate, gradient, RATE, DECAY), angles, rtol=1e-7)


def test_noise_and_decay_balance_at_the_equilibrium_angular_step():
    norms, gradients, angles = sgd(6000, noise=1.0)
    square = np.mean(angles[3000:] ** 2)  # whose mean the recurrence fixes, up to drifts of the norm and O(eta lambda)
    assert math.sqrt(square) == pytest.approx(effective.equilibrium_angular_step(RATE, DECAY), rel=0.03)
    assert effective.equilibrium_angular_step(RATE, DECAY) == pytest.approx(math.acos(1 - RATE * DECAY), rel=1e-3)


def test_without_gradients_the_effective_learning_rate_rises_by_the_slope_of_the_decay():
    norms = (1 - RATE * DECAY) ** np.arange(50)
    rise = np.diff(np.log(effective.effective_learning_rate(RATE, norms)))
    np.testing.assert_allclose(rise, effective.decay_slope(RATE, DECAY), rtol=1e-10)
    assert effective.decay_slope(0.1, 1e-3) == pytest.approx(2e-4, rel=1e-3)


def saw_tooth(periods=8, period=400, slope=2e-4, every=8, noise=0.002, seed=0):
    """Steps, ln of the effective learning rate and where it falls: straight rises, each lost within two evaluations."""
    steps = np.arange(periods * period) * every
    phase = np.arange(len(steps)) % period
    rng = np.random.default_rng(seed)
    values = slope * every * phase - 3 + noise * rng.standard_normal(len(steps))
    values[period::period] += slope * every * period / 2  # half way down
    return steps, values, np.arange(period, len(steps), period)


def test_a_saw_tooth_gives_back_its_jumps_and_the_slope_between_them():
    steps, values, falls = saw_tooth()
    jumps = events.jumps(values, within=2, upward=False)
    assert len(jumps.index) == len(falls) and np.abs(jumps.index - falls).max() <= 1
    slopes = effective.slopes_between(steps, values, jumps.start, jumps.stop)
    assert len(slopes.slope) == len(falls) - 1
    found = effective.common_slope(slopes, null=2e-4)
    assert found.low <= 2e-4 <= found.high and found.high - found.low < 2e-6 and found.p_value > 0.05
    assert effective.common_slope(slopes, null=3e-4).p_value < 1e-6


def test_the_common_slope_is_least_squares_with_a_level_for_each_stretch():
    steps, values, _ = saw_tooth(noise=0.3)
    falls = np.array([100, 300, 900, 1000, 2500])
    slopes = effective.slopes_between(steps, values, falls - 1, falls + 1)
    design = np.zeros((falls[-1] - falls[0] + len(slopes.slope), len(slopes.slope) + 1))
    target, row = [], 0
    for i, (first, last) in enumerate(zip(slopes.start, slopes.stop, strict=True)):
        count = last - first + 1
        design[row : row + count, [0, i + 1]] = np.stack([steps[first : last + 1], np.ones(count)], -1)
        target.append(values[first : last + 1])
        row += count
    expected = np.linalg.lstsq(design[:row], np.concatenate(target), rcond=None)[0][0]
    assert effective.common_slope(slopes).value == pytest.approx(expected, rel=1e-9)


def test_few_stretches_bound_nothing():
    steps, values = np.arange(20), np.arange(20.0)
    none = effective.slopes_between(steps, values, np.array([3]), np.array([4]))
    assert effective.common_slope(none).runs == 0 and math.isnan(effective.common_slope(none).value)
    one = effective.slopes_between(steps, values, np.array([3, 10]), np.array([4, 11]))
    assert effective.common_slope(one)[:3] == (1, -math.inf, math.inf)
    short = effective.slopes_between(steps, values, np.array([3, 5]), np.array([4, 6]))
    assert len(short.slope) == 0


@pytest.fixture
def grid():
    """What a sweep over learning rates and seeds keeps of a network of two tensors, with random norms."""
    rng = np.random.default_rng(0)
    dims, shape = ("seed", "learning_rate", "step"), (3, 2, 4)
    norms, gradients = ({name: rng.uniform(1, 2, shape) for name in ("a.kernel", "b")} for _ in range(2))
    curves = {
        "weight_norm": np.hypot(*norms.values()),
        "gradient_norm": np.hypot(*gradients.values()),
        **{f"tensor_norms.{name}": values for name, values in norms.items()},
        **{f"tensor_gradient_norms.{name}": values for name, values in gradients.items()},
    }
    coords = {"learning_rate": [0.1, 0.3], "seed": [0, 1, 2], "step": [0, 10, 20, 30]}
    return xr.Dataset({name: (dims, values.astype(np.float32)) for name, values in curves.items()}, coords)


def test_the_names_of_norms_are_those_that_a_sweep_keeps_them_under():
    params = {"a": {"kernel": np.full((2, 2), 3.0, np.float32)}, "b": np.ones(4, np.float32)}
    kept = metrics.named("tensor_norms", metrics.tensor_norms, metrics.tensor_norms(params))
    kept = xr.Dataset({name: float(value) for name, value in kept.items()})
    assert float(effective.norm_of(kept, "tensor_norms")) == pytest.approx(math.sqrt(40))
    assert float(effective.norm_of(kept, "tensor_norms", ["a.kernel"])) == pytest.approx(6)


def test_any_result_with_the_norms_gives_effective_curves_of_all_weights_or_some(grid):
    whole, parts = effective.of_grid(grid), effective.of_grid(grid.drop_vars(["weight_norm"]))
    for name, curve in whole.items():
        assert curve.dims == grid["weight_norm"].dims
        np.testing.assert_allclose(curve, parts[name], rtol=1e-6)
    rate = np.array([0.1, 0.3])[:, None]
    norm, gradient = (grid[name].values.astype(np.float64) for name in ("tensor_norms.b", "tensor_gradient_norms.b"))
    some = effective.of_grid(grid, ["b"])
    np.testing.assert_allclose(some["effective_learning_rate"], rate / norm**2, rtol=1e-12)
    np.testing.assert_allclose(some["effective_gradient"], gradient * norm, rtol=1e-12)


def test_a_learning_rate_that_all_runs_share_is_read_off_the_result():
    shared = xr.Dataset(attrs={"meta": '{"config": {"learning_rate": 0.25}}'})
    assert effective.setting_of(shared, "learning_rate") == 0.25
    with pytest.raises(results.ResultError, match="does not say its weight_decay"):
        effective.setting_of(shared, "weight_decay")


def test_what_a_result_lacks_is_named_with_its_remedy(grid):
    bare = grid.drop_vars([n for n in grid.data_vars if str(n).startswith("tensor_norms")])
    with pytest.raises(results.ResultError, match="--metrics=tensor_norms"):
        effective.of_grid(bare, ["b"])
    with pytest.raises(results.ResultError, match="no tensor_norms.c"):
        effective.of_grid(grid, ["c"])
