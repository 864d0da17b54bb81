"""The highest validation accuracy over the learning rate, and steps to 99 %.

Drawn from experiments/power/learning_rate.py, a column for each optimizer: a dot for each run, a line through the
medians, a triangle for a run that never got there."""

import grokjax as gj
from grokjax import results
from grokjax.cli import show
from grokjax.plot.panels import arms, panel_grid

COLOR = gj.plot.COLORS["val"]


def draw(grid):
    """The figure."""
    found = arms(grid)
    figure, axes = panel_grid(2, len(found), width=4.6, height=2.8)
    for (top, bottom), (_, label, cell) in zip(axes.T, found, strict=True):
        rates = cell["learning_rate"].values.astype(float)
        highest = cell["max_val_accuracy"].transpose("learning_rate", ...).values.reshape(len(rates), -1)
        top.plot(rates, highest, "o", color=COLOR, ms=4, mew=0, alpha=0.6)
        top.plot(rates, results.median(highest, -1), color=COLOR, lw=1.8)
        top.set(xlabel="learning rate", ylabel="highest validation accuracy")
        gj.plot.percent_axis(top, "y")
        gj.plot.crossings(cell, "learning_rate", bottom, log=True)
        for ax in (top, bottom):
            ax.set_xlim(rates.min() / 1.5, rates.max() * 1.5)  # first, for an empty panel has limits that no log has
            ax.set_xscale("log")
        top.set_title(f"{label} ({bottom.get_title()})")
        bottom.set_title("")
        if cell is not found[-1][2]:
            bottom.get_legend().remove()
    return figure


if __name__ == "__main__":
    show("power/learning_rate")
