"""Final validation accuracy over width on the sum and on its square, at equal training rows.

After figure 7 of Huang et al., drawn from experiments/huang/square.py: every seed as a dot, means with 95 % intervals
by Student's t.
"""

from grokjax.cli import show
from grokjax.figures.huang.points import MARKS, by_seed, draw_points, final_accuracy, note_where_empty, told_of_u
from grokjax.plot.panels import count, panel_grid, with_axis
from grokjax.plot.style import OTHERS, percent_axis


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "width"), "operation")
    final, widths = final_accuracy(grid), grid["width"].values
    figure, ((ax,),) = panel_grid(1, 1, width=5.6, height=3.6)
    for i, operation in enumerate(grid["operation"].values):
        values = by_seed(final.sel(operation=operation), "width")
        name = "x+y" if operation == "add" else operation
        draw_points(ax, widths, values, OTHERS[i], f"{name}: {told_of_u(values)}", MARKS[i], log=True)
    ax.set_xscale("log")
    ax.set_xticks(widths, [f"{width}" for width in widths])
    ax.minorticks_off()
    percent_axis(ax, "y")
    ax.set(xlabel="width d", ylabel="validation accuracy, last 1 % of steps")
    ax.set_title(f"the sum and its square, {int(grid['num_train'].max())} training rows ({count(grid)})")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))
    note_where_empty([ax], final)
    return figure


if __name__ == "__main__":
    show("huang/square")
