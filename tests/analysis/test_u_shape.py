"""The U over model size and the turns of a curve, planted and absent."""

import math

import numpy as np
import pytest

from grokjax.analysis.switches import switches, turns
from grokjax.analysis.u_shape import deepest_dip, u_shape

U = np.array([0.8, 0.6, 0.3, 0.1, 0.4, 0.9])


def seeds(mean, noise, num_seeds, seed):
    return mean + noise * np.random.default_rng(seed).standard_normal((num_seeds, len(mean)))


def test_the_depth_is_to_the_lower_shoulder():
    assert deepest_dip(U) == (pytest.approx(0.7), 0, 3, 5)
    assert deepest_dip(np.array([0.0, 0.5, 0.2, 0.4, 0.9]))[:3] == (pytest.approx(0.3), 1, 2)
    assert deepest_dip(np.arange(5.0)).depth == -1 and deepest_dip(np.arange(5.0)[::-1]).depth == -1


def test_a_planted_u_is_found_with_its_depth_in_the_interval():
    found = u_shape(seeds(U, 0.03, 6, seed=0), seed=0)
    assert found.mean.bottom == 3 and found.p_value < 0.01
    assert found.depth.low <= 0.7 <= found.depth.high and found.depth.high - found.depth.low < 0.2
    assert len(found.depths) == found.depth.runs == 6


def test_a_monotone_curve_with_noise_is_called_a_u_in_at_most_its_nominal_share():
    rising = np.array([0.1, 0.1, 0.1, 0.2, 0.5, 0.9, 1.0])
    for num_seeds in (3, 6):
        found = [u_shape(seeds(rising, 0.05, num_seeds, draw), draw, 99) for draw in range(300)]
        assert np.mean([f.p_value < 0.05 for f in found]) <= 0.05
        # No seed chooses its own dip, so noise alone does not make the depth positive.
        assert np.mean([f.depth.low > 0 for f in found]) <= 0.05


def test_a_falling_curve_has_no_u_either():
    assert u_shape(seeds(np.linspace(1, 0, 8), 0.02, 6, 0), 0).p_value > 0.2


def test_too_little_for_a_u_is_refused():
    with pytest.raises(ValueError, match="1 seeds at 5 points"):
        u_shape(np.zeros((1, 5)), 0)


def test_turns_are_the_extremes_between_large_moves():
    curve = np.array([0, 0.1, 0.9, 0.85, 0.2, 0.3, 0.25, 0.8, 0.75, 0.1, 0.1])
    assert turns(curve, 0.2).tolist() == [2, 4, 7]
    assert turns(curve, 0.05).tolist() == [2, 4, 5, 6, 7]
    assert turns(np.array([0.0, math.nan, 1.0, 0.5]), 0.5).tolist() == [2]


def test_a_grokked_curve_does_not_switch_and_a_semi_grokking_one_does():
    time = np.arange(400)
    grokked = 1 / (1 + np.exp(-(time - 200) / 20))
    switching = np.where(time > 100, 0.5 + 0.4 * np.sin(time / 10), 0.0)
    noise = 0.02 * np.random.default_rng(0).standard_normal((2, 400))
    found = switches(np.stack([grokked, switching]) + noise)
    assert found[0] == 0 and found[1] == pytest.approx(300 / 10 / np.pi, abs=2)
