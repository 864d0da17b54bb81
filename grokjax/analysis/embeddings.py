"""What rows of an embedding or an output layer look like: two-dimensional pictures, and the number line measured.

Source: figure 3 of Power et al. 2022, arXiv:2201.02177: t-SNE of the output layer of x+y mod 97, in which the line that
joins x to x+k runs around a circle.
"""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from grokjax.analysis.groups import Group
from grokjax.analysis.spectra import embedding_spectrum


class Projection(NamedTuple):
    """Rows seen along their principal components.

    Attributes:
      points: [rows, components].
      share: [components], of the variance, decreasing.
    """

    points: Float[np.ndarray, "rows components"]
    share: Float[np.ndarray, " components"]


def pca(rows: Num[np.ndarray, "rows features"], components: int = 2) -> Projection:
    """Principal components, each with the sign that makes its largest loading positive, so that pictures repeat."""
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    _, scale, loadings = np.linalg.svd(centred, full_matrices=False)
    loadings = loadings[:components]
    largest = np.abs(loadings).argmax(axis=1)
    loadings = loadings * np.sign(loadings[np.arange(len(loadings)), largest])[:, None]
    power = scale**2
    share = power[:components] / power.sum() if power.sum() else np.zeros(len(loadings))
    return Projection(centred @ loadings.T, share)


def tsne(rows: Num[np.ndarray, "rows features"], seed: int, perplexity: float = 30.0) -> Float[np.ndarray, "rows 2"]:
    """[rows, 2] t-SNE, started from the principal components.

    Args:
      rows: e.g. the columns of an output layer, one per class, transposed.
      seed: of scikit-learn's random state.
      perplexity: about how many neighbours count; less than the number of rows.

    Source: van der Maaten and Hinton 2008, by scikit-learn.
    """
    from sklearn.manifold import TSNE  # a second to import, and only needed here

    embedded = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(np.asarray(rows, np.float64))
    return embedded.astype(np.float64)


class NumberLine(NamedTuple):
    """In which order points lie around their centre.

    Attributes:
      frequency: k of 1 .. p/2 such that residue x lies at an angle nearest to 2 pi k x/p.
      correlation: |mean of exp(i (angle - 2 pi k x/p))|, 1 for points exactly in this order at equal angles.
      step: residues x and x + step are neighbours on the circle, step k = +-1 mod p; None where k and p have a divisor
        in common, and residues coincide.
      p_value: the share of random orders with a frequency as good.
    """

    frequency: int
    correlation: float
    step: int | None
    p_value: float


def number_line(points: Num[np.ndarray, "residues 2"], seed: int, num_draws: int = 999) -> NumberLine:
    """The circular order of the residues 0 .. p-1 in a picture, such as `pca` or `tsne` gives.

    Args:
      points: [residues, 2], the point of each residue, in order.
      seed: of the random orders.
      num_draws: random orders that the p-value rests on.
    """
    x, y = (np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64)).T
    direction = np.exp(1j * np.arctan2(y, x))
    modulus = len(direction)
    resultants = np.abs(np.fft.fft(direction))[1:] / modulus  # k turns one way, p - k the other
    best = int(resultants.argmax()) + 1
    frequency = min(best, modulus - best)
    shuffled = np.random.default_rng(seed).permuted(np.tile(direction, (num_draws, 1)), axis=1)
    null = np.abs(np.fft.fft(shuffled, axis=1))[:, 1:].max(axis=1) / modulus
    p_value = (1 + np.sum(null >= resultants[best - 1])) / (1 + num_draws)
    step = None
    if math.gcd(frequency, modulus) == 1:
        inverse = pow(frequency, -1, modulus)
        step = min(inverse, modulus - inverse)
    return NumberLine(frequency, float(resultants[best - 1]), step, float(p_value))


def power_shares(rows: Num[np.ndarray, "elements features"], group: Group) -> xr.DataArray:
    """The share of power that rows of an embedding or an output layer have at each frequency, the constant left out.

    The largest share is that of the top frequency: 1 for a circle, about 2/(p - 1) for noise.

    Args:
      rows: one per element of the group; others, such as '=', are left out.
      group: of the task, e.g. `groups.cyclic(97)`.

    Returns:
      [frequencies], or [representations]; they add up to 1.
    """
    power = embedding_spectrum(rows, group) ** 2
    return (power / power.sum()).assign_attrs(long_name="share of power", units="1")
