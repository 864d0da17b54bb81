"""The result of a sweep: one NPZ file, its labelled xarray form, and the tables read off it.

A file holds plain arrays (`numpy.load(path, allow_pickle=False)` reads it) and one JSON string, `meta`, which
names the dimensions of every array. It is written whole or not at all, and read with checksums: a damaged
file is an error in one sentence, never wrong numbers. Schema 2:

* coordinates: one array per axis under its name; zipped axes lie along one dimension, named after the first;
  `step`.
* curves, float32 [axes..., step]: `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, and any more.
  NaN where not evaluated and after `last_step`.
* per run, [axes...]: `steps_to_{train,val}_{50,90,95,99}` (+inf = never reached, NaN = not ended) and the same
  with `_bracket`, `status` (one of `STATUSES`), `last_step` (-1 = not run), `max_val_accuracy`,
  `final_val_accuracy`, `num_train`, `steps_per_epoch`, `run_id`.
* `meta`: {"schema": 2, "dims": {array: [dims]}, "coords": [arrays that are coordinates], "long_name": {array:
  text}, "config": {...}, "params": folder of the final parameters, relative to the file, or null,
  "checksums": {array: its type, shape and SHA-256}, "checksum": of all of meta, ...}.

Schema 1 is read as well. It is the same without the checksum of meta, so an edited label is not noticed there.
"""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import re
import reprlib
import stat
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from grokjax import meta as metadata

SCHEMA = 2
READS = (1, 2)
"""Schemas that can be read."""

STATUSES = ("finished", "stopped", "diverged", "under way", "not run")
UNFINISHED = ("under way", "not run")
"""Of runs that have not ended: in the result of a sweep that still goes on, or was interrupted."""

REQUIRED = ("step", "status", "last_step", "run_id")
"""Arrays without which nothing below can be computed; the others depend on what was asked of the sweep."""

TIDY_PER_RUN = (
    "run_id",
    "status",
    "last_step",
    "num_train",
    "steps_per_epoch",
    "steps_to_train_99",
    "steps_to_val_99",
)
"""The per-run values that `tidy` repeats in every row, where a grid has them."""

DELAYED_RISE = 0.30
"""Validation accuracy must gain this much after the training set was memorised to count as grokking."""

_PER_RUN = re.compile(
    r"steps_to_(train|val)_\d+(_bracket)?|status|last_step|(max|final)_val_accuracy|num_train|steps_per_epoch|run_id"
)
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


class ResultError(ValueError):
    """A result that cannot be written, read or asked for what was asked: what, got, why, try."""


# ------------------------------------------------------------------------------------------------------------
# Files


