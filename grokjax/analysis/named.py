"""Arrays with leading axes, such as runs and snapshots: plain or labelled in, labelled out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr


class Leading(NamedTuple):
    """The axes of an array before those that a measure works on.

    Attributes:
      dims: their names; those of a labelled array, or 'batch', or 'batch_0', 'batch_1', ...
      shape: their sizes.
      coords: coordinates along them.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Mapping[str, Any]

    def spread(self, values, core: int, name: str) -> np.ndarray:
        """[leading..., core...]: an array with any of the leading axes, repeated along those that it lacks.

        Args:
          values: plain (its leading axes follow NumPy's rules) or labelled (its leading axes are matched by name).
          core: its last axes, which are left alone.
          name: what an error calls it.

        Raises:
          ValueError: for a leading axis that is not among these, or of another size.
        """
        array = np.asarray(values)
        kept = array.shape[array.ndim - core :]
        if isinstance(values, xr.DataArray):
            own = values.dims[: array.ndim - core]
            if unknown := [dim for dim in own if dim not in self.dims]:
                raise ValueError(
                    f"{name} has an axis {unknown[0]!r} and the measured array has {list(self.dims)}. Select one of "
                    f"its values, such as {name}.isel({unknown[0]}=-1)."
                )
            order = sorted(range(len(own)), key=lambda i: self.dims.index(own[i]))
            array = array.transpose(*order, *range(len(own), array.ndim))
            sizes = dict(zip(own, values.shape, strict=False))
            array = array.reshape(*(sizes.get(dim, 1) for dim in self.dims), *kept)
        try:
            return np.broadcast_to(array, (*self.shape, *kept))
        except ValueError:
            raise ValueError(
                f"{name} has shape {np.shape(values)}, which does not fit leading axes {list(self.dims)} of shape "
                f"{self.shape}. Give each of its leading axes their size, or 1."
            ) from None

    def labelled(
        self, values, core: Mapping[str, Sequence | np.ndarray | None], long_name: str, units: str = "1"
    ) -> xr.DataArray:
        """[leading..., core...] as a labelled array.

        Args:
          values: the array.
          core: per last axis its name, and its coordinate or None.
          long_name: how a figure names the values.
          units: of the values.
        """
        coords = dict(self.coords) | {dim: labels for dim, labels in core.items() if labels is not None}
        attributes = {"long_name": long_name, "units": units}
        return xr.DataArray(values, dims=(*self.dims, *core), coords=coords, attrs=attributes)


def leading(values, core: int) -> tuple[np.ndarray, Leading]:
    """An array without its labels, and its leading axes.

    Args:
      values: [leading..., core...], NumPy's, JAX's or labelled.
      core: the number of its last axes.

    Raises:
      ValueError: if there are fewer axes than that.
    """
    array = np.asarray(values)
    if array.ndim < core:
        raise ValueError(f"An array of shape {array.shape} has fewer than the {core} axes that this measure needs.")
    count = array.ndim - core
    if not isinstance(values, xr.DataArray):
        names = ("batch",) if count == 1 else tuple(f"batch_{i}" for i in range(count))
        return array, Leading(names, array.shape[:count], {})
    dims = tuple(str(dim) for dim in values.dims[:count])
    coords = {name: c for name, c in values.coords.items() if set(c.dims) <= set(dims)}
    return array, Leading(dims, array.shape[:count], coords)
