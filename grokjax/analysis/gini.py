"""How unequally a quantity is spread: the Gini coefficient."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Num

from grokjax.analysis import named


def gini(values: Num[Any, "*batch parts"]) -> xr.DataArray:
    """1 - 2 sum_i (n_i/sum n)(m - i + 1/2)/m of values n_1 <= ... <= n_m.

    0 where all are equal; 1 - s/m where s of the m are equal and the others zero.

    Args:
      values: not negative, such as the norms of Fourier components.

    Returns:
      [...], NaN where all values are zero.

    Raises:
      ValueError: for a negative value, or no value at all.

    Source: Hurley and Rickard 2009, arXiv:0811.4706; of Fourier components, Nanda et al. 2023, arXiv:2301.05217.
    """
    array, before = named.leading(values, 1)
    ordered = np.sort(array.astype(np.float64), axis=-1)
    count = ordered.shape[-1]
    if not count or np.any(ordered < 0):
        raise ValueError(
            f"values of shape {array.shape} are empty or negative in part, and a Gini coefficient is of amounts. "
            "Pass norms or powers."
        )
    weights = (count - np.arange(1, count + 1) + 0.5) / count
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 1 - 2 * (ordered @ weights) / ordered.sum(-1)
    return before.labelled(found, {}, "Gini coefficient")