def write(path: str | os.PathLike, arrays: Mapping[str, object], meta: Mapping[str, object]) -> None:
    """Writes a result file, whole or not at all; an older file at `path` is replaced only by a complete one.

    Two writes of the same content give the same bytes.

    Args:
      path: where to; its folder is made if need be.
      arrays: name -> array of numbers, booleans or unicode, as the schema above has them.
      meta: strict JSON (no NaN, no NumPy scalars) with at least "dims". "schema", "checksums", "checksum" and, if
        absent, "coords" are set here, in the file only. Without "coords", an array is a coordinate if it is named
        like its dimension, or is one-dimensional, has no step and has none of the schema's per-run names.

    Raises:
      ResultError: if arrays and meta do not fit together, or the file cannot be written.
    """
    path = _path(path)
    arrays = {name: _storable(path, name, value) for name, value in arrays.items()}
    checksums = {name: _checksum(SCHEMA, name, array) for name, array in arrays.items()}
    meta = dict(meta) | {"schema": SCHEMA, "checksums": checksums}
    if wrong := _misfit(arrays, meta) or _misstated(arrays):
        raise ResultError(f"{path} was not written: {wrong}.")
    meta.setdefault("coords", _coords(meta["dims"]))
    try:
        meta = metadata.parsed(metadata.dumped(meta))  # as it will be read
        text = np.array(metadata.dumped(meta | {"checksum": metadata.checksum(meta)}))
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(
            f"{path} was not written: its meta cannot be stored as strict JSON ({error}). Convert NumPy "
            "values with .item() or .tolist(), and NaN or infinity to null or text."
        ) from error
    if text.nbytes > MOST_META:
        raise ResultError(f"{path} was not written: its meta takes {_size(text.nbytes)}, more than {_size(MOST_META)}.")
    _replace(path, lambda stream: _pack(stream, {**arrays, "meta": text}))


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Reads a result file and checks all of it. What its arrays claim to be is checked before any is unpacked.

    Returns:
      (arrays, meta): what `write` was given, and meta with "schema", "checksums", "coords" and, from schema 2 on,
      "checksum".

    Raises:
      ResultError: if the file is missing, damaged, not a result, incomplete, of another schema, edited by hand (from
        schema 2 on), or unpacks to more than the machine's memory.
    """
    path = _path(path)
    with _opened(path, "result file", "Run the experiment that writes it, or check the path.") as archive:
        meta = _read_meta(path, archive)
        claimed = {name: member for name, member in archive.members.items() if name != "meta"}
        if wrong := _misfit(claimed, meta) or _misclaimed(claimed, meta):
            raise ResultError(f"{path} is damaged: {wrong}. {_AGAIN}")
        arrays = archive.read(claimed)
    if wrong := _misstated(arrays) or _tampered(arrays, meta):
        raise ResultError(f"{path} is damaged: {wrong}. {_AGAIN}")
    return arrays, meta


def _read_meta(path: Path, archive: "_Archive") -> dict:
    """The meta of an open result file, checked but for how it fits the arrays."""
    if "meta" not in archive.members:
        raise ResultError(
            f"{path} is an NPZ but not a result of a sweep: it has no 'meta', only {_listed(archive.members)}. "
            "Pass the file that a sweep wrote with --out."
        )
    if archive.members["meta"].nbytes > MOST_META:
        raise ResultError(
            f"{path} is not a result of a sweep: its 'meta' unpacks to {_size(archive.members['meta'].nbytes)}, and "
            f"that of a result to {_size(MOST_META)} at most. Pass the file that a sweep wrote with --out."
        )
    text = archive.read(["meta"])["meta"]
    try:
        meta = metadata.parsed(text.item())
        schema = meta["schema"]
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise ResultError(
            f"{path} is an NPZ but not a result of a sweep: its 'meta' is not the JSON of one. "
            "Pass the file that a sweep wrote with --out."
        ) from error
    if type(schema) is not int or schema not in READS:
        raise ResultError(
            f"{path} has schema {reprlib.repr(schema)} and this version of grokjax reads schema {_listed(READS)}. "
            "Read it with the version that wrote it, or run the sweep again with --overwrite."
        )
    if schema >= 2 and meta.get("checksum") != metadata.checksum(meta):
        raise ResultError(
            f"{path} is damaged: its 'meta' is not the one that was written, so its labels and settings cannot be "
            f"relied on. {_AGAIN}"
        )
    return meta


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
    if not os.path.exists(_path(path)):
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
    if wrong := _misfit(arrays, meta) or _misstated(arrays):
        raise ResultError(f"These arrays are no result: {wrong}.")
    try:
        text = metadata.dumped(meta)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"These arrays are no result: their meta is not strict JSON ({error}).") from error
    long_names, units, dims = meta.get("long_name", {}), meta.get("units", {}), meta["dims"]
    coords = meta.get("coords", _coords(dims))
    labelled = {
        name: xr.Variable(
            dims[name],
            value,
            {"long_name": long_names.get(name, _long_name(name)), "units": units.get(name, _units(name))},
        )
        for name, value in arrays.items()
    }
    grid = xr.Dataset(
        {name: v for name, v in labelled.items() if name not in coords},
        {name: v for name, v in labelled.items() if name in coords},
        {"meta": text},
    )
    return filled(grid) if fill == "last" else grid


def write_params(
    folder: str | os.PathLike, run_id: str, tree: Mapping[str, object], *, step: int, final: bool = True
) -> Path:
    """Writes the parameters of one run at one step, whole or not at all: <folder>/<run_id>.npz, -<step> for a snapshot.

    The file also says whose they are and of which step, so that it cannot pass for that of another run.

    Args:
      folder: made if need be; the sweep's meta["params"] names it relative to the result file.
      run_id: names the run within its sweep and the file.
      tree: nested dict of arrays; "/" joins the keys, as in "block_0/w_q". Empty dicts are not kept.
      step: updates done.
      final: whether the run ended there; if not, they are a snapshot.

    Returns:
      The path written.

    Raises:
      ResultError: if a key or dtype cannot be stored, or the file cannot be written.
    """
    if not _names_a_file(run_id):
        raise ResultError(f"run_id={run_id!r} cannot name a file of parameters. Use a name without slashes.")
    path = _path(folder) / f"{run_id if final else snapshot_name(run_id, step)}.npz"
    arrays = {name: _storable(path, name, value) for name, value in _flatten(path, tree)}
    arrays[_OWNER] = np.array(json.dumps({"run_id": run_id, "step": int(step)}))
    _replace(path, lambda stream: _pack(stream, arrays))
    return path


def params(path: str | os.PathLike, /, step: int | None = None, **selection) -> dict:
    """The parameters of exactly one run, final or at an earlier step.

    Args:
      path: the result file of its sweep.
      step: one of those that `--snapshots` kept; None: the final parameters.
      **selection: coordinate = value, for every axis with more than one value; zipped coordinates work as
        well. Numbers are matched to a relative 1e-6.

    Returns:
      Nested dict of NumPy arrays.

    Raises:
      ResultError: if a coordinate or value is not there, more than one run is left, nothing was kept of
        the run, or not at this step, or the file of its parameters is that of another run or step.
    """
    path = _path(path)
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | np.integer)):
        raise ResultError(f"step={reprlib.repr(step)} is not a whole number. Try one that --snapshots kept, or None.")
    arrays, meta = read(path)
    run = _one_run(path, arrays, meta, selection)
    run_id = str(arrays["run_id"][run])
    ended = arrays["status"][run] not in UNFINISHED
    if step is None and not ended:
        raise ResultError(f"Run {run_id} of {path} has not ended, so it has no final parameters. Continue the sweep.")
    if not meta.get("params"):
        raise ResultError(
            f"{path} was written without final parameters, so there are none of run {run_id}. "
            "Run its sweep again, keeping the parameters."
        )
    folder = _params_folder(path, meta["params"])
    if not _names_a_file(run_id):
        raise ResultError(f"{path} is damaged: its run {run_id!r} cannot name a file of parameters. {_AGAIN}")
    remedy = f"Move the folder {folder} along with {path.name}, or run the sweep again."
    last_step = int(arrays["last_step"][run])
    if step is None or (ended and step == last_step):
        return _params_of(folder / f"{run_id}.npz", "file of final parameters", remedy, run_id, last_step)
    file = folder / f"{snapshot_name(run_id, step)}.npz"
    if not os.path.exists(file):
        kept = (other.stem.rpartition("-")[2] for other in folder.glob(f"{glob.escape(run_id)}-*.npz"))
        have = sorted(int(number) for number in kept if number.isdecimal())
        raise ResultError(
            f"{path} has no snapshot of run {run_id} at step {step}, only {_listed(have, 24)}. Try one of these, "
            "or run the sweep again with --snapshots."
        )
    return _params_of(file, "snapshot", remedy, run_id, int(step))


def _params_folder(path: Path, named: str) -> Path:
    """The folder of parameters that a result names; ResultError if that lies elsewhere than where sweeps keep it."""
    path = path.resolve()  # of a link, the folder is beside its target
    home = path.parent.parent if path.parent.suffix == ".parts" else path.parent  # that of a part is the whole's
    folder = path.parent / named
    if "\0" in named or Path(os.path.abspath(home)) not in Path(os.path.abspath(folder)).parents:
        raise ResultError(
            f"{path} names {named!r} as the folder of its parameters, which does not lie beside it. "
            "If that is meant, read them from there with numpy.load."
        )
    return folder


def _params_of(file: Path, what: str, remedy: str, run_id: str, step: int) -> dict:
    """The parameters in a file, which must be those of this run at this step where it says whose they are."""
    with _opened(file, what, remedy) as archive:
        if _OWNER in archive.members:  # older versions did not write it
            owner = json.loads(archive.read([_OWNER])[_OWNER].item())
            if (owner["run_id"], owner["step"]) != (run_id, step):
                raise ResultError(
                    f"{file} holds the parameters of run {owner['run_id']} at step {owner['step']}, not those of run "
                    f"{run_id} at step {step}: another file was copied over it. {_AGAIN}"
                )
        return _unflatten(archive.read(name for name in archive.members if name != _OWNER))


def one_run(
    path: str | os.PathLike, /, **selection
) -> tuple[dict[str, np.ndarray], dict[str, object], tuple[int, ...]]:
    """(arrays, meta, index): a result as `read` gives it, and the place of the one run that `params` would select.

    Raises:
      ResultError: as `params`, where no run or more than one is left.
    """
    arrays, meta = read(path)
    return arrays, meta, _one_run(Path(path), arrays, meta, selection)


def snapshot_steps(path: str | os.PathLike, /, **selection) -> list[int]:
    """The steps at which parameters of one run were kept, increasing; its last step among them if it has ended.

    Raises:
      ResultError: as `params`.
    """
    arrays, meta, run = one_run(path, **selection)
    if not meta.get("params"):
        return []
    run_id, folder = str(arrays["run_id"][run]), Path(path).parent / str(meta["params"])
    steps = {int(file.stem.rpartition("-")[2]) for file in folder.glob(f"{snapshot_name(run_id, '*')}.npz")}
    if (folder / f"{run_id}.npz").exists():
        steps.add(int(arrays["last_step"][run]))
    return sorted(steps)


def snapshot_name(run_id: str, step: int | str) -> str:
    """What names the parameters of a run at a step that is not its last, as its `run_id` names the final ones."""
    return f"{run_id}-{step}"


# ------------------------------------------------------------------------------------------------------------
# Values of a grid


def median(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """The median without the NaNs, in which +inf ("never") counts as larger than any number.

    Of an even count the mean of the two middle values, so a finite and an infinite one give inf; none give
    NaN.

    Args:
      values: [...], float.
      axis: the axis or axes to reduce; None is all of them.

    Returns:
      Values with those axes gone, float64.
    """
    values = np.asarray(values, np.float64)
    axes = range(values.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted({a % values.ndim for a in axes})
    rest = [a for a in range(values.ndim) if a not in axes]
    columns = values.transpose([*rest, *axes]).reshape(*(values.shape[a] for a in rest), -1)
    if not columns.shape[-1]:
        return np.full(columns.shape[:-1], np.nan)
    ordered = np.sort(columns, axis=-1)  # NaNs go last
    count = np.sum(~np.isnan(columns), axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, columns.shape[-1] - 1), axis=-1)
    middle = np.where(low == high, low, low / 2 + high / 2)
    return np.where(count > 0, middle, np.nan)[..., 0]


def filled(grid: xr.Dataset) -> xr.Dataset:
    """`grid` with every NaN of a curve replaced by the last value before it.

    What comes before the first evaluation stays NaN, and so does what a run that has not ended is yet to do.
    """
    new = {}
    for name, curve in grid.data_vars.items():
        if "step" in curve.dims and np.issubdtype(curve.dtype, np.floating):
            values = _fill_last(curve.values, curve.get_axis_num("step"))
            new[name] = curve.copy(data=values)
            if "status" in grid:
                ended, begun = ~grid["status"].isin(UNFINISHED), grid["status"] != "not run"
                new[name] = new[name].where(ended | begun & curve.notnull()).transpose(*curve.dims)
    return grid.assign(new)


def grokked(grid: xr.Dataset) -> xr.DataArray:
    """Which runs grokked: validation accuracy rose by 0.30 or more after the training set was memorised.

    That is, some evaluation after t = steps_to_train_99 lies at least `DELAYED_RISE` above the one at t. A
    run that generalises while it memorises is not counted, nor one that never memorises, nor one that was not
    run.

    Args:
      grid: a dataset from `load`, filled or not.

    Returns:
      [axes...] bool.
    """
    _need(grid, "steps_to_train_99", "val_accuracy", "status")
    dims = grid["status"].dims
    step = _along(grid, "step")
    memorised = grid["steps_to_train_99"].transpose(*dims).values[..., None]
    curve = _fill_last(grid["val_accuracy"].transpose(*dims, "step").values, -1)
    then = np.where(step <= memorised, np.arange(step.size), -1).max(axis=-1, keepdims=True)
    at = np.where(then >= 0, np.take_along_axis(curve, np.maximum(then, 0), axis=-1), np.nan)
    # Some slack, for the difference of two float32 accuracies is not exact.
    rises = (step > memorised) & (curve - at >= DELAYED_RISE - 1e-6)
    return grid["status"].copy(data=rises.any(axis=-1)).rename("grokked").assign_attrs(long_name="grokked", units="1")


# ------------------------------------------------------------------------------------------------------------
# Tables


def runs(grid: xr.Dataset) -> pd.DataFrame:
    """One row per run of the grid, run or not: all coordinates and all per-run values, under their names."""
    _need(grid, "status")
    dims = grid["status"].dims
    names = [n for n in [*grid.coords, *grid.data_vars] if set(grid[n].dims) <= set(dims)]
    return pd.DataFrame({name: _per_run(grid, name) for name in names})


def tidy(grid: xr.Dataset) -> pd.DataFrame:
    """The whole grid as one long table, a row per run and step.

    Columns: the coordinates, `step` among them; the curves; and the per-run values of `TIDY_PER_RUN` (the
    others are in `runs`). Rows of runs that were not run are left out. Rows after a run's `last_step` stay,
    filled or NaN as the grid has them.

    Returns:
      A table of (runs that ran) x (steps) rows, in the order of the axes.
    """
    _need(grid, "status", "step")
    dims = grid["status"].dims
    table = runs(grid)
    ran = (table["status"] != "not run").to_numpy()
    coords = [name for name in grid.coords if name in table]
    step = _along(grid, "step")
    repeated = table.loc[ran, coords].loc[lambda t: t.index.repeat(step.size)].reset_index(drop=True)
    repeated["step"] = np.tile(step, ran.sum())
    for name, curve in grid.data_vars.items():
        if "step" in curve.dims and set(curve.dims) <= {*dims, "step"}:
            whole = curve.broadcast_like(grid["status"]).transpose(*dims, "step").values
            repeated[name] = whole.reshape(-1, step.size)[ran].ravel()
    for name in TIDY_PER_RUN:
        if name in table:
            repeated[name] = np.repeat(table.loc[ran, name].to_numpy(), step.size)
    return repeated


def summary(grid: xr.Dataset, by: str | Sequence[str] | None = "train_fraction") -> pd.DataFrame:
    """Counts and median times of the grid's runs, one row per value of a coordinate.

    Args:
      grid: a dataset from `load`.
      by: a coordinate, several of them, or None for a single row of all runs.

    Returns:
      A table indexed by `by`, in the order of the grid, with columns
        runs: how many ran;
        memorised, generalised: how many reached 99 % training, validation accuracy;
        delayed: how many `grokked`;
        median_train, median_val: median steps to 99 %, runs that never got there counting as inf;
        ratio: median_val / median_train; NaN where the training set was not memorised, or was at step 0;
        val_accuracy: median final validation accuracy.

    Raises:
      ResultError: if the grid has no such coordinate or variable.
    """
    _need(grid, "steps_to_train_99", "steps_to_val_99", "final_val_accuracy")
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    for name in names:
        _need_coord(grid, name)
    table = runs(grid).assign(grokked=grokked(grid).values.ravel())
    if not names:
        return pd.DataFrame([_summary_row(table)], index=["all"])
    rows = [
        dict(zip(names, key, strict=True)) | _summary_row(group)
        for key, group in table.groupby(names, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows).set_index(names)


def format_summary(table: pd.DataFrame) -> str:
    """A summary as fixed-width text: inf is "never", NaN is "-", accuracies are percentages."""
    table = table.reset_index() if any(table.index.names) else table
    columns = []
    for name in table:
        texts = [_cell(name, value) for value in table[name]]
        heading = str(name)
        width = max(map(len, [heading, *texts]))
        columns.append([t.rjust(width) for t in [heading, "-" * width, *texts]])
    return "\n".join("  ".join(line) for line in zip(*columns, strict=True))


def _summary_row(table: pd.DataFrame) -> dict:
    """The columns of `summary` for the runs of one group."""
    table = table[~table["status"].isin(UNFINISHED)]
    train, val = (float(median(table[f"steps_to_{part}_99"].to_numpy())) for part in ("train", "val"))
    return {
        "runs": len(table),
        "memorised": int(np.isfinite(table["steps_to_train_99"]).sum()),
        "generalised": int(np.isfinite(table["steps_to_val_99"]).sum()),
        "delayed": int(table["grokked"].sum()),
        "median_train": train,
        "median_val": val,
        "ratio": val / train if train > 0 and np.isfinite(train) else np.nan,
        "val_accuracy": float(median(table["final_val_accuracy"].to_numpy())),
    }


def _cell(column: str, value) -> str:
    """One value of a summary as text."""
    if isinstance(value, str | bool | np.bool_ | tuple):
        return str(value)
    if pd.isna(value):
        return "-"
    if np.isinf(value):
        return "never"
    if column == "val_accuracy":
        return f"{100 * value:.1f} %"
    if column == "ratio":
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,.0f}" if column.startswith("median_") else f"{value:.6g}"


# ------------------------------------------------------------------------------------------------------------
# Inside a dataset


def _need(grid: xr.Dataset, *names: str) -> None:
    """ResultError naming what the grid has, if it lacks one of `names`."""
    if not isinstance(grid, xr.Dataset):
        raise ResultError(f"A {type(grid).__name__} is no result. Pass a dataset, such as grokjax.load('sweep.npz').")
    for name in names:
        if name not in grid and not (name == "step" and "step" in grid.dims):
            raise ResultError(
                f"This grid has no {name}, only {_listed([*grid.coords, *grid.data_vars])}. "
                "Pass a dataset from grokjax.load, or a selection of one that keeps its variables."
            )


def _need_coord(grid: xr.Dataset, name: str) -> None:
    """ResultError naming the grid's axes, if `name` is not a coordinate of its runs."""
    if name not in grid.coords or name == "step":
        have = [str(n) for n in grid.coords if n != "step"]
        raise ResultError(f"{name} is not an axis of this grid, only {_listed(have)}. Try one of these.")


