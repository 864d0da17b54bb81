"""A per-run value over two axes of a grid."""

import numpy as np
import xarray as xr
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from grokjax import results
from grokjax.plot.grids import dim_of, name_of, named_axes, need, title_of
from grokjax.plot.style import EDGE, NOT_RUN, axes_of, category_axis, decades, style


def heatmap(grid: xr.Dataset, variable: str, x: str, y: str, ax: Axes | None = None, log: bool | None = None) -> Axes:
    """A per-run value over two axes, as the median of all runs that share a cell.

    Cells whose median is "never reached" are hatched; cells in which nothing was run are grey.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      variable: a per-run value, such as "final_val_accuracy" or "steps_to_val_99".
      x, y: the axes, across and up; coordinates zipped to an axis will do.
      ax: where to draw; None makes a new figure.
      log: a logarithmic colour scale; None takes one for steps_to_... only.

    Returns:
      The Axes; its figure has a colour bar beside it. The title has the number of runs.

    Raises:
      ValueError: if the grid lacks the variable or an axis, x and y are one axis, or no run has run.
    """
    need(grid, variable, "status")
    across, up = dim_of(grid, x), dim_of(grid, y)
    if across == up:
        raise ValueError(f"x={x} and y={y} both lie along {across}, and a heat map has two axes. {named_axes(grid)}")
    if not {across, up} <= set(grid[variable].dims) <= set(grid["status"].dims):
        raise ValueError(f"{variable} is not one value per run. Try final_val_accuracy or steps_to_val_99.")
    cells = _cells(grid, variable, across, up)
    others = [d for d in grid["status"].dims if d not in (across, up) and grid.sizes[d] > 1]
    log = variable.startswith("steps_to_") if log is None else log
    colored = np.isfinite(cells) & ((cells > 0) | (not log))
    with style():
        ax = axes_of(ax)
        ax.grid(False)
        if colored.any():
            norm = _norm(variable, cells[colored], log)
            mesh = ax.pcolormesh(np.ma.masked_where(~colored, cells), norm=norm, edgecolors="white", lw=0.5)
            bar = ax.figure.colorbar(mesh, ax=ax, label=name_of(grid, variable))
            if variable.endswith("accuracy"):
                bar.ax.yaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
            elif log:
                decades(bar.ax.yaxis, norm.vmin, norm.vmax)
        _mark_cells(ax, cells)
        for which, name in (("x", x), ("y", y)):
            category_axis(ax, which, grid[name].values, 0.5)
            getattr(ax, f"set_{which}label")(name_of(grid, name))
        ax.set_title(
            title_of(grid, [across, up], "median of " if others else ""),
            pad=22 if not np.isfinite(cells).all() else None,
        )
    return ax


def _cells(grid: xr.Dataset, variable: str, across: str, up: str) -> np.ndarray:
    """[up, across], the median of a per-run value over all other axes; NaN where nothing was run."""
    value = grid[variable].astype(float).where(grid["status"] != "not run").transpose(up, across, ...)
    return results.median(value.values.reshape(*value.shape[:2], -1), -1)


def _norm(variable: str, values: np.ndarray, log: bool) -> colors.Normalize:
    """The colour scale of a heat map: all of 0 to 1 for accuracies, else the range of the values."""
    if variable.endswith("accuracy") and not log:
        return colors.Normalize(0, 1)
    return (colors.LogNorm if log else colors.Normalize)(values.min(), values.max())


def _mark_cells(ax: Axes, cells: np.ndarray) -> None:
    """Hatches the cells that are infinite, greys those that are NaN, and says so above the map."""
    looks = {
        "never reached": (np.isinf(cells), dict(facecolor="white", edgecolor=EDGE, hatch="////", lw=0)),
        "not run": (np.isnan(cells), dict(facecolor=NOT_RUN, edgecolor="white", lw=0.5)),
    }
    handles = []
    for label, (where, look) in looks.items():
        for row, column in np.argwhere(where):
            ax.add_patch(Rectangle((column, row), 1, 1, **look))
        if where.any():
            handles.append(Patch(label=label, **look))
    ax.set(xlim=(0, cells.shape[1]), ylim=(0, cells.shape[0]))
    if handles:
        place = dict(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, borderpad=0)
        ax.legend(handles=handles, ncols=2, **place)
