"""Steps to 99 % and highest validation accuracy of RMSprop and Adam with and without momentum.

Drawn from experiments/pku/momentum.py, a column for each learning rate: a dot for each run, a triangle for one that
never got there.
"""

import grokjax as gj
from grokjax.cli import show
from grokjax.plot.panels import along, label_of, own_ticks, panel_grid


def draw(grid):
    """The figure."""
    cells = along(grid, "learning_rate")
    figure, axes = panel_grid(2, len(cells), width=4.8, height=3.2)
    for (times, highest), where in zip(axes.T, cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        gj.plot.crossings(cell, label_of(cell), times)
        times.set_xlabel("")
        times.set_title("".join(f"learning rate {rate:g}: " for rate in where.values()) + times.get_title())
        if where is not cells[-1]:
            times.get_legend().remove()
        accuracy = cell["max_val_accuracy"].transpose("variant", ...)
        for i, runs in enumerate(accuracy.values.reshape(len(accuracy), -1)):
            highest.plot([i] * len(runs), runs, "o", color=gj.plot.COLORS["val"], alpha=0.6, mew=0)
        highest.set_xticks(range(len(accuracy)), accuracy[label_of(cell)].values)
        highest.set_xlim(-0.5, len(accuracy) - 0.5)
        highest.set_ylabel("highest validation accuracy")
        gj.plot.percent_axis(highest, "y")
        for ax in (times, highest):
            own_ticks(ax, grid[label_of(grid)].values)
    return figure


if __name__ == "__main__":
    show("pku/momentum")