def _along(grid: xr.Dataset, dim: str) -> np.ndarray:
    """The values of an axis, or positions where it has none."""
    return grid[dim].values if dim in grid.coords else np.arange(grid.sizes[dim])


def _per_run(grid: xr.Dataset, name: str) -> np.ndarray:
    """[runs], a coordinate or per-run variable repeated over the axes it lacks, in the order of `status`."""
    status = grid["status"]
    sizes = tuple(grid.sizes[d] for d in status.dims)
    value = grid[name]
    have = value.transpose(*(d for d in status.dims if d in value.dims)).values
    at = tuple(slice(None) if d in value.dims else None for d in status.dims)
    return np.broadcast_to(have[at], sizes).ravel()


def _fill_last(values: np.ndarray, axis: int) -> np.ndarray:
    """`values` with NaNs replaced by the last number before them along `axis`."""
    moved = np.moveaxis(values, axis, -1)
    last = np.maximum.accumulate(np.where(np.isnan(moved), 0, np.arange(moved.shape[-1])), axis=-1)
    return np.moveaxis(np.take_along_axis(moved, last, axis=-1), -1, axis)


def _coords(dims: Mapping[str, Sequence[str]]) -> list[str]:
    """The arrays that are coordinates, where meta does not say; the rule is in `write`."""
    return [
        name
        for name, d in dims.items()
        if list(d) == [name] or (len(d) == 1 and d[0] != "step" and not _PER_RUN.fullmatch(name))
    ]


