"""What was measured of the runs of a result, in a file beside it: <result>.measures.npz.

It is a result file of its own, with the axes of the sweep, each run's `run_id` and `last_step` when it was measured,
`measured` (whether it was), and the measures, [axes..., more axes], NaN where not measured.
"""

import os
from pathlib import Path

import numpy as np
import xarray as xr

from grokjax.results.archives import path_of
from grokjax.results.datasets import load
from grokjax.results.values import ResultError

SUFFIX = ".measures.npz"
OWN = ("step", "status", "run_id", "last_step", "measured")
"""What a file of measures holds beside coordinates and measures."""


def measures_of(path: str | os.PathLike) -> Path:
    """Where the measures of a result are kept."""
    return path_of(path).with_suffix(SUFFIX)


def load_measures(path: str | os.PathLike) -> xr.Dataset | None:
    """The measures of a result, with `run_id`, `last_step` and `measured`; None where nothing was measured.

    Args:
      path: of the result.

    Raises:
      ResultError: if their file cannot be read.
    """
    file = measures_of(path)
    return load(file, fill=None) if file.exists() else None


def with_measures(path: str | os.PathLike, fill: str | None = "last") -> xr.Dataset:
    """A result and what was measured of its runs, as one dataset.

    Measures of runs that have gone on since, or are of another sweep, are left out.

    Args:
      path: of the result.
      fill: as in `load`; measures stay as they are.

    Raises:
      ResultError: if a file cannot be read, or a measure has the name of something in the result.
    """
    grid = load(path, fill)
    found = load_measures(path)
    if found is None:
        return grid
    dims = grid["status"].dims
    rows = row_of_each(grid, found)
    new = {}
    for name in found.data_vars:
        if name in OWN:
            continue
        if name in grid.variables:
            raise ResultError(f"{measures_of(path)} has a measure {name}, and so has {path}. Give it another name.")
        measure = found[name]
        more = [dim for dim in measure.dims if dim not in found["run_id"].dims]
        flat = measure.transpose(*found["run_id"].dims, *more).values
        flat = flat.reshape(-1, *flat.shape[found["run_id"].ndim :])
        values = np.where(np.reshape(rows < 0, (-1, *[1] * len(more))), np.nan, flat[rows])
        shape = (*(grid.sizes[dim] for dim in dims), *values.shape[1:])
        new[name] = ([*dims, *more], values.reshape(shape).astype(flat.dtype), measure.attrs)
    coords = {dim: found[dim] for dim in found.dims if dim not in {*found["run_id"].dims, "step"}}
    return grid.assign(new).assign_coords(coords)


def row_of_each(grid: xr.Dataset, found: xr.Dataset) -> np.ndarray:
    """[runs]: which row of the measures is that of a run of the grid, as far as it has come; -1 where none is."""

    def rows(of):
        return zip(of["run_id"].values.ravel().tolist(), of["last_step"].values.ravel().tolist(), strict=True)

    there = {row: i for i, row in enumerate(rows(found)) if found["measured"].values.ravel()[i]}
    return np.array([there.get(row, -1) for row in rows(grid)], int)
