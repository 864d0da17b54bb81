"""Memory capacity: how many rows of random labels a model can hold.

Source: Huang et al. 2024, arXiv:2402.15175.
"""

import numpy as np
from jaxtyping import Float, Num

from grokjax.analysis.correlation import spearman
from grokjax.analysis.statistics import Between, Estimate, location


def memorised(train_accuracy: Float[np.ndarray, " runs"], num_train: Num[np.ndarray, " #runs"] | int) -> Between:
    """[runs] rows answered rightly; where all of them are, the capacity is at least as large, and no bound above known.

    Args:
      train_accuracy: final, on random labels; NaN where not run, which is left out.
      num_train: rows that train. Chance level is not subtracted.
    """
    accuracy, num_train = np.broadcast_arrays(np.asarray(train_accuracy, np.float64), num_train)
    known = ~np.isnan(accuracy)
    rows, all_rows = np.rint(accuracy[known] * num_train[known]), num_train[known]
    return Between(rows, np.where(rows >= all_rows, np.inf, rows))


def capacity(train_accuracy: Float[np.ndarray, " runs"], num_train: Num[np.ndarray, " #runs"] | int) -> Estimate:
    """The memory capacity of one model, in rows, over its seeds; arguments as of `memorised`."""
    return location(memorised(train_accuracy, num_train))


def trend(sizes: Num[np.ndarray, " sizes"], rows: Num[np.ndarray, "seeds sizes"]) -> Estimate:
    """Spearman's correlation of size and memorised rows over all runs; rows that are +inf, where all
    were memorised, tie as the largest."""
    x = np.broadcast_to(sizes, np.shape(rows)).ravel()
    y = np.ravel(rows)
    return spearman(x[~np.isnan(y)], y[~np.isnan(y)])
