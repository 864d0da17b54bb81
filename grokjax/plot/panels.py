"""Figures of several panels, a cell of a grid each: what the figures of studies are made of."""

import json
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokjax import results
from grokjax.plot.curves import curves
from grokjax.plot.style import COLORS, EDGE, NAMES
from grokjax.plot.times import arrivals as draw_arrivals
from grokjax.plot.times import crossings


def panel_grid(
    rows: int, columns: int, width: float = 3.6, height: float = 2.7, margin: float = 0.0
) -> tuple[Figure, np.ndarray]:
    """A figure of panels, and its Axes [rows, columns].

    Args:
      rows, columns: of panels.
      width, height: of a panel, in inches.
      margin: inches at the right, for a legend.
    """
    size = max(width * columns, 6.4) + margin, height * rows + 0.5
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    return figure, axes


LEGEND = 2.2
"""Inches that the legend of `arrivals` takes beside its panel."""


def count(grid: xr.Dataset) -> str:
    """'3 runs', of those that ran; '3 runs, 1 unfinished' where some have not ended."""
    number, unfinished = int((grid["status"] != "not run").sum()), int((grid["status"] == "under way").sum())
    return f"{number} run{'s' * (number != 1)}" + f", {unfinished} unfinished" * bool(unfinished)


def ran(cell: xr.Dataset) -> bool:
    """Whether any run of a selection of a grid was run."""
    return bool((cell["status"] != "not run").any())


def learning(ax: Axes, cell: xr.Dataset, title: str, quantity: str = "accuracy") -> None:
    """Curves of one cell of a grid over epochs, train and validation, all its seeds; nothing where none ran."""
    ax.set_visible(ran(cell))
    if not ran(cell):
        return
    cell = cell.sel(step=cell["step"] <= cell["last_step"].max())
    curves(cell, ax, quantity, clock="epoch", legend=False)
    ax.set_title(f"{title} ({count(cell)})")


def arrivals(ax: Axes, cell: xr.Dataset, by: str, title: str) -> None:
    """The share of runs that have generalised, over epochs; nothing where no run has ended."""
    ended = not np.isnan(cell["steps_to_val_99"]).all()
    ax.set_visible(bool(ended))
    if ended:
        draw_arrivals(cell, by, ax, clock="epoch")
        ax.set_title(title)


