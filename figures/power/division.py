"""Accuracy and loss over optimization steps for x/y, with and without weight decay.

After figures 1 (left) and 4 of Power et al. 2022, drawn from experiments/power/division.py: a row for each optimizer,
accuracies on the left, losses on the right, every seed and their median.
"""

import grokjax as gj
from grokjax.cli import show
from grokjax.plot.panels import arms, count, panel_grid, shared_legend


def draw(grid):
    """The figure."""
    found = arms(grid)
    figure, axes = panel_grid(len(found), 2, width=4.8, height=3.0)
    for line, (_, label, cell) in zip(axes, found, strict=True):
        cell = cell.sel(step=cell["step"] <= cell["last_step"].max())
        for ax, quantity in zip(line, ("accuracy", "loss"), strict=True):
            gj.plot.curves(cell, ax, quantity, legend=False)
            ax.set_xlabel("optimization step")
            ax.set_title(f"{label} ({count(cell)})")
    shared_legend(figure, grid.sizes.get("seed", 1) > 1)
    return figure


if __name__ == "__main__":
    show("power/division")
