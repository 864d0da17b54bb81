"""The highest validation accuracy of each way to train over the train fraction, the least fraction, and sharpness.

After figure 2 (left) of Power et al. 2022, drawn from experiments/power/regularisation.py: medians of the seeds; grey
is what was not run, for a bisected grid most of it. On the right the sharpness of each run that memorised, at the
fraction at which most runs ended."""

import numpy as np

import grokjax as gj
from grokjax import results
from grokjax.cli import show
from grokjax.figures.power.least import both, wanting
from grokjax.plot.panels import label_of


def draw(grid):
    """The figure."""
    grid = grid.isel(variant=slice(None, None, -1))  # the first way at the top
    figure, axes = both(grid, "variant", grid[label_of(grid)].values, width=4.0, more=1)
    if "sharpness" in grid:
        _sharpness(axes[2], grid)
        axes[2].set_ylim(axes[0].get_ylim())
        axes[2].tick_params(labelleft=False)
    else:
        wanting(axes[2], "power/regularisation")
    return figure


def _sharpness(ax, grid) -> None:
    """The sharpness of every run at one fraction, a row for each way to train."""
    known = grid["sharpness"].where(np.isfinite(grid["steps_to_train_99"]))
    others = [dim for dim in known.dims if dim != "train_fraction"]
    runs_at = known.notnull().sum(others).values
    if not runs_at.any():
        wanting(ax, "power/regularisation", "no run that was measured\nhas memorised")
        return
    at = int(runs_at.argmax())
    values = known.isel(train_fraction=at).transpose("variant", ...).values.reshape(grid.sizes["variant"], -1)
    for row, runs in enumerate(values):
        ran = runs[runs > 0]
        ax.plot(ran, np.full(len(ran), row + 0.5), "o", ms=4, mew=0, alpha=0.6, color=gj.plot.OTHERS[1])
        if len(ran) > 1:
            ax.plot([results.median(ran)] * 2, [row + 0.15, row + 0.85], color="#000000", lw=1.6)
    ax.set_yticks(np.arange(len(values)) + 0.5, grid[label_of(grid)].values)
    ax.set_xscale("log")
    ax.set_xlabel("sharpness of the training loss (%)")
    ax.set_title(f"runs that memorised {float(grid['train_fraction'][at]):g} of the table")


if __name__ == "__main__":
    show("power/regularisation")
