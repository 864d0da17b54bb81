"""Dips, jumps and their coincidence, against planted events and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokjax.analysis.events import best_lag, coincidence, dips, hits_by_lag, jumps


def test_dips_deep_enough_are_found_at_their_bottoms():
    accuracy = np.ones(60, np.float32)
    accuracy[[10, 30]] = [0.95, 0.96]  # five points, four points
    accuracy[40:45] = [0.9, 0.7, 0.6, 0.8, 0.97]
    found = dips(accuracy, 0.05)
    assert found.index.tolist() == [10, 42]
    assert found.size == pytest.approx([0.05, 0.4])
    assert (found.start[1], found.stop[1]) == (40, 43)  # 0.8 is half its depth


def test_a_dip_that_wavers_is_one_and_two_that_recover_are_two():
    wavering = np.array([1.0, 1.0, 0.6, 0.7, 0.2, 0.6, 0.4, 1.0, 1.0])
    found = dips(wavering)
    assert (found.index.tolist(), found.start.tolist(), found.stop.tolist()) == ([4], [1], [7])
    assert found.size == pytest.approx([0.8])
    apart = np.array([1.0, 0.2, 0.9, 0.9, 0.3, 0.9])
    assert dips(apart).index.tolist() == [1, 4]


def test_a_fall_for_good_and_the_climb_before_memorisation_are_no_dips():
    assert not len(dips(np.array([1.0, 1.0, 0.5, 0.5, 0.5])).index)
    climb = np.array([0.0, 0.4, 0.2, 1.0, 1.0, 0.8, 1.0])
    assert dips(climb).index.tolist() == [2, 5]
    assert dips(climb, first=3).index.tolist() == [5]


def test_jumps_up_and_down_are_found_with_their_sizes():
    values = np.concatenate([np.linspace(0, 1, 50), np.linspace(-2, -1, 50), np.linspace(4, 5, 50)])
    up, down = jumps(values, 1.0), jumps(values, 1.0, upward=False)
    assert (up.index.tolist(), up.start.tolist(), up.stop.tolist()) == ([100], [99], [100])
    assert (down.index.tolist(), down.start.tolist(), down.stop.tolist()) == ([50], [49], [50])
    assert (up.size[0], down.size[0]) == pytest.approx((5, 3))


def test_a_jump_that_takes_several_evaluations_is_one():
    values = np.concatenate([np.zeros(20), [1.0, 3.0, 4.0], np.full(20, 4.5)])
    assert not len(jumps(values, 3.5, within=1).index)
    found = jumps(values, 3.5, within=4)
    assert len(found.index) == 1 and found.index[0] == 21 and found.size[0] == pytest.approx(4.5)
    assert (found.start[0], found.stop[0]) == (19, 23)


def test_noise_without_jumps_has_none_by_its_own_measure():
    rng = np.random.default_rng(0)
    assert sum(len(jumps(rng.standard_normal(500)).index) for _ in range(20)) == 0


def test_bad_curves_and_sizes_are_answered():
    with pytest.raises(ValueError, match="NaN"):
        dips(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="depth=0"):
        dips(np.ones(3), 0)
    with pytest.raises(ValueError, match="size=0"):
        jumps(np.ones(9))


def brute_hits(events, others, n, tolerance, lag):
    return sum(any(min((o - lag - e) % n, (e - o + lag) % n) <= tolerance for o in others) for e in events)


@given(st.sets(st.integers(0, 19), max_size=6), st.sets(st.integers(0, 19), max_size=6), st.integers(0, 3))
@settings(deadline=None)
def test_hits_are_counted_as_by_hand_at_every_lag(events, others, tolerance):
    one, other = np.array(sorted(events), int), np.array(sorted(others), int)
    expected = [brute_hits(one, other, 20, tolerance, lag) for lag in range(20)]
    assert hits_by_lag(one, other, 20, tolerance).tolist() == expected


def irregular(rng, count=12, n=1000):
    return np.sort(rng.choice(n, count, replace=False))


def test_events_that_come_together_are_found_and_unrelated_ones_are_not():
    rng = np.random.default_rng(0)
    events = irregular(rng)
    together = coincidence(events, np.clip(events + rng.integers(-1, 2, len(events)), 0, 999), 1000)
    assert together.hits == 12 and together.expected < 1 and together.p_value < 0.01
    alone = [coincidence(irregular(rng), irregular(rng), 1000).p_value for _ in range(400)]
    assert np.mean(np.array(alone) < 0.05) < 0.05


def test_a_planted_lag_is_found_with_its_sign_and_unrelated_series_have_none():
    rng = np.random.default_rng(1)
    events = irregular(rng)
    for lag in (7, -7):
        found = best_lag(events, (events + lag) % 1000, 1000, largest=20)
        assert (found.lag, found.hits) == (lag, 12) and found.p_value < 0.1
    alone = [best_lag(irregular(rng), irregular(rng), 1000, largest=20).p_value for _ in range(200)]
    assert np.mean(np.array(alone) < 0.05) < 0.07


def test_a_series_without_events_coincides_with_nothing():
    none = np.array([], int)
    assert coincidence(none, np.array([3]), 10) == (0, 0, 1, 0.0, 1.0)
    assert coincidence(np.array([3]), none, 10).p_value == 1
    with pytest.raises(ValueError, match="outside"):
        coincidence(np.array([10]), none, 10)


def test_a_dip_exactly_as_deep_as_asked_counts_although_float32_rounds_it():
    accuracy = np.full(9, 0.96, np.float32)
    accuracy[4] = 0.91
    assert float(accuracy[0]) - float(accuracy[4]) < 0.05
    assert dips(accuracy, 0.05).index.tolist() == [4]
