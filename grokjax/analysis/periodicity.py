"""Whether a curve is periodic, and its period: autocorrelation against surrogates of random phase.

Surrogates that keep a curve's periodogram also keep its autocorrelation (Wiener and Khinchin), and those of a periodic
curve are periodic themselves. So the null here keeps only the smooth part of the spectrum, which white, pink and red
noise have as well, and not the lines by which a periodic curve stands out of it.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

LEAST_PERIODS = 3
"""Periods that a curve must show: noise with a falling spectrum has one or two humps by chance."""

LEAST_EVALUATIONS = 24
"""With fewer there is no spectrum to fit."""

SMOOTHNESS = 2
"""Degree in the logarithm of the frequency of the smooth spectrum's logarithm: 1 is a power law, 2 may bend."""

IN_TREND = 2
"""Lowest frequencies that the trend takes away, and to which the spectrum is continued. If they were fitted as well, a
tenth of pink curves of 1,000 evaluations would be called periodic."""

CAUTION = 1.5
"""By how much the spectrum is less certain than the fit says, since it is only nearly such a curve."""

MOST_EVALUATIONS = 600
"""A longer curve is averaged in blocks, or its highest frequencies alone decide the fit."""

NEARLY = 0.7
"""A fraction of the best lag that rises to this share of its height is the period, and the best lag a multiple."""

TREND = 4
"""Degree of the trend that is taken away first: training settles before it repeats itself."""

LEVEL = 0.05
"""The p-value below which a curve is called periodic."""


class Period(NamedTuple):
    """The period of a curve.

    Attributes:
      period: in the unit of the spacing; the best one, significant or not. Where periods vary much, maybe two of them.
      strength: how far the autocorrelation rises from its lowest value before it to its peak at the period, 0 to 2.
      p_value: the share of surrogates with a rise as large anywhere.
    """

    period: float
    strength: float
    p_value: float

    @property
    def periodic(self) -> bool:
        """Whether noise of the same smooth spectrum shows as much in less than 5 % of curves."""
        return self.p_value < LEVEL


def autocorrelation(values: Num[np.ndarray, "*curves evaluations"]) -> Float[np.ndarray, "*curves evaluations"]:
    """[..., lags]: correlation of a curve, less its trend, with itself; 1 at lag 0, 0 beyond the curve's ends.

    The sum over the n - lag pairs is divided by n at every lag, so that long lags, of few pairs, count less.
    """
    values = _level(np.asarray(values, np.float64))
    n = values.shape[-1]
    power = np.abs(np.fft.rfft(values, 2 * n)) ** 2
    products = np.fft.irfft(power, 2 * n)[..., :n]
    largest = products[..., :1]
    return np.divide(products, largest, out=np.zeros_like(products), where=largest > 0)


