"""Accuracy and softmax collapse over steps of a Transformer with neither weight decay nor dropout.

Drawn from experiments/pku/no_regularisation.py: on the right the share of rows whose loss is exactly 0 in the precision
of the loss, and whose gradient has vanished with it.
"""

import grokjax as gj
from grokjax.cli import show
from grokjax.plot.panels import along, count, panel_grid


def draw(grid):
    """The figure."""
    cells = along(grid, "loss_dtype")
    figure, axes = panel_grid(len(cells), 2, width=4.8, height=3.2)
    for line, where in zip(axes, cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        dtype = " ".join(map(str, where.values())) or "float32"
        gj.plot.curves(cell, line[0], legend=False)
        gj.plot.curves(cell, line[1], "softmax_collapse")
        for ax in line:
            ax.set_title(f"loss in {dtype} ({count(cell)})")
        line[1].set_yscale("linear")
        gj.plot.percent_axis(line[1], "y")
        line[1].set_ylabel("rows with a loss of exactly 0")
    return figure


if __name__ == "__main__":
    show("pku/no_regularisation")
