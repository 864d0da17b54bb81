"""Least amounts, critical sizes, capacities and zones, from planted ones."""

import math

import numpy as np
import pytest
import xarray as xr

from grokjax.analysis.capacity import capacity, memorised, trend
from grokjax.analysis.correlation import spearman
from grokjax.analysis.critical_size import critical_size, semi_grokking_band
from grokjax.analysis.statistics import Between
from grokjax.analysis.thresholds import least_reaching, median_run, ratio_bounds
from grokjax.analysis.zones import majority, predicted, zone_order

INF, NAN = math.inf, math.nan
ROWS = np.arange(2000, 4001, 200)


def test_a_threshold_is_bracketed_and_interpolated():
    found = least_reaching(np.array([1, 2, 4]), np.array([[0.0, 0.5, 0.9], [0.2, 0.8, 0.1]]), 0.7)
    assert found.at.tolist() == [4, 2] and found.bracket.tolist() == [2, 1]
    assert found.interpolated == pytest.approx([3, 1 + 5 / 6])
    logs = least_reaching(np.array([1, 100]), np.array([0.0, 1.0]), 0.5, log=True)
    assert logs.interpolated == pytest.approx(10) and logs.at == 100


def test_a_threshold_is_censored_at_both_ends_and_passes_over_what_did_not_run():
    values = np.array([[1.0, 1, 1], [0, 0, 0.5], [NAN, 0, 1], [NAN] * 3, [0, NAN, 1]])
    found = least_reaching(np.array([1, 2, 3]), values, 0.99)
    assert found.at.tolist()[:3] == [1, INF, 3] and math.isnan(found.at[3])
    assert found.bracket.tolist()[:3] == [-INF, 3, 2]
    assert found.interpolated.tolist()[:2] == [-INF, INF]
    assert (found.bracket[4], found.at[4]) == (1, 3)


def test_a_level_stored_as_float32_is_reached():
    assert least_reaching(np.array([1, 2]), np.array([0.0, 0.99], np.float32), 0.99).at == 2
    assert least_reaching(np.array([1, 2]), np.array([0.0, 0.95], np.float32), 0.95).at == 2


def test_amounts_out_of_order_are_refused():
    with pytest.raises(ValueError, match="do not strictly increase"):
        least_reaching(np.array([2, 1]), np.zeros(2), 0.5)
    with pytest.raises(ValueError, match="must be positive"):
        least_reaching(np.array([0, 1]), np.zeros(2), 0.5, log=True)


def test_a_ratio_of_thresholds_lies_between_what_their_brackets_allow():
    sizes = np.array([10, 100, 1000])
    upper = least_reaching(sizes, np.array([[0.0, 0, 1], [0, 0, 0]]), 0.5)
    lower = least_reaching(sizes, np.array([[0.0, 1, 1], [1, 1, 1]]), 0.5)
    least, largest = ratio_bounds(upper, lower)
    assert least.tolist() == [1, 100] and largest.tolist() == [100, INF]


def logistic(centre):
    return 1 / (1 + np.exp(-(ROWS - np.asarray(centre)[..., None]) / 40))


def test_the_critical_size_of_seeds_is_their_median_between_order_statistics():
    centres = np.array([2500, 2550, 2600, 2650, 2700, 2750, 2800, 2850, 2900, 2950, 3000])
    step = (centres[:, None] <= ROWS).astype(float)
    found = critical_size(ROWS, step).of_seeds
    # A curve that jumps from 0 to 1 crosses .99 in the last hundredth of the interval.
    own = np.array([ROWS[centre <= ROWS][0] - 2 for centre in centres])
    assert (found.value, found.low, found.high, found.runs) == (own[5], own[1], own[9], 11)


def test_the_critical_size_of_the_mean_waits_for_the_last_seed():
    step = (np.array([2400, 2400, 3600])[:, None] <= ROWS).astype(np.float32)
    found = critical_size(ROWS, step)
    assert found.of_mean == pytest.approx(3600 - 200 * 0.01 / (1 / 3), abs=0.1)
    assert found.of_seeds[:3] == (pytest.approx(2398), -INF, INF)  # three seeds bound nothing


def test_a_critical_size_beyond_the_sizes_that_ran_is_censored():
    assert critical_size(ROWS, np.ones((6, 11))).of_mean == -INF
    never = critical_size(ROWS, np.zeros((6, 11)))
    assert never.of_mean == INF and never.of_seeds == (4000, 4000, INF, 1, 6, INF)
    always = critical_size(ROWS, np.ones((6, 11))).of_seeds
    assert always == (-INF, -INF, 2000, 1, 6, 2000)