def _long_name(name: str) -> str:
    """How a figure names a variable, where meta does not say."""
    if found := re.fullmatch(r"steps_to_(train|val)_(\d+)(_bracket)?", name):
        part = {"train": "training", "val": "validation"}[found[1]]
        before = "last evaluation before " if found[3] else "steps to "
        return f"{before}{found[2]} % {part} accuracy"
    return _LONG_NAMES.get(name, name.replace("_", " "))


def _units(name: str) -> str:
    """The unit of a variable, where meta does not say; "1" for fractions, counts and names."""
    if name.startswith("steps_to_") or name in ("step", "last_step"):
        return "step"
    return "nat" if name.endswith("_loss") else "1"


def _one_run(path: Path, arrays, meta, selection: Mapping[str, object]) -> tuple[int, ...]:
    """Index of the only run of a result whose coordinates have the values of `selection`."""
    dims = list(meta["dims"]["run_id"])
    coords = [n for n in meta.get("coords", _coords(meta["dims"])) if meta["dims"][n] in [[d] for d in dims]]
    left = {d: np.ones(n, bool) for d, n in zip(dims, arrays["run_id"].shape, strict=True)}
    for name, value in selection.items():
        if name not in coords:
            raise ResultError(f"{name} is not an axis of {path}, only {_listed(coords)}. Select by these.")
        if not isinstance(value, bool | int | float | str | np.generic):
            raise ResultError(
                f"{name}={reprlib.repr(value)} is not one value, and one run is asked for. "
                f"Try one of {_listed(np.unique(arrays[name]).tolist())}."
            )
        matching = _matching(arrays[name], value)
        if not matching.any():
            raise ResultError(
                f"No run of {path} has {name}={value}; it has {_listed(np.unique(arrays[name]).tolist())}."
                f"{_nearest(arrays[name], value)}"
            )
        left[meta["dims"][name][0]] &= matching
    for dim, mask in left.items():
        if not mask.any():
            together = ", ".join(f"{n}={v}" for n, v in selection.items() if meta["dims"][n] == [dim])
            raise ResultError(f"No run of {path} has {together}: these vary together. Select by fewer.")
    still = [dim for dim, mask in left.items() if mask.sum() > 1]
    if still:
        count = np.prod([left[d].sum() for d in left])
        axes = "; ".join(f"{d} ({_listed(arrays[d][left[d]].tolist())})" for d in still)
        raise ResultError(f"{count} runs of {path} match, and one was asked for: select also by {axes}.")
    return tuple(int(np.flatnonzero(left[d])[0]) for d in dims)


