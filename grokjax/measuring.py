"""What is read off the trained networks of a sweep, one run after another, and kept beside its result.

    def measure(snapshots):                     # the LiveRuns of one run, in order of step, the final one last
        norms = [float(optax.tree.norm(run.params)) for run in snapshots]
        return xr.Dataset({"norm": ("snapshot", norms)}, {"snapshot": [run.step for run in snapshots]})

    gj.measure("results/add.npz", measure)["norm"]          # [axes..., snapshot]

A sweep keeps the final parameters of its runs; with `snapshots=100` also those at about 100 log-spaced steps.
"""

import hashlib
import inspect
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from grokjax import results
from grokjax.live import LiveRun, snapshots
from grokjax.messages import say
from grokjax.results import ResultError
from grokjax.results.measures import OWN, load_measures, measures_of, row_of_each
from grokjax.results.values import listed
from grokjax.sweeps.progress import Counted

Measure = Callable[[Sequence[LiveRun]], xr.Dataset]
"""From the kept parameters of one run, in order of step, to numbers: each variable along axes of its own."""

WRITE_SECONDS = 60.0
"""Between two times that the measures so far are written."""


def measure(
    path: str | os.PathLike, function: Measure, *, overwrite: bool = False, progress: bool = True, **own: Any
) -> xr.Dataset:
    """Applies a measure to every ended run of a result, and keeps what it gives in <result>.measures.npz.

    Runs that this measure has been applied to before are not measured again, unless they have gone on since or the
    source of the measure's module has changed.

    Args:
      path: the result, with the parameters of its runs beside it.
      function: the measure. It is given a run's kept parameters in order of step, the final ones last, and returns
        a dataset of numbers. Axes of the same name, such as 'snapshot', may differ between runs: what one lacks is NaN.
      overwrite: measure all runs again.
      progress: say how many have been measured.
      **own: task, model, optimizer, loss or metrics, where they are your own code, as `grokjax.open_run` takes them.

    Returns:
      The result and its measures, as one dataset.

    Raises:
      ResultError: as `grokjax.open_run`; also where a measure gives what cannot be kept.
    """
    grid = results.load(path, fill=None)
    code = _code_of(function)
    found: dict[int, xr.Dataset] = {} if overwrite else _kept(path, grid, code)
    ended = ~grid["status"].isin(results.UNFINISHED).values.ravel()
    missing = [int(i) for i in np.flatnonzero(ended) if int(i) not in found]
    written = time.monotonic()
    try:
        for i in Counted(missing, len(missing), "measuring runs", lambda line: say(line, progress)):
            found[i] = _numbers(path, function(list(snapshots(path, **_selection(grid, i), **own))), grid)
            if time.monotonic() - written > WRITE_SECONDS:
                _write(path, grid, found, code)
                written = time.monotonic()
    finally:
        if missing and found:
            _write(path, grid, found, code)
    return results.with_measures(path)


def _code_of(function: Measure) -> str:
    """The source of a measure's module, or of itself in a notebook, as a hash."""
    for code in (inspect.getmodule(function), function):
        try:
            return hashlib.sha256(inspect.getsource(code).encode()).hexdigest()[:16]
        except (OSError, TypeError):
            continue
    return ""


def _kept(path: str | os.PathLike, grid: xr.Dataset, code: str) -> dict[int, xr.Dataset]:
    """What this measure has given before, by the place of the run in the grid."""
    before = load_measures(path)
    if before is None or json.loads(before.attrs["meta"])["config"].get("measure") != code:
        return {}
    dims = before["run_id"].dims
    flat = before.drop_vars([*before.coords, *(name for name in OWN if name in before)], errors="ignore")
    flat = flat.assign_coords({dim: before[dim] for dim in before.dims if dim not in {*dims, "step"}})
    flat = flat.stack(run=dims, create_index=False)
    return {i: flat.isel(run=row) for i, row in enumerate(row_of_each(grid, before)) if row >= 0}


def _selection(grid: xr.Dataset, place: int) -> dict[str, Any]:
    """The coordinates that single out one run of a grid."""
    dims = grid["status"].dims
    index = dict(zip(dims, np.unravel_index(place, grid["status"].shape), strict=True))
    along = [name for name in grid.coords if len(grid[name].dims) == 1 and grid[name].dims[0] in dims]
    return {str(name): grid[name].values[index[grid[name].dims[0]]].item() for name in along}


def _numbers(path: str | os.PathLike, given: Any, grid: xr.Dataset) -> xr.Dataset:
    """What a measure gave for one run, every axis with its coordinate; ResultError where it cannot be kept."""
    if not isinstance(given, xr.Dataset):
        raise ResultError(f"A measure of {path} gave a {type(given).__name__}. Return an xarray.Dataset.")
    for name, values in given.variables.items():
        taken = name in grid.variables or any(dim in grid.dims for dim in values.dims)
        if taken or name in OWN or values.dtype.kind not in "fiub":
            raise ResultError(
                f"A measure of {path} gave {name} {list(values.dims)} of type {values.dtype}. Use numbers, and other "
                f"names and axes than the result has: {listed([*grid.dims, *grid.data_vars], 40)}."
            )
    return given.assign_coords({dim: np.arange(size) for dim, size in given.sizes.items() if dim not in given.coords})


def _write(path: str | os.PathLike, grid: xr.Dataset, found: dict[int, xr.Dataset], code: str) -> None:
    """Writes the file of measures: those of each run at its place, NaN elsewhere."""
    dims, shape = grid["status"].dims, grid["status"].shape
    places = sorted(found)
    joined = xr.concat([found[i] for i in places], "run", join="outer", coords="minimal", compat="override")
    coords = [name for name in grid.coords if len(grid[name].dims) == 1 and grid[name].dims[0] in dims]
    arrays = {str(name): grid[name].values for name in (*coords, "step", "status", "run_id", "last_step")}
    axes = {name: list(grid[name].dims) for name in arrays}
    measured = np.zeros(grid["status"].size, bool)
    measured[places] = True
    arrays["measured"], axes["measured"] = measured.reshape(shape), list(dims)
    more = [dim for dim in joined.dims if dim != "run"]
    arrays |= {str(dim): joined[dim].values for dim in more}
    axes |= {str(dim): [str(dim)] for dim in more}
    words = {str(name): joined[name].attrs for name in joined.variables}
    for name in joined.data_vars:
        own = [dim for dim in joined[name].dims if dim != "run"]
        values = joined[name].transpose("run", *own).values
        whole = np.full((grid["status"].size, *values.shape[1:]), np.nan, np.float32)
        whole[places] = values
        arrays[str(name)], axes[str(name)] = whole.reshape((*shape, *values.shape[1:])), [*dims, *map(str, own)]
    meta = {
        "dims": axes,
        "coords": [*map(str, coords), "step", *map(str, more)],
        "config": {"measure": code},
        "long_name": {name: str(of["long_name"]) for name, of in words.items() if "long_name" in of},
        "units": {name: str(of["units"]) for name, of in words.items() if "units" in of},
    }
    results.write(measures_of(path), arrays, meta)
