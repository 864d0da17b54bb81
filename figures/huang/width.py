"""Final validation accuracy over width, a panel for each number of training rows: is there a U?

After figure 6 of Huang et al., drawn from experiments/huang/width.py: every seed as a dot, means with 95 % intervals by
Student's t. Titles say how deep the U of the mean is, and with what probability a monotone curve with the same noise
shows as deep a dip. Below, what kinds of dynamics the seeds show at each width.
"""

from grokjax.analysis.dynamics import of_grid
from grokjax.cli import show
from grokjax.figures.huang.points import (
    by_seed,
    draw_points,
    draw_shares,
    final_accuracy,
    kinds_key,
    note_where_empty,
    told_of_u,
)
from grokjax.plot.panels import along, count, panel_grid, with_axis
from grokjax.plot.style import percent_axis


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "width"), "train_rows")
    final, kinds = final_accuracy(grid), of_grid(grid)
    rows = [where["train_rows"] for where in along(grid, "train_rows")]
    figure, axes = panel_grid(2, len(rows), width=3.3, height=2.4)
    for (above, below), number in zip(axes.T, rows, strict=True):
        widths, values = grid["width"].values, by_seed(final.sel(train_rows=number), "width")
        draw_points(above, widths, values, "#D55E00", log=True)
        above.set_title(f"N = {number} ({count(grid.sel(train_rows=[number]))})\n{told_of_u(values)}")
        draw_shares(below, widths, by_seed(kinds.sel(train_rows=number), "width"))
        for ax in (above, below):
            ax.set_xlabel("width d")
        percent_axis(above, "y")
        for ax in (above,):
            ax.set_xscale("log")
            ax.set_xticks(widths, [f"{width}" for width in widths], rotation=60 * (len(widths) > 9))
            ax.minorticks_off()
    axes[0, 0].set_ylabel("validation accuracy,\nlast 1 % of steps")
    axes[1, 0].set_ylabel("share of runs")
    note_where_empty(axes.flat, final)
    kinds_key(figure, kinds.values)
    return figure


if __name__ == "__main__":
    show("huang/width")