def _matching(values: np.ndarray, value) -> np.ndarray:
    """Where a coordinate has a value: numbers to a relative 1e-6, anything else exactly."""
    if values.dtype.kind in "fiu" and isinstance(value, int | float | np.number):
        return np.isclose(values.astype(float), _as_float(value), rtol=1e-6, atol=1e-15, equal_nan=True)
    return np.array([v == value for v in values.tolist()], bool)


def _nearest(values: np.ndarray, value) -> str:
    """A hint at the nearest number of a coordinate, or nothing."""
    if values.dtype.kind not in "fiu" or not isinstance(value, int | float | np.number):
        return ""
    finite = values[np.isfinite(values.astype(float))]
    return f" The nearest is {finite[np.argmin(np.abs(finite - _as_float(value)))]:g}." if finite.size else ""


def _as_float(value) -> float:
    """A number as a float; infinity if it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


# ------------------------------------------------------------------------------------------------------------
# Inside a file

_AGAIN = "Restore it from a copy, or run the sweep again with --overwrite."
_OWNER = "grokjax//run"
"""The array that says whose parameters a file holds. No parameter can have its name, for none has an empty key."""

MOST_META = 256 * 2**20
"""Bytes that a meta may take, unpacked: those of a million runs."""


def _path(path: object) -> Path:
    """What was given as a path; ResultError if it cannot be one."""
    try:
        return Path(path)
    except TypeError:
        raise ResultError(
            f"path={reprlib.repr(path)} is not a path. Pass that of a file, such as 'results/add.npz'."
        ) from None


def _names_a_file(run_id: str) -> bool:
    return bool(run_id) and os.path.basename(run_id) == run_id and "\0" not in run_id


def _storable(path: Path, name: str, value) -> np.ndarray:
    """`value` as an array that NumPy reads back without pickle, or ResultError."""
    array = np.asarray(value)
    if array.dtype.kind not in _KINDS:
        raise ResultError(
            f"{path} was not written: {name} has dtype {array.dtype}, which plain NPZ cannot hold. "
            "Convert it to numbers, booleans or str first (bfloat16 to float32)."
        )
    return array


def _head(array: "np.ndarray | _Member") -> str:
    """What an array is but for its values, e.g. '<f4(3, 20)'."""
    return f"{array.dtype.str}{array.shape}"


def _checksum(schema: int, name: str, array: np.ndarray) -> str:
    """What `meta` keeps of an array: SHA-256 of its dtype, shape and values.

    From schema 2 on its name as well, so that two arrays cannot change places; dtype and shape stand before it, so that
    a file that claims to hold something else is refused before it is unpacked.
    """
    head = _head(array)
    if schema == 1:
        return hashlib.sha256(head.encode() + array.tobytes()).hexdigest()
    return f"{head} {hashlib.sha256(f'{name} {head}'.encode() + array.tobytes()).hexdigest()}"


def _misfit(arrays: "Mapping[str, np.ndarray | _Member]", meta: Mapping[str, object]) -> str:
    """What is wrong between the shapes of arrays and meta, or with meta alone, in words; empty if nothing is."""
    dims = meta.get("dims")
    if dims is None:
        return "its meta has no 'dims', which name the dimensions of every array"
    if wrong := metadata.mistyped(meta):
        return wrong
    if "meta" in arrays:
        return "'meta' is the name of the JSON string and cannot be an array"
    if missing := [n for n in {*REQUIRED, *dims} if n not in arrays]:
        return f"the arrays {_listed(sorted(missing))} are missing"
    if unnamed := [n for n in arrays if n not in dims]:
        return f"meta['dims'] does not name the dimensions of {_listed(unnamed)}"
    if unknown := [n for n in meta.get("coords", ()) if n not in arrays]:
        return f"the coordinates {_listed(unknown)} are missing"
    sizes = {}
    for name, array in arrays.items():
        if len(dims[name]) != len(array.shape) or len(set(dims[name])) != len(dims[name]):
            return f"{name} has shape {array.shape} and dimensions {list(dims[name])}"
        for dim, size in zip(dims[name], array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                return f"{name} has {size} values along {dim}, where another array has {sizes[dim]}"
    if lost := [d for d in sizes if list(dims.get(d, ())) != [d]]:
        return f"the axes {_listed(lost)} have no coordinate of their name"
    if list(dims["run_id"]) != list(dims["status"]):
        return f"run_id lies along {list(dims['run_id'])} and status along {list(dims['status'])}"
    return ""


def _misstated(arrays: Mapping[str, np.ndarray]) -> str:
    """Which status is none, in words; empty if all are known."""
    unknown = set(np.unique(arrays["status"]).tolist()) - set(STATUSES)
    return f"status {_listed(unknown)} is not one of {_listed(STATUSES)}" if unknown else ""


def _misclaimed(claimed: "Mapping[str, _Member]", meta: Mapping[str, object]) -> str:
    """Which arrays are not of the dtype and shape that were written, in words; empty if all are."""
    checksums = meta.get("checksums", {})
    if set(checksums) != set(claimed):
        return "its list of checksums does not cover its arrays"
    if meta["schema"] == 1:
        return ""
    changed = [name for name, member in claimed.items() if checksums[name].rpartition(" ")[0] != _head(member)]
    return f"the values of {_listed(changed)} are not those that were written" if changed else ""


def _tampered(arrays: Mapping[str, np.ndarray], meta: Mapping[str, object]) -> str:
    """Which arrays differ from the checksums of meta, in words; empty if none does."""
    schema, checksums = meta["schema"], meta["checksums"]
    changed = [name for name, array in arrays.items() if _checksum(schema, name, array) != checksums[name]]
    return f"the values of {_listed(changed)} are not those that were written" if changed else ""


def _pack(stream: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an NPZ. As np.savez_compressed, but any array name is allowed."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


class _Member(NamedTuple):
    """What an array of an NPZ claims to be, by its header.

    Attributes:
      info: where it lies in the archive.
      dtype, shape: of the array.
      nbytes: that it takes, unpacked.
    """

    info: zipfile.ZipInfo
    dtype: np.dtype
    shape: tuple[int, ...]
    nbytes: int


class _Archive:
    """An open NPZ of plain arrays, of which all headers are read, and no values yet.

    A file of 3 MB may unpack to 3 GB. So an array is unpacked only once its header has been seen, to the size that this
    claims and no more, and only where the machine has the memory.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self._archive = path, archive
        self.members: dict[str, _Member] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in self.members:
                raise ValueError(f"it holds {name} twice")
            self.members[name] = self._member(info)

    def _member(self, info: zipfile.ZipInfo) -> _Member:
        with self._archive.open(info) as stream:
            read_header = _HEADERS[np.lib.format.read_magic(stream)]
            shape, _, dtype = read_header(stream)
            nbytes = dtype.itemsize * math.prod(shape)
            if dtype.kind not in _KINDS or min(shape, default=0) < 0 or stream.tell() + nbytes != info.file_size:
                raise ValueError(f"{info.filename} is not the plain array that it says it is")
        return _Member(info, dtype, shape, nbytes)

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Some of its arrays; ResultError if they take more than the machine's memory."""
        names = list(names)
        if (needs := sum(self.members[name].nbytes for name in names)) > _memory():
            raise ResultError(
                f"{self.path} unpacks to {_size(needs)}, more than the {_size(_memory())} of memory of this machine. "
                "Read it on a larger one."
            )
        return {name: self._array(self.members[name]) for name in names}

    def _array(self, member: _Member) -> np.ndarray:
        with self._archive.open(member.info) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # at its end the member's CRC is checked
        return array


