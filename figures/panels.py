"""Panels that several figures are made of."""

import json
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import grokjax as gj


def sheet(rows: int, columns: int, width: float = 3.6, height: float = 2.7) -> tuple[Figure, np.ndarray]:
    """A figure of panels, and its Axes [rows, columns]."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(width * columns, 6.4), height * rows + 0.5), squeeze=False, layout="constrained"
    )
    return figure, axes


def count(grid: xr.Dataset) -> str:
    """'3 runs', of those that ran."""
    number = int((grid["status"] != "not run").sum())
    return f"{number} run{'s' * (number != 1)}"


def ran(cell: xr.Dataset) -> bool:
    """Whether any run of a selection of a grid was run."""
    return bool((cell["status"] != "not run").any())


def learning(ax: Axes, cell: xr.Dataset, title: str, quantity: str = "accuracy") -> None:
    """Curves of one cell of a grid over epochs, train and validation, all its seeds; nothing where none ran."""
    ax.set_visible(ran(cell))
    if not ran(cell):
        return
    cell = cell.sel(step=cell["step"] <= cell["last_step"].max())
    gj.plot.curves(cell, ax, quantity, clock="epoch", legend=False)
    ax.set_title(f"{title} ({count(cell)})")


def arrivals(ax: Axes, cell: xr.Dataset, by: str, title: str) -> None:
    """The share of runs that have generalised over steps; nothing where no run has ended."""
    ended = not np.isnan(cell["steps_to_val_99"]).all()
    ax.set_visible(bool(ended))
    if ended:
        gj.plot.arrivals(cell, by, ax)
        ax.set_title(title)
        ax.legend(title=ax.get_legend().get_title().get_text(), loc="upper center", bbox_to_anchor=(0.5, -0.25))


def key(figure: Figure, several: bool, *more: tuple[str, dict]) -> None:
    """One legend below all panels: what the lines are, and `more` (label, look of a line)."""
    handles = [Line2D([], [], color=gj.plot.COLORS[p], lw=2.2, label=gj.plot.NAMES[p]) for p in ("train", "val")]
    if several:
        handles += [
            Line2D([], [], color=gj.plot.EDGE, lw=2.2, label="median"),
            Line2D([], [], color=gj.plot.EDGE, lw=0.6, label="one run"),
            Patch(color=gj.plot.EDGE, alpha=0.15, lw=0, label="95 % interval of the median, of 6 runs or more"),
        ]
    handles += [Line2D([], [], label=label, **look) for label, look in more]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def draw_cells(cells: Sequence[tuple[str, xr.Dataset]], columns: int, also: str, told: str, **look) -> Figure:
    """A panel of accuracies over epochs for each cell, with the median of one more curve in each.

    Args:
      cells: a title and a selection of a grid each.
      columns: panels in a row.
      also: name of the further curve.
      told: what the legend says of it.
      **look: of its line.
    """
    rows = -(-len(cells) // columns)
    figure, axes = sheet(rows, columns)
    for ax in axes.flat[len(cells) :]:
        ax.set_visible(False)
    for ax, (title, cell) in zip(axes.flat, cells, strict=False):
        learning(ax, cell, title)
        if ran(cell):
            median_line(ax, cell, also, **look)
    several = any((cell["status"] != "not run").sum() > 1 for _, cell in cells)
    key(figure, several, (f"{told}, median", look))
    return figure


def median_line(ax: Axes, cell: xr.Dataset, name: str, **look) -> None:
    """The median of a curve over epochs, up to the end of the longest run."""
    dims = [dim for dim in cell[name].dims if dim != "step"]
    values = cell[name].transpose(*dims, "step").values.reshape(-1, cell.sizes["step"])
    shown = cell["step"].values <= cell["last_step"].values.max()
    epochs = cell["step"].values / cell["steps_per_epoch"].values.max()
    ax.plot(epochs[shown], gj.results.median(values, 0)[shown], zorder=4, **look)


def draw_unswapped(cells: Sequence[tuple[str, xr.Dataset]], columns: int) -> Figure:
    """A panel of accuracies for each cell, with that on validation rows whose swap was not trained on, dashed."""
    told = "rows whose swap was not trained on"
    return draw_cells(cells, columns, "unswapped_accuracy", told, color="#000000", lw=1.2, ls="--")


def by_variant(grid: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Each labelled configuration that ran, under its label."""
    cells = [(str(label), grid.sel(variant=[label])) for label in grid["variant"].values]
    return [(label, cell) for label, cell in cells if ran(cell)]


def with_axis(grid: xr.Dataset, name: str) -> xr.Dataset:
    """The grid with an axis of this name; where all runs share the setting, an axis of its one value."""
    if name in grid.dims:
        return grid
    config = json.loads(grid.attrs["meta"]).get("config", {})
    if name not in config:
        raise gj.ResultError(f"This result has neither an axis nor a setting {name}. Pass that of another sweep.")
    return grid.expand_dims({name: [config[name]]})


def along(grid: xr.Dataset, *names: str) -> list[dict]:
    """Every combination of the values of some axes, of those that the grid has, of which there are runs."""
    combinations: list[dict] = [{}]
    for name in names:
        if name in grid.dims:
            combinations = [one | {name: value} for one in combinations for value in grid[name].values]
    return [one for one in combinations if ran(grid.sel({name: [value] for name, value in one.items()}))]


def draw_ordered(grid: xr.Dataset) -> Figure:
    """Ordered rows, all rows and controls side by side, a row of panels for each train fraction, and their arrivals."""
    rows: dict[str, list] = {}
    for label, cell in by_variant(grid):
        rows.setdefault(label.rpartition(", ")[2], []).append((label, cell))
    figure, axes = sheet(len(rows), max(map(len, rows.values())) + 1, height=3.3)
    for ax in axes.ravel():
        ax.set_visible(False)
    for line, cells in zip(axes, rows.values(), strict=True):
        for ax, (label, cell) in zip(line, cells, strict=False):
            learning(ax, cell, label)
        arrivals(line[-1], grid.sel(variant=[label for label, _ in cells]), "variant", "")
    key(figure, grid.sizes.get("seed", 1) > 1)
    return figure
