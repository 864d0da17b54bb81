"""Least train fractions, windows of learning rates and second descents, planted."""

import math

import numpy as np
import pytest
import xarray as xr

from grokjax import results
from grokjax.analysis.learning_rate_window import window
from grokjax.analysis.least_fraction import factor, least_fraction
from grokjax.analysis.second_descent import second_descent

INF, NAN = math.inf, math.nan
FRACTIONS = [0.2, 0.3, 0.4, 0.5]


def grid(reached, fractions=FRACTIONS):
    """Runs that generalise from a fraction on."""
    accuracy = np.where(np.array(fractions) >= np.array(reached)[:, None] - 1e-9, 1.0, 0.1).astype(np.float32)
    return xr.Dataset(
        {
            "max_val_accuracy": (("seed", "train_fraction"), accuracy),
            "status": (("seed", "train_fraction"), np.full(accuracy.shape, "finished")),
        },
        {"seed": np.arange(len(reached)), "train_fraction": fractions},
    )


def test_the_least_fraction_of_each_seed_is_bracketed_and_censored_at_both_ends():
    found = least_fraction(grid([0.3, 0.2, 0.6]))
    assert found["least_fraction"].dims == ("seed",)
    assert found["least_fraction"].values.tolist() == [0.3, 0.2, INF]
    assert found["bracket"].values.tolist() == [0.2, -INF, 0.5]


def test_cells_that_did_not_run_change_nothing_where_a_bisection_went_on():
    whole = grid([0.4])
    ran = whole["train_fraction"].isin([0.3, 0.4])
    parts = whole.assign(
        status=whole["status"].where(ran, "not run"), max_val_accuracy=whole["max_val_accuracy"].where(ran, 1.0)
    )
    assert least_fraction(parts).equals(least_fraction(whole))


def test_the_order_of_fractions_and_axes_does_not_matter():
    whole = grid([0.3, 0.5])
    turned = whole.isel(train_fraction=[2, 0, 3, 1]).transpose("train_fraction", "seed")
    assert least_fraction(turned).equals(least_fraction(whole))


def test_half_the_data_is_a_factor_of_two_and_overlapping_brackets_are_a_tie():
    fine = np.round(np.arange(0.1, 0.91, 0.02), 2)
    less = least_fraction(grid([0.3, 0.34, 0.32, 0.3, 0.36, 0.4], fine))
    more = least_fraction(grid([0.6, 0.68, 0.64, 0.6, 0.72, 0.8], fine))
    found = factor(more, less)
    assert (
        found.value == pytest.approx(2) and found.low == pytest.approx(2) and found.runs == 6 and found.p_value < 0.01
    )
    assert factor(less, less)[:4] == (1, 1, 1, 1)
    coarse = least_fraction(grid([0.4] * 6, [0.2, 0.4])), least_fraction(grid([0.5] * 6, [0.3, 0.5]))
    assert factor(*coarse).value == factor(*coarse[::-1]).value == 1  # (.2, .4] and (.3, .5] may be the same
    never = least_fraction(grid([0.95] * 6, fine))
    open_above = factor(never, less)
    assert open_above.value == pytest.approx(0.9 / 0.33, rel=0.1) and open_above.most == open_above.high == INF
    with pytest.raises(results.ResultError, match="several values of --train_fraction"):
        least_fraction(grid([0.3]).isel(train_fraction=0))


def test_the_window_of_rates_is_the_widest_stretch_that_reaches_the_level():
    rates = np.array([1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2])
    found = window(rates, np.array([0.1, 1, 1, 1, 0.2, 1]))
    assert (found.low, found.high, found.low_bracket, found.high_bracket) == (1e-4, 1e-3, 1e-5, 3e-3)
    assert found.decades == pytest.approx(1) and found.most_decades == pytest.approx(math.log10(300))


def test_a_window_is_censored_at_both_ends_and_may_be_missing():
    rates = np.array([1e-4, 1e-3, 1e-2])
    found = window(rates, np.array([[1.0, 1, 1], [0, 0, 0], [0, 1, NAN], [NAN, NAN, NAN], [0, 1, 0]], np.float32))
    assert found.decades.tolist() == pytest.approx([2, 0, 0, 0, 0])
    assert found.most_decades.tolist() == pytest.approx([INF, INF, INF, INF, 2])
    assert np.isnan(found.low[[1, 3]]).all() and found.low[2] == 1e-3
    with pytest.raises(ValueError, match="strictly increase"):
        window(rates[::-1], np.zeros(3))


def test_a_loss_that_falls_rises_and_falls_again_descends_twice():
    loss = np.array([4.6, 4.2, 5.0, 9.0, NAN, 12.0, 8.0, 2.0, 0.1, 0.2])
    found = second_descent(loss)
    assert (found.first_low, found.peak, found.last_low, found.at) == (4.2, 12, 0.1, 5)
    assert found.found and found.fall == pytest.approx(1 - 0.1 / 12)


@pytest.mark.parametrize("noise", [0.001, 0.01, 0.05])
def test_noise_on_one_descent_and_a_late_spike_are_no_second_descent(noise):
    rng = np.random.default_rng(0)
    falling = 5 * np.exp(-np.arange(300) / 30)
    assert not any(second_descent(falling * (1 + noise * rng.standard_normal(300))).found for _ in range(20))
    falling[250] *= 5
    assert not second_descent(falling).found


def test_one_descent_a_rise_for_good_and_a_small_fall_are_no_second_descent():
    assert not second_descent(np.array([4.6, 3.0, 1.0, 0.1])).rises
    assert not second_descent(np.array([4.6, 5.0, 8.0, 9.0])).found
    small = second_descent(np.array([4.6, 4.2, 9.0, 6.0, 5.0]))
    assert small.rises and not small.found and small.fall == pytest.approx(4 / 9)
    assert second_descent(np.array([4.6, 4.2, 9.0, 4.5])).found  # exactly half
    with pytest.raises(ValueError, match="2 evaluations"):
        second_descent(np.array([1.0, NAN, 2.0]))