def test_a_seed_that_did_not_run_at_a_size_leaves_the_mean_to_the_others():
    values = np.where(ROWS >= 3000, 1.0, np.zeros((2, 1)))
    whole = critical_size(ROWS, values).of_mean
    values[0, ROWS == 3000] = NAN
    assert critical_size(ROWS, values).of_mean == whole
    values[:, ROWS == 3000] = NAN
    assert 2800 < whole < 3000 < critical_size(ROWS, values).of_mean < 3200


def test_the_band_of_semi_grokking_is_as_wide_as_planted():
    ramps = np.clip((ROWS - np.array([2000, 2400, 2600, 2800, 2200, 2400])[:, None]) / 1000, 0, 1)
    found = semi_grokking_band(ROWS, ramps)
    assert found.of_seeds[:3] == pytest.approx((800, 800, 800))
    assert found.of_mean == pytest.approx(1000, rel=0.2)  # ramps at other places add to a wider one
    begun = semi_grokking_band(ROWS, logistic([1950] * 6))
    assert begun.of_mean == INF and begun.of_seeds.most == INF and 0 < begun.of_seeds.value < 200
    assert semi_grokking_band(ROWS, np.zeros((6, 11))).of_seeds.runs == 0


def test_the_median_of_runs_is_bounded_from_six_on():
    assert median_run(Between.of(np.array([3.0, 1, 2, 5, 4, NAN, INF])))[:3] == (3.5, 1, INF)
    assert median_run(Between.of(np.array([1.0, 2, 3])))[1:3] == (-INF, INF)
    bounded = median_run(Between(np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.0, 2, 3, INF, INF, INF])))
    assert bounded == (3.5, 1, INF, 1, 6, INF)


def test_memorised_rows_are_counted_and_a_full_memory_is_censored():
    found = memorised(np.array([0.5, 1.0, NAN]), 12769)
    assert found.least.tolist() == [6384, 12769] and found.most.tolist() == [6384, INF]
    assert capacity(np.array([1.0, 1, 1, 1, 1, 1]), 100)[:3] == (100, 100, INF)
    found = capacity(np.array([0.10, 0.12, 0.11, NAN], np.float32), 1000)
    assert found.value == pytest.approx(110) and found.runs == 3 and found.low < 100 < 120 < found.high + 20
    assert trend(np.array([1, 2, 3]), np.array([[10.0, 20, INF], [11, 21, INF]])).value == pytest.approx(0.98, abs=0.03)


def test_rank_correlation_is_exact_for_few_pairs():
    found = spearman(np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 3, 5, 8, INF]))
    assert found.value == 1 and found.p_value == pytest.approx(2 / 120)
    none = spearman(np.arange(5.0), np.ones(5))
    assert math.isnan(none.value) and none.p_value == 1
    tied = spearman(np.array([1.0, 1, 2, 3]), np.array([1.0, 2, 2, 4]))
    assert tied.value == pytest.approx(5 / 6)  # ranks 1.5 1.5 3 4 against 1 2.5 2.5 4: 3.75 / 4.5


def test_rank_correlation_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a Gaussian pair of correlation .6
    covered = 0
    for _ in range(1000):
        x, z = rng.standard_normal((2, 20))
        found = spearman(x, 0.6 * x + 0.8 * z)
        covered += found.low <= truth <= found.high
    assert 930 < covered < 975


def test_the_majority_of_seeds_names_a_cell_and_a_tie_names_none():
    labels = xr.DataArray(
        [["grokking", "grokking", "memorisation"], ["grokking", "memorisation", ""], ["", "", ""]],
        dims=("width", "seed"),
    )
    assert majority(labels).values.tolist() == ["grokking", "", ""]


def test_two_lines_make_four_zones():
    rows = np.array([5000, 2500, 3100, 3500])
    found = predicted(rows, 4000.0, 3000.0, 3200.0)
    assert found.tolist() == ["progression", "memorisation", "semi-grokking", "grokking"]
    grid = predicted(rows[:, None], np.array([100.0, 4000.0, NAN]), 3000.0, 3200.0)
    assert grid.shape == (4, 3) and set(grid[:, 0]) == {"progression"} and set(grid[:, 2]) == {""}


def test_zones_in_order_have_no_inversions():
    sizes = np.array([4, 8, 24, 32, 48, 64])
    labels = np.array(["progression", "progression", "memorisation", "semi-grokking", "", "grokking"])
    found = zone_order(sizes, labels)
    assert found.zones == ("progression", "memorisation", "semi-grokking", "grokking")
    assert found.inversions == 0 and found.correlation.value > 0.9 and found.correlation.runs == 5
    back = zone_order(sizes, labels[::-1])
    assert back.inversions == 9 and back.correlation.value < -0.9
    assert zone_order(sizes, np.full(6, "diverged")).zones == ()
