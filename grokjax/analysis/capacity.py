"""Memory capacity: how many rows of random labels a model can hold.

Source: Huang et al. 2024, arXiv:2402.15175.
"""

import numpy as np
from jaxtyping import Float, Num

from grokjax.analysis.correlation import spearman
from grokjax.analysis.statistics import Estimate, location


def memorised(
    train_accuracy: Float[np.ndarray, "*runs"], num_train: Num[np.ndarray, "*#runs"] | int
) -> Float[np.ndarray, "*runs"]:
    """[runs...] rows answered rightly; +inf where all of them are, for the capacity is then at least as large."""
    rows = np.rint(np.asarray(train_accuracy, np.float64) * num_train)
    return np.where(rows >= num_train, np.inf, rows)


def capacity(train_accuracy: Float[np.ndarray, " runs"], num_train: Num[np.ndarray, " #runs"] | int) -> Estimate:
    """The memory capacity of one model, in rows, over its seeds.

    Args:
      train_accuracy: [runs], final, on random labels; NaN where not run.
      num_train: rows that train, chance level not subtracted.
    """
    rows = memorised(train_accuracy, num_train)
    return location(rows[~np.isnan(rows)])


def trend(sizes: Num[np.ndarray, " sizes"], rows: Num[np.ndarray, "seeds sizes"]) -> Estimate:
    """Spearman's correlation of size and memorised rows over all runs; rows that are +inf tie as the largest."""
    x = np.broadcast_to(sizes, np.shape(rows)).ravel()
    y = np.ravel(rows)
    return spearman(x[~np.isnan(y)], y[~np.isnan(y)])
