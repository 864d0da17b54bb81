"""Shared by figures over the train fraction: the highest validation accuracy, and the least fraction that suffices."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import grokjax as gj
from grokjax import results
from grokjax.analysis.least_fraction import least_fraction

COLOR = gj.plot.COLORS["val"]


def both(grid: xr.Dataset, by: str, names, width: float = 4.6, more: int = 0):
    """A heat map of the highest validation accuracy and, beside it, the least fraction of every seed.

    Args:
      grid: with an axis of train fractions.
      by: the axis whose values are rows.
      names: what its values are called.
      width: of a panel, in inches.
      more: panels that the caller draws on the right of these.

    Returns:
      The figure and its Axes.
    """
    size = (width * (2 + more) + 1.5, 0.32 * len(names) + 1.9)
    figure, axes = plt.subplots(1, 2 + more, figsize=size, layout="constrained", squeeze=False)
    named = grid.assign_coords({by: list(names)})
    gj.plot.heatmap(named, "max_val_accuracy", "train_fraction", by, axes[0, 0])
    axes[0, 0].set(xlabel="train fraction (alpha)", ylabel="")
    axes[0, 0].set_title(axes[0, 0].get_title(), pad=24)
    axes[0, 0].tick_params(axis="x", rotation=90 if grid.sizes["train_fraction"] > 8 else 0)
    least(axes[0, 1], grid, by, names)
    axes[0, 1].tick_params(labelleft=False)
    axes[0, 1].set_ylim(axes[0, 0].get_ylim())
    return figure, axes[0]


def least(ax: Axes, grid: xr.Dataset, by: str, names) -> None:
    """The least train fraction with 99 % validation accuracy of every seed, a row for each value of an axis.

    A dot is the fraction, a bar reaches down to the largest that ran below it; a triangle stands for a run that no
    fraction sufficed for; the dash is the median of a row's seeds.
    """
    found = least_fraction(grid)
    fractions = grid["train_fraction"].values.astype(float)
    at, bracket = (
        found[name].transpose(by, ...).values.reshape(len(names), -1) for name in ("least_fraction", "bracket")
    )
    for row in range(len(names)):
        ran = ~np.isnan(at[row])
        seeds = int(ran.sum())
        for i, (high, low) in enumerate(zip(at[row][ran], bracket[row][ran], strict=True)):
            y = row + 0.5 + (0.5 * (i + 0.5) / seeds - 0.25 if seeds > 1 else 0.0)
            if np.isinf(high):
                ax.plot(low, y, marker=">", ms=5, mfc="none", color=COLOR, linestyle="none")
                continue
            ax.plot([max(low, 0.0), high], [y, y], color=COLOR, lw=1.2, alpha=0.5)
            ax.plot(high, y, "o", ms=3.5, mew=0, color=COLOR)
        if seeds > 1 and np.isfinite(middle := results.median(at[row][ran])):
            ax.plot([middle] * 2, [row + 0.15, row + 0.85], color="#000000", lw=1.6)
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.set_ylim(0, len(names))
    ax.set_xlim(0, max(1.0, fractions.max() + 0.05))
    ax.set_xlabel("least train fraction with 99 % validation accuracy")
    look = dict(color=COLOR, linestyle="none")
    handles = [
        Line2D([], [], marker="o", ms=4, mew=0, label="one run, its bar down to the next fraction that failed", **look),
        Line2D([], [], marker=">", ms=5, mfc="none", label="no fraction that ran suffices", **look),
        Line2D([], [], color="#000000", lw=1.6, label="median"),
    ]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1)


def wanting(ax: Axes, name: str, why: str = "not measured yet") -> None:
    """Says in the middle of a panel what it lacks, and how its measures are made."""
    said = f"{why}:\ngrokjax run {name}\nmeasures runs that have ended"
    ax.text(0.5, 0.5, said, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