_KINDS = "biufcU"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextlib.contextmanager
def _opened(path: Path, what: str, remedy: str) -> Iterator[_Archive]:
    """An open NPZ. ResultError with `what` and `remedy` if it is missing or damaged, also where the body notices."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):  # a pipe or a device may block, or never end
            raise ResultError(f"{path} is not a regular file, and a {what} is one. Check the path.")
        stream = open(path, "rb")  # noqa: SIM115 - closed below; what goes wrong there is damage, not a wrong path
    except FileNotFoundError as error:
        raise ResultError(f"There is no {what} {path}. {remedy}") from error
    except OSError as error:
        raise ResultError(f"The {what} {path} cannot be read: {error.strerror}. {remedy}") from error
    except ValueError as error:  # a path with a null byte
        raise ResultError(f"The {what} {str(path)!r} cannot be read: {error}. {remedy}") from error
    with stream:
        if stream.read(2) != b"PK":
            raise ResultError(f"{path} is not an NPZ file, and a {what} is one. Check the path.")
        try:
            with zipfile.ZipFile(stream) as archive:
                yield _Archive(path, archive)
        except ResultError:
            raise
        except Exception as error:  # damage surfaces as any of a dozen types: BadZipFile, zlib.error, EOFError, ...
            why = "is cut short, damaged, or not an NPZ of plain arrays"
            raise ResultError(f"{path} {why} ({error}). {_AGAIN}") from error


def _memory() -> int:
    """Bytes of the machine's memory; without bound where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def _size(count: int) -> str:
    """Bytes for reading."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def _replace(path: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Writes a file by `fill(stream)`, to disk, under its name only once it is complete."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ResultError(
            f"{path} cannot be written: {error.strerror or error}; what was there before is untouched. "
            "Free some space or choose another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_unfinished(path: str | os.PathLike) -> None:
    """Removes what killed processes had begun to write as `path` or, where that is a folder, into it.

    Only for whom nobody else writes there.
    """
    path = Path(path)
    name, digits = "*.npz" if path.is_dir() else glob.escape(path.name), "[0-9a-f]" * 8  # as `_replace` has them
    for left in (path if path.is_dir() else path.parent).glob(f".{name}.{digits}.tmp"):
        with contextlib.suppress(OSError):
            left.unlink()


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut, on the systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _flatten(path: Path, tree: Mapping[str, object], prefix: str = ""):
    """Pairs of "/"-joined name and leaf of a nested dict."""
    for key, value in tree.items():
        if not isinstance(key, str) or not key or "/" in key:
            raise ResultError(f"{path} was not written: {key!r} is no key for parameters. Use names without '/'.")
        if isinstance(value, Mapping):
            yield from _flatten(path, value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _unflatten(arrays: Mapping[str, np.ndarray]) -> dict:
    """The nested dict of arrays named by "/"-joined keys."""
    tree = {}
    for name, array in arrays.items():
        *parents, leaf = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array
    return tree


def _listed(names, most: int = 12) -> str:
    """Names or values in a sentence; the first few of many."""
    names = [f"{n:g}" if isinstance(n, float) else str(n) for n in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
