"""Estimates and their intervals, against counting by hand and simulated coverage."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from grokjax.analysis.statistics import (
    Between,
    difference,
    holm,
    location,
    log_rank,
    log_ratio,
    paired_shares,
    share,
    survival,
)

INF = math.inf


def test_the_mean_of_finite_values_has_students_interval():
    # Of 1..5: mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776445.
    found = location([1, 2, 3, 4, 5])
    reach = 2.776445 * math.sqrt(2.5 / 5)
    assert found.value == 3 and found.runs == 5
    assert (found.low, found.high) == pytest.approx((3 - reach, 3 + reach), rel=1e-6)
    assert found.p_value == pytest.approx(0.013236, rel=1e-3)  # t = 4.2426 on 4 degrees of freedom


@pytest.mark.parametrize(("n", "place"), [(6, 1), (7, 1), (8, 1), (9, 2), (10, 2), (11, 2), (12, 3)])
def test_with_a_run_that_never_came_the_median_lies_between_order_statistics(n, place):
    values = [*range(1, n), INF]
    found = location(values)
    assert (found.low, found.high) == (values[place - 1], values[n - place])
    enclosed = sum(math.comb(n, k) for k in range(place, n - place + 1)) / 2**n
    wider = sum(math.comb(n, k) for k in range(place + 1, n - place)) / 2**n
    assert enclosed >= 0.95 > wider


def test_fewer_than_six_values_with_an_infinite_one_bound_nothing():
    assert location([1, 2, 3, 4, INF])[:3] == (3, -INF, INF)


def test_the_sign_test_leaves_out_ties():
    assert location([0, 0, 1, 2, 3, INF]).p_value == pytest.approx(2 * 0.5**4)
    assert location([0, 0, INF, -INF]).p_value == 1
    assert location([-INF, INF])[0] == -INF and location([-INF, INF]).most == INF  # anything may lie between


def test_values_of_which_only_bounds_are_known_count_at_the_worse_one():
    least, most = np.array([1, 2, 3, 4, 5, -INF, -1]), np.array([1, INF, 3, 4, INF, 0.5, 6])
    found = location(Between(least, most))
    assert (found.low, found.high) == (-INF, INF) and (found.value, found.most) == (2, 4)
    assert found.p_value == pytest.approx(2 * (21 + 7 + 1) / 2**7)  # five to seven of seven lie above 0
    known = location(Between(np.array([1, 2, 3, 4, 5, 6.0]), np.array([1, 2, 3, 4, 5, INF])))
    assert (known.low, known.high, known.value, known.most) == (1, INF, 3.5, 3.5)
    assert known.p_value == pytest.approx(2 * 0.5**6)
    assert location([0.0] * 5 + [-INF]).p_value == 1


def test_values_that_do_not_vary_have_the_interval_of_their_median():
    assert location([2.0] * 6) == (2, 2, 2, 2 * 0.5**6, 6, 2)
    assert location([2.0] * 5) == (2, -INF, INF, 2 * 0.5**5, 5, 2)
    assert location([0.0] * 6).p_value == 1


def test_the_interval_of_a_difference_of_paired_shares_is_tangos():
    all_of_six, none_of_six, limit = np.ones(6, bool), np.zeros(6, bool), stats.norm.ppf(0.975) ** 2 / 6
    alike = paired_shares(all_of_six, all_of_six)
    assert alike[1:3] == pytest.approx((-limit / (1 + limit), limit / (1 + limit)), rel=1e-6) and alike.p_value == 1
    apart = paired_shares(all_of_six, none_of_six)
    assert apart[:3] == pytest.approx((1, (1 - limit) / (1 + limit), 1), rel=1e-6) and apart.p_value == 2 * 0.5**6
    turned = paired_shares(none_of_six, all_of_six)
    assert turned[:3] == pytest.approx((-apart.value, -apart.high, -apart.low))
    assert paired_shares(all_of_six[:1], none_of_six[:1])[:3] == (1, -INF, INF)
    assert math.isnan(paired_shares(all_of_six[:0], all_of_six[:0]).value)


@pytest.mark.parametrize(("one", "other"), [(0.9, 0.9), (0.5, 0.5), (1.0, 0.8), (0.9, 0.3)])
def test_the_interval_of_a_difference_of_paired_shares_covers_as_often_as_it_says(one, other):
    rng = np.random.default_rng(0)
    draws = zip(rng.random((1000, 6)) < one, rng.random((1000, 6)) < other, strict=True)
    found = [paired_shares(*pair) for pair in draws]
    assert np.mean([each.low <= one - other <= each.high for each in found]) > 0.94


def test_few_and_wrong_values():
    assert math.isnan(location([]).value) and location([]).runs == 0
    assert location([4.0]) == (4, -INF, INF, 1, 1, 4)
    with pytest.raises(ValueError, match="NaN"):
        location([1.0, math.nan])


def test_the_median_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = np.where(rng.random((4000, 10)) < 0.3, INF, rng.standard_normal((4000, 10)) + 1)
    median = float(
        np.quantile(np.sort(np.where(rng.random(200_000) < 0.3, 1e9, rng.standard_normal(200_000) + 1)), 0.5)
    )
    found = [location(row) for row in draws if np.isinf(row).any()]
    covered = np.mean([low <= median <= high for _, low, high, *_ in found])
    assert 0.96 < covered < 0.99  # 97.9 % by the binomial


def test_a_share_has_the_exact_binomial_interval():
    found = share(np.ones(6, bool))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 6))  # P(6 of 6 | low) = 2.5 %
    assert found.p_value == pytest.approx(2 * 0.5**6)
    assert math.isnan(share(np.zeros(0, bool)).value)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_holm_keeps_the_order_and_never_lowers(p_values):
    adjusted = holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    for (p, a), (q, b) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert (a <= b) if p <= q else (b <= a)


def test_a_share_with_unknown_runs_counts_them_as_misses_and_as_hits():
    found = share(np.array([True] * 3 + [False] * 3), np.array([False] * 5 + [True]))
    assert (found.value, found.most) == (3 / 6, 4 / 6)
    assert found.low == share(np.arange(6) < 3).low and found.high == share(np.arange(6) < 4).high
    assert found.p_value == 1


def test_crossings_in_one_bracket_are_a_tie_and_one_that_never_came_gives_a_bound():
    one, other = np.array([200.0, 200.0, INF, INF, 100.0]), np.array([150.0, 100.0, INF, 100.0, INF])
    found = log_ratio(one, other, np.array([100, 150, 900, 900, 50]), np.array([90, 90, 900, 90, 900]))
    assert found.least == pytest.approx([0, math.log(2), -INF, math.log(9), -INF])
    assert found.most == pytest.approx([0, math.log(2), INF, INF, math.log(1 / 9)])
    assert found.known().tolist() == [True, True, False, False, False]
    assert found.unsure().tolist() == [False, False, True, False, False]


def test_one_that_ended_before_the_other_came_may_be_sooner_or_later():
    found = log_ratio(np.array([INF]), np.array([100.0]), np.array([50.0]), np.array([90.0]))
    assert (found.least[0], found.most[0]) == (pytest.approx(math.log(1 / 2)), INF) and found.unsure().all()


def test_one_that_will_never_come_is_later_than_any_that_did():
    found = log_ratio(np.array([INF, INF]), np.array([100.0, INF]), np.array([INF, INF]), np.array([90.0, 900.0]))
    assert (found.least[0], found.most[0]) == (INF, INF) and (found.least[1], found.most[1]) == (-INF, INF)


def test_a_difference_lies_between_those_of_the_bounds():
    found = difference(Between(np.array([1.0, 2, -INF]), np.array([1, INF, INF])), Between.of([3.0, 1, 5]))
    assert found.least.tolist() == [-2, 1, -INF] and found.most.tolist() == [-2, INF, INF]
    both = Between(np.array([2.0]), np.array([INF]))
    assert difference(both, both).least == -INF and difference(both, both).most == INF


def test_survival_by_hand():
    # 4 runs: one crosses at 10, one is censored at 15, one crosses at 20, one never in 30.
    found = survival(np.array([10.0, INF, 20.0, INF]), np.array([30, 15, 30, 30]))
    at = dict(zip(found.steps, found.share, strict=True))
    assert at[0] == 1 and at[10] == pytest.approx(3 / 4) and at[20] == pytest.approx(3 / 4 / 2)
    assert ((found.low <= found.share) & (found.share <= found.high)).all()
    # Before the first crossing 0 of 4 got there: the share that has not is at least 0.025 ** (1 / 4).
    assert (found.low[0], found.high[0]) == (pytest.approx(0.025**0.25), 1)


def test_survival_ends_in_the_binomials_limit_when_all_have_come():
    found = survival(np.array([10.0, 20.0]), np.array([20, 20]))
    assert found.share[-1] == 0 and (found.low[-1], found.high[-1]) == (0, pytest.approx(1 - 0.025**0.5))


def test_the_log_rank_test_tells_early_from_late_and_not_like_from_like():
    early, late, last = np.arange(1.0, 11), np.arange(101.0, 111), np.full(10, 200)
    assert log_rank(early, last, late, last) < 1e-4
    assert log_rank(early, last, early, last) == pytest.approx(1)
    assert log_rank(np.full(10, INF), last, np.full(10, INF), last) == 1
