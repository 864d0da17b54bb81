"""Local complexity of networks whose breakpoints are counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.analysis.local_complexity import local_complexity

BREAKPOINTS = np.array([-1.0, 0.0, 0.05, 0.1, 2.0], np.float32)


def one_layer(x):
    """Units of one input, each of which switches at a breakpoint."""
    return (x - BREAKPOINTS) * jnp.array([1.0, -2.0, 3.0, -0.5, 1.0])


@pytest.mark.parametrize(
    ("point", "radius", "expected"),
    [(0.0, 0.01, 1), (0.06, 0.02, 1), (0.06, 0.045, 2), (0.06, 0.07, 3), (-0.5, 0.4, 0), (0.0, 1.1, 4), (0.0, 3.0, 5)],
)
def test_on_a_line_it_counts_the_breakpoints_within_the_radius(point, radius, expected):
    assert local_complexity(one_layer, np.array([[point]]), radius, seed=0).tolist() == [expected]


def test_in_space_it_counts_the_hyperplanes_that_cut_the_cross_polytope():
    random = np.random.default_rng(1)
    weights, bias, points = random.normal(size=(4, 200)), random.normal(size=200), random.normal(size=(7, 4))
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 2)))[0].T
    reach = 0.5 * np.abs(axes @ weights).max(0)  # of a hyperplane from a vertex: max |w . v|
    expected = (np.abs(points @ weights + bias) < reach).sum(1)
    found = local_complexity(lambda x: x @ weights.astype(np.float32) + bias.astype(np.float32), points, 0.5, 3, 2)
    np.testing.assert_array_equal(found, expected)
    assert expected.min() > 10 and expected.max() < 190


def test_it_lies_between_the_balls_within_and_around_the_cross_polytope():
    random = np.random.default_rng(2)
    weights, bias, points = random.normal(size=(3, 500)), random.normal(size=500), np.zeros((1, 3))
    distances = np.abs(bias) / np.linalg.norm(weights, axis=0)
    (found,) = local_complexity(lambda x: x @ weights.astype(np.float32) + bias.astype(np.float32), points, 0.6, 0)
    assert (distances < 0.6 / 3**0.5).sum() < found < (distances < 0.6).sum()


def test_units_of_a_second_layer_switch_where_the_first_bends_them():
    def two_layers(x):  # |x| - 0.5 switches at -0.5 and 0.5, the first layer's two units at 0
        first = jnp.concatenate([x, -x], axis=1)
        return jnp.concatenate([first, jnp.maximum(first, 0).sum(1, keepdims=True) - 0.5], axis=1)

    counts = local_complexity(two_layers, np.array([[0.0], [0.5], [0.45], [2.0]]), 0.1, seed=0)
    assert counts.tolist() == [2, 1, 1, 0]


def test_more_directions_than_features_are_refused():
    with pytest.raises(ValueError, match="directions=3 of 2 features: there are 1 to 2 orthonormal ones."):
        local_complexity(lambda x: x, np.zeros((1, 2)), 1.0, seed=0, directions=3)
