"""Rows of random labels that a model memorises, over its parameters.

After figure 4 of Huang et al., drawn from experiments/huang/capacity.py: every seed as a dot, means with 95 % intervals
by Student's t. All rows train, and both orders of a pair share a label.
"""

import numpy as np

from grokjax.cli import show
from grokjax.experiments.huang.arms import alone
from grokjax.figures.huang.points import by_seed, config_of, draw_points, final_accuracy, note_where_empty
from grokjax.plot.panels import count, panel_grid, with_axis


def draw(grid):
    """The figure."""
    grid = with_axis(grid, "width")
    modulus, widths = int(config_of(grid)["modulus"]), grid["width"].values
    rows = np.rint(by_seed(final_accuracy(grid, "train") * grid["num_train"], "width"))
    sizes = np.array([alone(int(width), modulus) for width in widths])
    figure, ((ax,),) = panel_grid(1, 1, width=5.2, height=3.6)
    draw_points(ax, sizes, rows, "#0072B2", "memorised", log=True, most=modulus**2)
    ax.axhline(modulus**2, color="#555555", lw=0.9, ls=":", label=f"all {modulus**2:,} rows")
    ax.axhline(modulus, color="#999999", lw=0.9, ls="--", label="right by chance")
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size:,}\n(d = {width})" for size, width in zip(sizes, widths, strict=True)])
    ax.minorticks_off()
    ax.set(xlabel="parameters", ylabel="rows of random labels", ylim=(0, 1.05 * modulus**2))
    ax.set_title(f"memory capacity, modulus {modulus} ({count(grid)})")
    ax.legend()
    note_where_empty([ax], final_accuracy(grid, "train"))
    return figure


if __name__ == "__main__":
    show("huang/capacity")
