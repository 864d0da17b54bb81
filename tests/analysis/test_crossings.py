import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from grokjax.analysis.crossings import LEVELS, crossing, stop_step

INF = float("inf")


def brute_crossing(steps, accuracy, level, hold_steps):
    """Definition 7.1, word for word and slow."""
    points = [(s, a) for s, a in zip(steps.tolist(), accuracy.tolist(), strict=True) if a == a]
    if not points:
        return None
    for i, (s, a) in enumerate(points):
        window = [b for t, b in points if s < t <= s + hold_steps]
        if a >= level and (not window or np.median(window) >= level):
            return float(s), float(points[i - 1][0] if i else s)
    return INF, float(points[-1][0])


def brute_stop(steps, accuracy, level, hold_steps):
    """The first evaluation t such that the crossing seen so far lies hold_steps or more before t."""
    for i, t in enumerate(steps):
        if np.isnan(accuracy[i]):
            continue
        found = brute_crossing(steps[: i + 1], accuracy[: i + 1], level, hold_steps)
        if found is not None and found[0] + hold_steps <= t:
            return int(t)
    return None


@st.composite
def curves(draw):
    """Short curves of few distinct accuracies, so that ties with the level and even windows are common."""
    gaps = draw(st.lists(st.integers(1, 40), max_size=14))
    start = draw(st.integers(0, 3))
    steps = np.array([start, *(start + np.cumsum(gaps, dtype=np.int64))], np.int64)[: len(gaps)]
    values = st.sampled_from([0.0, 0.4, 0.5, 0.6, 0.9, 0.95, 0.99, 1.0, float("nan")])
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    accuracy = np.array(draw(st.lists(values, min_size=len(steps), max_size=len(steps))), dtype)
    return steps, accuracy, draw(st.sampled_from([0.5, 0.9, 0.95, 0.99])), draw(st.integers(0, 80))


def exact(accuracy, level):
    """The level as the accuracies' precision rounds it."""
    return float(accuracy.dtype.type(level))


@given(curves())
def test_a_crossing_is_what_the_definition_says_word_for_word(curve):
    steps, accuracy, level, hold = curve
    expected = brute_crossing(steps, accuracy.astype(float), exact(accuracy, level), hold)
    got = crossing(steps, accuracy, level, hold)
    if expected is None:
        assert np.isnan(got).all()
    else:
        assert got == expected


@given(curves())
def test_a_run_stops_at_the_first_evaluation_that_makes_the_crossing_certain(curve):
    steps, accuracy, level, hold = curve
    expected = brute_stop(steps, accuracy.astype(float), exact(accuracy, level), hold)
    assert stop_step(steps, accuracy, level, hold) == expected


@given(curves())
def test_stopping_never_changes_the_crossing_that_going_on_would_give(curve):
    steps, accuracy, level, hold = curve
    stops = [stop_step(steps[:n], accuracy[:n], level, hold) for n in range(len(steps) + 1)]
    found = [s for s in stops if s is not None]
    assert len(set(found)) <= 1  # once certain, later evaluations give the same answer
    if found:
        kept = steps <= found[0]
        assert crossing(steps[kept], accuracy[kept], level, hold) == crossing(steps, accuracy, level, hold)


def test_a_touch_that_does_not_hold_is_passed_over():
    steps = np.arange(0, 700, 100)
    accuracy = np.array([0.0, 1.0, 0.2, 0.2, 1.0, 0.2, 1.0])
    assert crossing(steps, accuracy, 0.99, 200) == (600.0, 500.0)
    assert crossing(steps, accuracy, 0.99, 0) == (100.0, 0.0)


def test_a_curve_that_holds_the_level_at_first_sight_is_its_own_bracket():
    assert crossing(np.array([5, 10]), np.array([1.0, 1.0]), 0.9, 100) == (5.0, 5.0)


def test_never_reached_is_infinite_and_bracketed_by_the_last_evaluation():
    steps, accuracy = np.array([0, 10, 20, 30]), np.array([0.1, 0.98, 0.98, np.nan])
    assert crossing(steps, accuracy, 0.99, 10) == (INF, 20.0)
    assert stop_step(steps, accuracy, 0.99, 10) is None


def test_nothing_evaluated_is_nan():
    assert np.isnan(crossing(np.array([0, 10]), np.array([np.nan, np.nan]), 0.5, 10)).all()
    assert np.isnan(crossing(np.array([], int), np.array([]), 0.5, 10)).all()
    assert stop_step(np.array([], int), np.array([]), 0.5, 10) is None


def test_the_window_is_measured_in_steps_and_not_in_evaluations():
    sparse = np.array([0, 1000, 3000])  # the fall at 3000 lies outside (1000, 1500]
    assert crossing(sparse, np.array([0.0, 1.0, 0.0]), 0.99, 500) == (1000.0, 0.0)
    dense = np.array([0, 1000, 1500])
    assert crossing(dense, np.array([0.0, 1.0, 0.0]), 0.99, 500) == (INF, 1500.0)


@pytest.mark.parametrize("level", LEVELS)
def test_an_accuracy_stored_as_float32_exactly_at_the_level_reaches_it(level):
    accuracy = np.array([0.0, level / 100], np.float32)
    assert crossing(np.array([0, 50]), accuracy, level / 100, 10) == (50.0, 0.0)


def test_bad_arguments_are_answered_with_what_is_wrong():
    with pytest.raises((ValueError, TypeCheckError), match=r"shape \(2,\) and accuracy \(3,\)|accuracy"):
        crossing(np.array([0, 1]), np.zeros(3), 0.5, 1)  # where types are checked, they answer first
    with pytest.raises(ValueError, match="hold_steps=-1 is negative"):
        stop_step(np.array([0, 1]), np.zeros(2), 0.5, -1)
    with pytest.raises(ValueError, match="do not strictly increase"):
        crossing(np.array([1, 1]), np.zeros(2), 0.5, 1)
