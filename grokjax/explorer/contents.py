"""What the page of a grid holds: its axes, curves, per-run numbers, and what is estimated from them.

The page draws and picks; medians apart, it estimates nothing. Whatever is more comes from `grokjax.analysis`.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from grokjax import results
from grokjax.analysis.statistics import Survival, log_rank, median_place, survival
from grokjax.plot.grids import is_seed, name_of, need
from grokjax.plot.style import numeric, text_of

Tree = dict[str, Any]
"""Dictionaries, lists, texts, numbers and arrays, as `packing` takes them."""

FEW = 3
"""Runs that a test or an interval of times needs; as in `plot.arrivals`."""


def contents(grid: xr.Dataset, title: str = "") -> Tree:
    """All that the page of a grid shows.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      title: what it is called.

    Returns:
      A tree whose arrays are curves as float32 [runs, steps] and all else as float64, runs in the order of `status`.

    Raises:
      ValueError: if no run has run, or the grid has no curve.
    """
    need(grid, "status", "last_step", "step")
    quantities = _quantities(grid)
    if not quantities:
        raise ValueError("This grid has no curves to show. Pass a dataset from grokjax.load.")
    status = grid["status"].values.ravel()
    return {
        "title": title,
        "axes": [_axis(grid, dim) for dim in grid["status"].dims],
        "step": grid["step"].values.astype(np.float64),
        "quantities": quantities,
        "numbers": _numbers(grid),
        "status": [str(one) for one in status],
        "last_step": grid["last_step"].values.ravel().astype(np.float64),
        "places": [median_place(count) for count in range(_cell_size(grid) + 1)],
        "times": _times(grid),
        "config": _config(grid),
    }


def _axis(grid: xr.Dataset, dim: str) -> Tree:
    """An axis: its values as people read them, and the coordinates zipped to it."""
    along = [str(name) for name in grid.coords if grid[name].dims == (dim,)]
    label = f"{dim}_label" if f"{dim}_label" in along else dim
    values = grid[label].values if label in grid.coords else np.arange(grid.sizes[dim])
    return {
        "name": dim,
        "label": name_of(grid, label) if label in grid.coords else dim.replace("_", " "),
        "seeds": is_seed(dim),
        "numeric": numeric(values),
        "values": [text_of(value) for value in values],
        "also": [
            {"label": name_of(grid, name), "values": [text_of(value) for value in grid[name].values]}
            for name in along
            if name not in (label, dim)
        ],
    }


def _quantities(grid: xr.Dataset) -> list[Tree]:
    """Curves, those of training and validation together: accuracy and loss first."""
    dims = grid["status"].dims
    whole, found = results.filled(grid), {}
    for name, curve in grid.data_vars.items():
        if set(curve.dims) != {*dims, "step"} or curve.dtype.kind not in "fiub":
            continue
        part, _, rest = str(name).partition("_")
        quantity, part = (rest, part) if part in ("train", "val") and rest else (str(name), "")
        values = whole[name].transpose(*dims, "step").values.astype(np.float32)
        found.setdefault(quantity, {})[part] = values.reshape(-1, grid.sizes["step"])
    first = [name for name in ("accuracy", "loss") if name in found]
    return [
        {"name": name, "label": name.replace("_", " "), "scale": _scale(name), "parts": found[name]}
        for name in dict.fromkeys([*first, *found])
    ]


def _scale(name: str) -> str:
    """How a quantity is drawn: "percent", "log" or "linear"."""
    if name.endswith("accuracy"):
        return "percent"
    return "log" if name.endswith("loss") or name.startswith("steps_to_") else "linear"


def _numbers(grid: xr.Dataset) -> list[Tree]:
    """Every number that runs have one each of; those that a map shows most often first."""
    dims = grid["status"].dims
    first = [name for name in ("steps_to_val_99", "final_val_accuracy", "steps_to_train_99") if name in grid]
    ran = (grid["status"] != "not run").values
    found = []
    for name in dict.fromkeys([*first, *map(str, grid.data_vars)]):
        value = grid[name]
        if set(value.dims) != set(dims) or value.dtype.kind not in "fiub":
            continue
        values = np.where(ran, value.transpose(*dims).values.astype(np.float64), np.nan)
        found.append({"name": name, "label": name_of(grid, name), "scale": _scale(name), "values": values.reshape(-1)})
    return found


def _cell_size(grid: xr.Dataset) -> int:
    """Runs of a cell: all that differ in seeds alone."""
    return int(np.prod([grid.sizes[dim] for dim in grid["status"].dims if is_seed(dim)], dtype=int))


def _times(grid: xr.Dataset) -> list[Tree]:
    """Times to 99 %: of each cell the estimate of `statistics.survival`, censored runs, and tests between cells."""
    names = [f"steps_to_{part}_99" for part in ("val", "train")]
    return [_times_of(grid, name) for name in names if name in grid]


def _times_of(grid: xr.Dataset, name: str) -> Tree:
    dims = grid["status"].dims
    axes = [dim for dim in dims if not is_seed(dim)]
    order = [*axes, *(dim for dim in dims if is_seed(dim))]
    shape = [grid.sizes[dim] for dim in axes]
    times = grid[name].where(grid["status"] != "not run").transpose(*order).values.reshape(-1, _cell_size(grid))
    last = grid["last_step"].transpose(*order).values.reshape(times.shape).astype(np.float64)
    ended = ~np.isnan(times)
    groups = [tuple(tuple(of[cell][ended[cell]].tolist()) for of in (times, last)) for cell in range(len(times))]
    estimate = functools.cache(_estimate)  # many cells are alike: no run of theirs ever gets there
    return {
        "name": name,
        "label": name_of(grid, name),
        "cells": [estimate(*group) for group in groups],  # in the order of the axes that are not seeds
        "p_values": {axis: _against_first(groups, shape, i) for i, axis in enumerate(axes)},
    }


def _estimate(times: tuple[float, ...], last: tuple[float, ...]) -> Tree | None:
    """The share of a cell's runs that have got there, over steps; None where no run has ended."""
    if not times:
        return None
    known, ends = np.array(times, np.float64), np.array(last, np.float64)
    curve = survival(known, ends)
    gone = np.sort(ends[np.isinf(known)])
    return {
        "runs": len(known),
        "never": len(gone),
        "steps": curve.steps,
        "share": 1 - curve.share,
        **({"low": 1 - curve.high, "high": 1 - curve.low} if len(known) >= FEW else {}),
        "end": float(ends.max()),
        "censored": gone,
        "censored_at": 1 - _at(curve, gone),
    }


