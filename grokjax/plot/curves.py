"""Curves of runs over steps or epochs."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from grokjax import results
from grokjax.analysis.statistics import median_place
from grokjax.plot.grids import dim_of, is_seed, name_of, need, title_of
from grokjax.plot.style import COLORS, EDGE, NAMES, axes_of, percent_axis, shades, step_axis, style, text_of


def curves(
    grid: xr.Dataset,
    ax: Axes | None = None,
    quantity: str = "accuracy",
    by: str | None = None,
    parts: Sequence[str] = ("train", "val"),
    clock: str = "step",
    legend: bool = True,
) -> Axes:
    """Accuracy (or loss) of every run over steps, thin up to where the run ended, and the median, bold.

    Six runs or more also have the 95 % interval of their median at each step, by order statistics, as a band.

    The median carries the last value of a run on, up to the last step of the longest. Steps are on a
    logarithmic axis that turns linear below the decade of the first step after 0 (a "symlog" axis), so that
    step 0 stands at its left edge under its own number.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      ax: where to draw; None makes a new figure.
      quantity: "accuracy", "loss" or what else the grid has as train_... and val_...; a loss is drawn on a
        logarithmic axis.
      by: the axis whose values differ in shade, from light to dark, each with a median of its own.
        None takes the only axis beside seeds with several values, if there is one. All other axes are pooled,
        and the title says so.
      parts: which of "train" and "val" to draw.
      clock: "step", or "epoch" if all runs have as many steps in one.
      legend: whether to say beside the picture what the lines are.

    Returns:
      The Axes, with the number of runs in the title.

    Raises:
      ValueError: if the grid lacks the curves or the axis, no run has run, several axes could be meant, or epochs
        differ in length.
    """
    names = [f"{part}_{quantity}" for part in parts]
    need(grid, *names, "status", "last_step", "step")
    axis = _shading_axis(grid, by)
    whole = results.filled(grid, *names)
    unit = _steps_of(grid, clock)
    picks = [{axis: i} for i in range(grid.sizes[axis])] if axis else [{}]
    with style():
        ax = axes_of(ax)
        for part in parts:
            for pick, shade in zip(picks, shades(COLORS[part], len(picks)), strict=True):
                _draw_runs(ax, whole.isel(pick), f"{part}_{quantity}", shade, unit)
        step_axis(ax, "x", grid["step"].values / unit)
        if quantity.endswith("accuracy"):
            percent_axis(ax, "y")
        elif quantity.endswith("loss"):
            ax.set_yscale("log")
        ax.set_xlabel(clock)
        name = name_of(grid, f"{parts[0]}_{quantity}") if len(parts) == 1 else quantity.replace("_", " ")
        nats = quantity.endswith("loss") and grid[names[0]].attrs.get("units", "nat") == "nat"
        ax.set_ylabel(f"{name} (nats)" if nats else name)
        ax.set_title(title_of(grid, [axis]))
        if legend:
            _curve_legend(ax, grid, axis, parts)
    return ax


def _shading_axis(grid: xr.Dataset, by: str | None) -> str | None:
    """The dimension whose values `curves` shades; see there."""
    if by is not None:
        return dim_of(grid, by)
    several = [d for d in grid["status"].dims if grid.sizes[d] > 1 and not is_seed(d)]
    if len(several) > 1:
        raise ValueError(
            f"This grid varies in {', '.join(several)}, too much for one picture. "
            f"Pass by={several[0]!r}, and select the others with grid.sel."
        )
    return several[0] if several else None


def _steps_of(grid: xr.Dataset, clock: str) -> int:
    """Steps in a unit of the clock."""
    if clock == "step":
        return 1
    if clock != "epoch":
        raise ValueError(f"clock={clock!r} is not known. Try 'step' or 'epoch'.")
    need(grid, "steps_per_epoch")
    lengths = np.unique(grid["steps_per_epoch"].values)
    if len(lengths) > 1:
        raise ValueError(
            f"An epoch has {', '.join(map(str, lengths))} steps in these runs. Try clock='step', or select."
        )
    return int(lengths[0])


def _draw_runs(ax: Axes, grid: xr.Dataset, name: str, color, unit: int = 1) -> None:
    """One curve of every run that ran, thin up to its last step, and their median, bold up to the latest, in a band."""
    dims = grid["status"].dims
    ran = grid["status"].values.ravel() != "not run"
    if not ran.any():
        return
    step = grid["step"].values / unit
    lines = grid[name].transpose(*dims, "step").values.reshape(-1, step.size)[ran]
    ends = grid["last_step"].values.ravel()[ran] / unit
    for line, end in zip(lines, ends, strict=True):
        ax.plot(step[step <= end], line[step <= end], color=color, lw=0.6, alpha=0.5, zorder=2)
    shown = step <= ends.max()
    if place := median_place(len(lines)):
        ordered = np.sort(lines, axis=0)
        ax.fill_between(
            step[shown], ordered[place - 1][shown], ordered[-place][shown], color=color, alpha=0.15, lw=0, zorder=1
        )
    ax.plot(step[shown], results.median(lines, 0)[shown], color=color, lw=2.2, zorder=3)


def _curve_legend(ax: Axes, grid: xr.Dataset, axis: str | None, parts: Sequence[str]) -> None:
    """What the lines of `curves` are, to the right of them; of many shades only some."""
    handles = [Line2D([], [], color=COLORS[p], lw=2.2, label=NAMES[p]) for p in parts]
    many = int((grid["status"] != "not run").sum()) > 1
    if many:
        handles += [
            Line2D([], [], color=EDGE, lw=2.2, label="median"),
            Line2D([], [], color=EDGE, lw=0.6, label="one run"),
        ]
    labels = [h.get_label() for h in handles]
    if axis:
        size = grid.sizes[axis]
        chosen = range(size) if size <= 6 else np.unique(np.linspace(0, size - 1, 5).round().astype(int))
        ramps = [shades(COLORS[p], size) for p in parts]
        handles += [Line2D([], [], linestyle="none")]
        labels += [name_of(grid, axis)]
        handles += [tuple(Line2D([], [], color=ramp[i], lw=2.2) for ramp in ramps) for i in chosen]
        labels += [text_of(grid[axis].values[i]) for i in chosen]
    pairs = {tuple: HandlerTuple(ndivide=None, pad=0.2)}
    ax.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), handler_map=pairs)
