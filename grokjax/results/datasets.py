"""The labelled xarray form of a result."""

import os
import re
from collections.abc import Mapping

import numpy as np
import xarray as xr

from grokjax.results import meta as metadata
from grokjax.results.archives import path_of
from grokjax.results.files import _misstated, coords_of, misfit, read
from grokjax.results.values import UNFINISHED, ResultError, fill_last

_LONG_NAMES = {
    "step": "step",
    "seed": "seed",
    "train_fraction": "train fraction (alpha)",
    "modulus": "modulus p",
    "variant_label": "arm",
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "last_step": "last step",
    "max_val_accuracy": "highest validation accuracy",
    "final_val_accuracy": "final validation accuracy",
    "num_train": "training rows",
    "steps_per_epoch": "steps per epoch",
    "run_id": "run",
}


def load(path: str | os.PathLike, fill: str | None = "last") -> xr.Dataset:
    """Reads a result file as a labelled dataset.

    Args:
      path: the NPZ.
      fill: "last" carries each curve's last value on, through holes and past the end of its run. Runs that
        grok may stop early, so without this exactly they would drop out of a median over seeds. None keeps
        the NaNs.

    Returns:
      A dataset with the file's names, dimensions and coordinates (zipped ones as non-index coordinates),
      `long_name` and `units` on every variable, and the meta as JSON text in `attrs["meta"]`.

    Raises:
      ResultError: as in `read`.
    """
    return to_dataset(*read(path), fill=fill)


def peek(path: str | os.PathLike, fill: str | None = "last") -> xr.Dataset:
    """What is known so far of a sweep that still goes on, which writes it every so often; as `load`.

    Runs that have not ended have the `status` 'under way', curves as far as they are known, and NaN in place of all
    that only their end will tell.

    Raises:
      ResultError: as in `read`; also where a sweep has just begun, and nothing is written.
    """
    if not os.path.exists(path_of(path)):
        raise ResultError(
            f"There is no {path} yet. A sweep writes it every --checkpoint_minutes, and when it is interrupted."
        )
    return load(path, fill)


def to_dataset(arrays: Mapping[str, np.ndarray], meta: Mapping[str, object], fill: str | None = "last") -> xr.Dataset:
    """The dataset of arrays and meta as `read` returns them and `write` takes them; see `load`.

    Raises:
      ResultError: if arrays and meta do not fit together.
    """
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    if fill not in ("last", None):
        raise ResultError(f"fill={fill!r} is not known. Try 'last', or None to keep the NaNs.")
    if wrong := misfit(arrays, meta) or _misstated(arrays):
        raise ResultError(f"These arrays are no result: {wrong}.")
    try:
        text = metadata.dumped(meta)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"These arrays are no result: their meta is not strict JSON ({error}).") from error
    long_names, units, dims = meta.get("long_name", {}), meta.get("units", {}), meta["dims"]
    coords = meta.get("coords", coords_of(dims))
    labelled = {
        name: xr.Variable(
            dims[name],
            value,
            {"long_name": long_names.get(name, long_name_of(name)), "units": units.get(name, units_of(name))},
        )
        for name, value in arrays.items()
    }
    grid = xr.Dataset(
        {name: v for name, v in labelled.items() if name not in coords},
        {name: v for name, v in labelled.items() if name in coords},
        {"meta": text},
    )
    return filled(grid) if fill == "last" else grid


def filled(grid: xr.Dataset, *names: str) -> xr.Dataset:
    """`grid` with every NaN of a curve replaced by the last value before it.

    What comes before the first evaluation stays NaN, and so does what a run that has not ended is yet to do.

    Args:
      grid: with curves along "step".
      *names: of the curves; by default all.
    """
    new = {}
    if "status" in grid:
        status = grid["status"].variable
        ended, begun = status.copy(data=~np.isin(status, UNFINISHED)), status != "not run"
    for name in names or grid.data_vars:
        curve = grid[name].variable  # which has no coordinates to align
        if "step" in curve.dims and np.issubdtype(curve.dtype, np.floating):
            new[name] = curve.copy(data=fill_last(curve.values, curve.get_axis_num("step")))
            if "status" in grid:
                new[name] = new[name].where(ended | begun & curve.notnull()).transpose(*curve.dims)
    return grid.assign(new)


def long_name_of(name: str) -> str:
    """How a figure names a variable, where meta does not say."""
    if found := re.fullmatch(r"steps_to_(train|val)_(\d+)(_bracket)?", name):
        part = {"train": "training", "val": "validation"}[found[1]]
        before = "last evaluation before " if found[3] else "steps to "
        return f"{before}{found[2]} % {part} accuracy"
    return _LONG_NAMES.get(name, name.replace("_", " "))


def units_of(name: str) -> str:
    """The unit of a variable, where meta does not say; "1" for fractions, counts and names."""
    if name.startswith("steps_to_") or name in ("step", "last_step"):
        return "step"
    return "nat" if name.endswith("_loss") else "1"