def find_period(
    values: Num[np.ndarray, " evaluations"], seed: int, spacing: float = 1.0, num_surrogates: int = 999
) -> Period:
    """The period of a curve, and whether noise would show one as clearly.

    Args:
      values: [evaluations], equally spaced, without NaN.
      seed: of the surrogates.
      spacing: steps or epochs between evaluations.
      num_surrogates: curves that the p-value rests on; its least value is 1/(num_surrogates + 1).

    Returns:
      The period; NaN with a p-value of 1 for a curve that is a trend alone, or whose autocorrelation has no peak.

    Raises:
      ValueError: for a NaN or too few evaluations.

    Source: surrogates of random phase, Theiler et al. 1992; a smooth null spectrum with the uncertainty of its fit,
    Vaughan 2010, arXiv:0910.2706; the statistic is ours.
    """
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise ValueError("There is a NaN in the curve. Leave out what was not evaluated.")
    if len(values) < LEAST_EVALUATIONS:
        raise ValueError(f"{len(values)} evaluations are too few to show a period. Pass at least {LEAST_EVALUATIONS}.")
    block = -(-len(values) // MOST_EVALUATIONS)
    values = values[: len(values) // block * block].reshape(-1, block).mean(axis=-1)
    if not np.ptp(_level(values)) > 1e-12 * np.abs(values).max():
        return Period(np.nan, 0.0, 1.0)
    correlation = autocorrelation(values)
    rise = _rises(correlation)
    longest = len(values) // LEAST_PERIODS
    strength = rise[: longest + 1].max()
    if not strength:
        return Period(np.nan, 0.0, 1.0)
    null = _rises(autocorrelation(surrogates(values, num_surrogates, seed)))[:, : longest + 1].max(axis=-1)
    p_value = (1 + np.sum(null >= strength)) / (1 + num_surrogates)
    lag = _shortest(rise, int(rise[: longest + 1].argmax()))
    return Period(float(_refined(correlation, lag) * block * spacing), float(strength), float(p_value))


def surrogates(
    values: Float[np.ndarray, " evaluations"], count: int, seed: int
) -> Float[np.ndarray, "count evaluations"]:
    """[count, evaluations]: Gaussian noise of the curve's smooth spectrum.

    The smooth spectrum is the exponential of a polynomial in ln f, fitted to the logarithm of the periodogram. Each
    surrogate draws a polynomial within the uncertainty of the fit, then amplitudes and phases.

    Measured on 2,000 curves each of 96, 300 and 1,000 evaluations, at most 0.4 % of white noise come out as periodic,
    1.4 % of pink, 4.6 % of red, and 4.9 % of a first-order autoregression of .9.

    Args:
      values: the curve.
      count: surrogates.
      seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    power = np.abs(np.fft.rfft(_level(values)))[1:] ** 2
    # What rounding alone leaves is no spectrum; nor is the highest frequency of an even count, which has one degree.
    power = np.log(np.maximum(power, 1e-20 * power.max())[: (n - 1) // 2])
    frequency = np.log(np.arange(1, len(power) + 1))
    powers = np.vander((frequency - frequency.mean()) / frequency.std(), SMOOTHNESS + 1)
    basis, triangle = np.linalg.qr(powers[IN_TREND:])
    fit = basis.T @ power[IN_TREND:]
    # A periodogram over its mean is exponential: the variance of its logarithm is pi^2/6. Lines add to it.
    residual = power[IN_TREND:] - basis @ fit
    deviation = CAUTION * np.sqrt(max(np.pi**2 / 6, residual @ residual / (len(residual) - len(fit))))
    drawn = np.linalg.solve(triangle, (fit + deviation * rng.standard_normal((count, len(fit)))).T)
    amplitude = np.exp((powers @ drawn).T / 2)
    spectrum = np.zeros((count, n // 2 + 1), np.complex128)
    spectrum[:, 1 : len(power) + 1] = amplitude * _complex_normal(rng, (count, len(power)))
    return np.fft.irfft(spectrum, n)


def _rises(correlation) -> Float[np.ndarray, "*curves evaluations"]:
    """[..., lags]: how far each peak rises above the lowest value before it; 0 where there is no peak."""
    rise = np.zeros_like(correlation)
    lowest = np.minimum.accumulate(correlation, axis=-1)[..., :-2]
    before, at, after = correlation[..., :-2], correlation[..., 1:-1], correlation[..., 2:]
    rise[..., 1:-1] = np.where((at >= before) & (at >= after), at - lowest, 0.0)
    return rise


def _shortest(rise, lag: int) -> int:
    """The lag of a peak near the smallest fraction 1/k of `lag` that rises nearly as far; `lag` itself if none does."""
    for parts in range(lag // 3, 1, -1):
        middle, reach = lag / parts, max(1.0, 0.1 * lag / parts)
        first = max(2, int(np.ceil(middle - reach)))
        near = rise[first : int(middle + reach) + 1]
        if near.size and near.max() >= NEARLY * rise[lag]:
            return first + int(near.argmax())
    return lag


def _refined(correlation, lag: int) -> float:
    """`lag` moved to the top of the parabola through the peak and its neighbours."""
    before, at, after = correlation[lag - 1 : lag + 2]
    bend = before - 2 * at + after
    return lag + (float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0)


def _level(values):
    """Curves less their trends."""
    basis = _trends(values.shape[-1])
    return values - (values @ basis) @ basis.T


@functools.lru_cache(maxsize=8)
def _trends(evaluations: int) -> np.ndarray:
    """[evaluations, TREND + 1] an orthonormal basis of the polynomials."""
    return np.linalg.qr(np.vander(np.linspace(-1, 1, evaluations), TREND + 1))[0]


def _complex_normal(rng, shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