def shared_legend(figure: Figure, several: bool, *more: tuple[str, dict]) -> None:
    """One legend below all panels: what the lines are, and `more` (label, look of a line)."""
    handles = [Line2D([], [], color=COLORS[p], lw=2.2, label=NAMES[p]) for p in ("train", "val")]
    if several:
        handles += [
            Line2D([], [], color=EDGE, lw=2.2, label="median"),
            Line2D([], [], color=EDGE, lw=0.6, label="one run"),
            Patch(color=EDGE, alpha=0.15, lw=0, label="95 % interval of the median, of 6 runs or more"),
        ]
    handles += [Line2D([], [], label=label, **look) for label, look in more]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def draw_cells(cells: Sequence[tuple[str, xr.Dataset]], columns: int, also: str, label: str, **look) -> Figure:
    """A panel of accuracies over epochs for each cell, with the median of one more curve in each.

    Args:
      cells: a title and a selection of a grid each.
      columns: panels in a row.
      also: name of the further curve.
      label: its name in the legend.
      **look: of its line.
    """
    rows = -(-len(cells) // columns)
    figure, axes = panel_grid(rows, columns)
    for ax in axes.flat[len(cells) :]:
        ax.set_visible(False)
    for ax, (title, cell) in zip(axes.flat, cells, strict=False):
        learning(ax, cell, title)
        if ran(cell):
            median_line(ax, cell, also, **look)
    several = any((cell["status"] != "not run").sum() > 1 for _, cell in cells)
    shared_legend(figure, several, (f"{label}, median", look))
    return figure


def median_line(ax: Axes, cell: xr.Dataset, name: str, **look) -> None:
    """The median of a curve over epochs, up to the end of the longest run."""
    dims = [dim for dim in cell[name].dims if dim != "step"]
    values = cell[name].transpose(*dims, "step").values.reshape(-1, cell.sizes["step"])
    shown = cell["step"].values <= cell["last_step"].values.max()
    epochs = cell["step"].values / cell["steps_per_epoch"].values.max()
    ax.plot(epochs[shown], results.median(values, 0)[shown], zorder=4, **look)


def draw_unswapped(cells: Sequence[tuple[str, xr.Dataset]], columns: int) -> Figure:
    """A panel of accuracies for each cell, with that on validation rows whose swap was not trained on, dashed."""
    label = "rows whose swap was not trained on"
    return draw_cells(cells, columns, "unswapped_accuracy", label, color="#000000", lw=1.2, ls="--")


def arms(grid: xr.Dataset) -> list[tuple[str, str, xr.Dataset]]:
    """Id, label and selection of the grid of each arm that ran."""
    ids, labels = grid["variant"].values, grid[label_of(grid)].values
    cells = [(str(id), str(label), grid.sel(variant=[id])) for id, label in zip(ids, labels, strict=True)]
    return [(id, label, cell) for id, label, cell in cells if ran(cell)]


def label_of(grid: xr.Dataset) -> str:
    """The coordinate by which people call the arms of a grid."""
    return "variant_label" if "variant_label" in grid.coords else "variant"


def by_arm(grid: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Each arm that ran, under its label."""
    return [(label, cell) for _, label, cell in arms(grid)]


def with_axis(grid: xr.Dataset, name: str) -> xr.Dataset:
    """The grid with an axis of this name; where all runs share the setting, an axis of its one value."""
    if name in grid.dims:
        return grid
    config = json.loads(grid.attrs["meta"]).get("config", {})
    if name not in config:
        raise results.ResultError(f"This result has neither an axis nor a setting {name}. Pass that of another sweep.")
    return grid.expand_dims({name: [config[name]]})


def along(grid: xr.Dataset, *names: str) -> list[dict]:
    """Every combination of the values of some axes, of those that the grid has, of which there are runs."""
    combinations: list[dict] = [{}]
    for name in names:
        if name in grid.dims:
            combinations = [one | {name: value} for one in combinations for value in grid[name].values]
    return [one for one in combinations if ran(grid.sel({name: [value] for name, value in one.items()}))]


def draw_rows_of_arms(grid: xr.Dataset, rows: Sequence[Sequence[str]]) -> Figure:
    """Accuracies of arms side by side, and at the end of each row when their runs have generalised.

    Args:
      grid: a dataset from `grokjax.load`.
      rows: the ids of the arms of each row; those that did not run are left out.
    """
    found = {id: (label, cell) for id, label, cell in arms(grid)}
    rows = [[id for id in row if id in found] for row in rows]
    rows = [row for row in rows if row]
    figure, axes = panel_grid(len(rows), max(map(len, rows)) + 1, margin=LEGEND)
    for ax in axes.ravel():
        ax.set_visible(False)
    for line, row in zip(axes, rows, strict=True):
        for ax, id in zip(line, row, strict=False):
            learning(ax, found[id][1], found[id][0])
        arrivals(line[-1], grid.sel(variant=row), label_of(grid), "")
    shared_legend(figure, grid.sizes.get("seed", 1) > 1)
    return figure


def draw_times(grid, x: str, over: tuple[str, ...] = ()):
    """Steps to 99 % over one axis, a panel for each combination of the values of others.

    Args:
      grid: a dataset from `grokjax.load`.
      x: the axis.
      over: the others; those that the grid has not are left out.
    """
    cells = along(grid, *over)
    figure, axes = panel_grid(1, len(cells), width=4.6, height=3.2)
    for ax, where in zip(axes[0], cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        crossings(cell, x, ax)
        names = [_titled(cell, name, value) for name, value in where.items()]
        ax.set_title(f"{', '.join(names)}: {ax.get_title()}" if names else ax.get_title())
        own_ticks(ax, grid[x].values)
        if ax is not axes[0][-1]:
            ax.get_legend().remove()
    return figure


def _titled(cell: xr.Dataset, name: str, value) -> str:
    """How a title names the one value of an axis that a cell has: an arm by its label."""
    return str(cell[label_of(cell)].values[0]) if name == "variant" else f"{name.replace('_', ' ')} {value}"


def own_ticks(ax, values) -> None:
    """Ticks at the values of an axis where they are numbers, names on the slant where they are names."""
    if values.dtype.kind in "fiu":
        ax.set_xticks(values, [f"{value:g}" for value in values])
    else:
        plt.setp(ax.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")
