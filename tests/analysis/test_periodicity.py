"""Periods of planted curves, and how often noise is called periodic."""

import numpy as np
import pytest

from grokjax.analysis.periodicity import LEVEL, autocorrelation, find_period


def coloured(rng, n, slope):
    """Noise whose power falls as 1/f^slope, cut from a longer stretch, so that its ends do not meet."""
    frequency = np.fft.rfftfreq(4 * n)
    frequency[0] = frequency[1]
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    return np.fft.irfft(frequency ** (-slope / 2) * spectrum, 4 * n)[:n]


@pytest.mark.parametrize("slope", [0, 1], ids=["white", "pink"])
def test_noise_is_called_periodic_in_less_than_its_nominal_share_of_a_thousand_draws(slope):
    found = [
        find_period(coloured(np.random.default_rng(seed), 96, slope), seed, num_surrogates=99).periodic
        for seed in range(1000)
    ]
    assert np.mean(found) < LEVEL


def test_long_curves_of_noise_are_not_called_periodic_either():
    found = [
        find_period(coloured(np.random.default_rng(seed), 1000, 1), seed, num_surrogates=99).periodic
        for seed in range(400)
    ]
    assert np.mean(found) < LEVEL


@pytest.mark.parametrize(("evaluations", "period"), [(256, 60), (256, 17), (1000, 300), (1000, 47.3)])
def test_a_saw_tooth_gives_back_its_period(evaluations, period):
    rng = np.random.default_rng(0)
    curve = np.arange(evaluations) % period / period + 0.1 * rng.standard_normal(evaluations)
    found = find_period(curve, seed=0, spacing=8)
    assert found.period == pytest.approx(8 * period, rel=0.01) and found.periodic


def test_periods_that_vary_are_still_periodic():
    rng = np.random.default_rng(0)
    ends = np.cumsum(rng.normal(60, 6, 30))
    time = np.arange(1000)
    phase = time - np.concatenate([[0], ends])[np.searchsorted(ends, time, side="right")]
    found = find_period(phase * 0.03, seed=0)
    assert found.periodic and found.period == pytest.approx(60, rel=0.1)


def test_a_saw_tooth_that_first_settles_is_periodic():
    time = np.arange(600)
    curve = time % 40 / 50 - 4 * np.exp(-time / 60) + 0.02 * np.random.default_rng(0).standard_normal(600)
    found = find_period(curve, seed=0)
    assert found.periodic and found.period == pytest.approx(40, rel=0.02)


def test_fewer_than_three_periods_are_not_called_periodic():
    found = find_period(np.sin(2 * np.pi * np.arange(200) / 90), seed=0)
    assert not found.period > 200 / 3


def test_the_order_in_time_matters():
    rng = np.random.default_rng(0)
    curve = np.arange(256) % 32 + rng.standard_normal(256)
    assert find_period(curve, seed=0).periodic
    assert not find_period(rng.permutation(curve), seed=0).periodic


def test_autocorrelation_is_the_sum_of_products():
    values = np.random.default_rng(0).standard_normal((2, 30)).cumsum(axis=-1)
    time = np.arange(30)
    for curve, found in zip(values, autocorrelation(values), strict=True):
        level = curve - np.polynomial.Polynomial.fit(time, curve, 4)(time)
        expected = [level[: 30 - lag] @ level[lag:] / (level @ level) for lag in range(30)]
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_straight_line_has_no_period_and_bad_curves_are_answered():
    assert not find_period(np.linspace(0, 5, 100), seed=0).periodic
    assert np.isnan(find_period(np.full(100, 0.3), seed=0).period)
    with pytest.raises(ValueError, match="NaN"):
        find_period(np.array([np.nan] * 30), seed=0)
    with pytest.raises(ValueError, match="5 evaluations are too few"):
        find_period(np.zeros(5), seed=0)
