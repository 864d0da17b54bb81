"""Tables read off a result: a row per run, a row per run and step, counts and median times."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from grokjax.results.values import UNFINISHED, ResultError, fill_last, listed, median

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
    curve = fill_last(grid["val_accuracy"].transpose(*dims, "step").values, -1)
    then = np.where(step <= memorised, np.arange(step.size), -1).max(axis=-1, keepdims=True)
    at = np.where(then >= 0, np.take_along_axis(curve, np.maximum(then, 0), axis=-1), np.nan)
    # Some slack, for the difference of two float32 accuracies is not exact.
    rises = (step > memorised) & (curve - at >= DELAYED_RISE - 1e-6)
    return grid["status"].copy(data=rises.any(axis=-1)).rename("grokked").assign_attrs(long_name="grokked", units="1")


def runs(grid: xr.Dataset) -> pd.DataFrame:
    """One row per run of the grid, run or not: all coordinates and all per-run values, under their names."""
    _need(grid, "status")
    dims = grid["status"].dims
    names = [n for n in [*grid.coords, *grid.data_vars] if set(grid[n].dims) <= set(dims)]
    return pd.DataFrame({name: _per_run(grid, name) for name in names})


def curve_rows(grid: xr.Dataset) -> dict[str, np.ndarray]:
    """[runs, steps] by name: the curves of every run of the grid, run or not, in the order of `runs`."""
    _need(grid, "status", "step")
    dims = grid["status"].dims
    return {
        str(name): curve.broadcast_like(grid["status"]).transpose(*dims, "step").values.reshape(-1, grid.sizes["step"])
        for name, curve in grid.data_vars.items()
        if "step" in curve.dims and set(curve.dims) <= {*dims, "step"}
    }


def tidy(grid: xr.Dataset) -> pd.DataFrame:
    """The whole grid as one long table, a row per run and step.

    Columns: the coordinates, `step` among them; the curves; and the per-run values of `TIDY_PER_RUN` (the
    others are in `runs`). Rows of runs that were not run are left out. Rows after a run's `last_step` stay,
    filled or NaN as the grid has them.

    Returns:
      A table of (runs that ran) x (steps) rows, in the order of the axes.
    """
    _need(grid, "status", "step")
    table = runs(grid)
    ran = (table["status"] != "not run").to_numpy()
    coords = [name for name in grid.coords if name in table]
    step = _along(grid, "step")
    repeated = table.loc[ran, coords].loc[lambda t: t.index.repeat(step.size)].reset_index(drop=True)
    repeated["step"] = np.tile(step, ran.sum())
    for name, rows in curve_rows(grid).items():
        repeated[name] = rows[ran].ravel()
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


LEGEND = (
    "memorised, generalised: reached 99 % training, 99 % validation accuracy; delayed: validation rose "
    f"{100 * DELAYED_RISE:.0f} points or more\nafter memorising; median_train, median_val: steps to the two; "
    "val_accuracy: the last, its median"
)
"""What the columns of a summary are."""


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


def _need(grid: xr.Dataset, *names: str) -> None:
    """ResultError naming what the grid has, if it lacks one of `names`."""
    if not isinstance(grid, xr.Dataset):
        raise ResultError(f"A {type(grid).__name__} is no result. Pass a dataset, such as grokjax.load('sweep.npz').")
    for name in names:
        if name not in grid and not (name == "step" and "step" in grid.dims):
            raise ResultError(
                f"This grid has no {name}, only {listed([*grid.coords, *grid.data_vars])}. "
                "Pass a dataset from grokjax.load, or a selection of one that keeps its variables."
            )


def _need_coord(grid: xr.Dataset, name: str) -> None:
    """ResultError naming the grid's axes, if `name` is not a coordinate of its runs."""
    if name not in grid.coords or name == "step":
        have = [str(n) for n in grid.coords if n != "step"]
        raise ResultError(f"{name} is not an axis of this grid, only {listed(have)}. Try one of these.")


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
