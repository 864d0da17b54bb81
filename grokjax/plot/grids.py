"""What a figure asks of a grid of runs: its axes, its runs, what they are called."""

from collections.abc import Sequence

import numpy as np
import xarray as xr


def need(grid: xr.Dataset, *names: str) -> None:
    """ValueError naming what the grid has if it lacks one of `names`, or if nothing in it has run."""
    for name in names:
        if name not in grid.variables:
            have = ", ".join(str(n) for n in [*grid.coords, *grid.data_vars])
            raise ValueError(f"This grid has no {name} to draw, only {have}. Pass a dataset from grokjax.load.")
    if not (grid["status"] != "not run").any():
        raise ValueError("No run of this grid has run yet, so there is nothing to draw. Continue its sweep.")


def named_axes(grid: xr.Dataset) -> str:
    """A sentence naming the axes of a grid."""
    names = [str(n) for n in grid.coords if n != "step" and grid[n].ndim == 1]
    return f"The axes of this grid are {', '.join(names)}." if names else "This grid has no axes."


def dim_of(grid: xr.Dataset, name: str) -> str:
    """The dimension along which a coordinate lies; ValueError naming the axes if it is none."""
    if name not in grid.coords or name == "step" or grid[name].ndim != 1:
        raise ValueError(f"{name} is not an axis of this grid. {named_axes(grid)}")
    return grid[name].dims[0]


def is_seed(dim: str) -> bool:
    """Whether an axis only repeats runs: seed, split_seed, ..."""
    return dim == "seed" or dim.endswith("_seed")


def by_value(grid: xr.Dataset, name: str, dim: str) -> np.ndarray:
    """[values of dim, runs], a per-run value; NaN where not run."""
    value = grid[name].astype(float).where(grid["status"] != "not run").transpose(dim, ...)
    return value.values.reshape(grid.sizes[dim], -1)


def name_of(grid: xr.Dataset, name: str) -> str:
    """What a figure calls a variable."""
    return grid[name].attrs.get("long_name", name.replace("_", " "))


def title_of(grid: xr.Dataset, axes: Sequence[str | None], lead: str = "") -> str:
    """How many runs there are, of how many seeds, and over what else they are pooled."""
    status = grid["status"]
    ran = int((status != "not run").sum())
    number = f"{ran}" if ran == status.size else f"{ran} of {status.size}"
    parts = [f"{lead}{number} run{'s' * (status.size != 1)}"]
    others = [d for d in status.dims if grid.sizes[d] > 1 and d not in axes]
    if not all(map(is_seed, [d for d in status.dims if grid.sizes[d] > 1])):
        parts += [f"{grid.sizes[d]} {name_of(grid, d)}s" for d in others if is_seed(d)]
    pooled = [name_of(grid, d) for d in others if not is_seed(d)]
    return ", ".join(parts) + (f", pooled over {' and '.join(pooled)}" if pooled else "")