def _at(curve: Survival, steps: np.ndarray) -> np.ndarray:
    """The share that has not yet got there, at some steps."""
    return curve.share[np.searchsorted(curve.steps, steps, side="right") - 1]


def _against_first(groups, shape: list[int], along: int) -> np.ndarray:
    """[cells], p of the log-rank test of each against the first along an axis; NaN of few runs, or of the first."""
    p_values = np.full(len(groups), np.nan)
    test = functools.cache(lambda *times: log_rank(*map(np.array, times)))
    for flat in range(len(groups)):
        place = list(np.unravel_index(flat, shape))
        if place[along] == 0:
            continue
        place[along] = 0
        mine, first = groups[flat], groups[int(np.ravel_multi_index(place, shape))]
        if min(len(mine[0]), len(first[0])) >= FEW:
            with np.errstate(invalid="ignore"):  # NaN where all runs of both get there at one step
                p_values[flat] = test(*mine, *first)
    return p_values


def _config(grid: xr.Dataset) -> Mapping[str, str]:
    """Settings that all runs share, for reading."""
    try:
        config = json.loads(grid.attrs.get("meta", "{}")).get("config", {})
    except (ValueError, AttributeError):
        return {}
    shown = {name: value for name, value in config.items() if name not in grid.coords and value is not None}
    return {name: re.sub(r"\s+", " ", text_of(value)) for name, value in shown.items()}
