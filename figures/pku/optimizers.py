"""The highest validation accuracy over train fraction, a panel for each optimizer.

After figure 4 of the PKU study, drawn from experiments/pku/optimizers.py: a dot for each run, a line through the means,
a bar for the mean's 95 % interval (Student's t) from 3 runs on; thin and grey the means of the other optimizers.
Crosses are the means that the source recorded, at modulus 97.
"""

import numpy as np

import grokjax as gj
from grokjax.analysis.statistics import location
from grokjax.claims.rules import recorded_of
from grokjax.cli import show
from grokjax.plot.panels import arms, count, panel_grid, with_axis

COLOR = gj.plot.COLORS["val"]


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "train_fraction"), "modulus")
    fractions = grid["train_fraction"].values.astype(float)
    highest = {id: _by_fraction(cell) for id, _, cell in arms(grid)}
    columns = min(5, len(highest))
    rows = -(-len(highest) // columns)
    figure, axes = panel_grid(rows, columns, width=2.7, height=2.6)
    for ax in axes.flat[len(highest) :]:
        ax.set_visible(False)
    for ax, (id, label, _) in zip(axes.flat, arms(grid), strict=False):
        for other, values in highest.items():
            _line(ax, fractions, values, id == other)
        _runs(ax, fractions, highest[id])
        if id in recorded_of("pku")["optimizers"]:
            source = recorded_of("pku")["optimizers"]
            ax.plot(source["train_fraction"], np.array(source[id]) / 100, "x", color="#000000", ms=6, mew=1.4)
        gj.plot.percent_axis(ax, "y")
        ax.set_title(label)
    figure.supxlabel("train fraction (alpha)", fontsize=10)
    figure.supylabel("highest validation accuracy", fontsize=10)
    title = f"p = {', '.join(map(str, grid['modulus'].values))}, {count(grid)}; × recorded by the source, p = 97"
    figure.suptitle(title, fontsize=10)
    return figure


def _by_fraction(cell) -> list[np.ndarray]:
    """Per train fraction, the highest accuracy of each run."""
    values = cell["max_val_accuracy"].transpose("train_fraction", ...).values.astype(float)
    return [row[~np.isnan(row)] for row in values.reshape(len(values), -1)]


def _line(ax, fractions, values, own: bool) -> None:
    """A line through the means."""
    ran = np.array([len(row) > 0 for row in values])
    means = np.array([row.mean() for row in values if len(row)])
    look = dict(color=COLOR, lw=1.8, marker="o", ms=4, zorder=3) if own else dict(color="#CCCCCC", lw=0.8, zorder=1)
    ax.plot(fractions[ran], means, **look)


def _runs(ax, fractions, values) -> None:
    """Every run, and the interval of the mean."""
    for x, row in zip(fractions, values, strict=True):
        ax.plot(np.full(len(row), x), row, "o", color=COLOR, ms=3.5, mew=0, alpha=0.5)
        if len(row) >= 3:
            found = location(row)
            ax.plot([x, x], [found.low, found.high], color=COLOR, lw=1.0)


if __name__ == "__main__":
    show("pku/optimizers")
