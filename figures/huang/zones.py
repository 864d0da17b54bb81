"""The zones of width and training rows: which dynamics where, with critical data size and memory capacity.

After figure 1 of Huang et al., drawn from measurements: cells from experiments/huang/zones.py, divided between the
kinds of dynamics that its runs show; the memory capacity from experiments/huang/capacity.py and the critical data size
from experiments/huang/critical_size.py, of the same preset. Where critical_size has not been run, the line is that of
the cells' own runs.
"""

import numpy as np

from grokjax.analysis import critical_size as critical
from grokjax.analysis.dynamics import LABELS, of_grid
from grokjax.cli import show
from grokjax.figures.huang.points import KINDS, by_seed, final_accuracy, kinds_key, note_where_empty
from grokjax.plot.panels import count, panel_grid, with_axis
from grokjax.plot.style import EDGE

BESIDE = ("capacity", "critical_size")


def draw(grid, capacity=None, critical_size=None):
    """The figure."""
    grid = with_axis(with_axis(grid, "width"), "train_rows")
    widths, rows = grid["width"].values, grid["train_rows"].values
    kinds = of_grid(grid)
    middles = (rows[1:] + rows[:-1]) / 2 if len(rows) > 1 else np.array([])
    reach = (rows[1] - rows[0], rows[-1] - rows[-2]) if len(rows) > 1 else (2, 2)
    edges = np.concatenate([[rows[0] - reach[0] / 2], middles, [rows[-1] + reach[1] / 2]])
    figure, ((ax,),) = panel_grid(1, 1, width=6.0, height=4.0)
    for i, width in enumerate(widths):
        for j, number in enumerate(rows):
            shown = kinds.sel(width=width, train_rows=number).values.ravel()
            _cell(ax, i, edges[j : j + 2], shown[shown != ""])
    own = critical_size is None
    sizes = _critical_by_width(grid if own else critical_size)
    _line(ax, widths, edges, sizes, "critical data size" + ", of these runs" * own, "#000000", "o", -0.08)
    if capacity is None:
        ax.plot([], [], ls="none", label="memory capacity: grokjax run huang/capacity")
    else:
        _line(ax, widths, edges, _capacity_by_width(capacity), "memory capacity", "#D55E00", "s", 0.08)
    ax.plot([], [], ls="none", marker="^", ms=6, mew=0, color=EDGE, label="beyond the map")
    ax.grid(False)
    ax.set_xticks(np.arange(len(widths)), [f"{width}" for width in widths])
    ax.set(xlabel="width d", ylabel="training rows N", xlim=(-0.5, len(widths) - 0.5), ylim=(edges[0], edges[-1]))
    ax.set_title(f"kinds of dynamics ({count(grid)}; a cell is divided by the runs' shares)")
    note_where_empty([ax], final_accuracy(grid))
    kinds_key(figure, kinds.values, *ax.get_legend_handles_labels()[0])
    return figure


def _cell(ax, place, ends, shown):
    """A cell of the map, divided between kinds from left to right."""
    left = place - 0.5
    for kind in LABELS:
        wide = float(np.mean(shown == kind)) if len(shown) else 0.0
        ax.bar(left, ends[1] - ends[0], wide, ends[0], align="edge", color=KINDS[kind], lw=0)
        left += wide
    ax.plot([place - 0.5, place + 0.5], [ends[1]] * 2, color="white", lw=0.6)
    ax.plot([place + 0.5] * 2, ends, color="white", lw=0.6)


def _critical_by_width(grid):
    """{width: rows at which the mean over seeds reaches 99 %}, +-inf beyond those that ran."""
    grid = with_axis(with_axis(grid, "width"), "train_rows")
    final, found = final_accuracy(grid), {}
    for width in grid["width"].values:
        values = by_seed(final.sel(width=width), "train_rows").T
        values = values[~np.isnan(values).all(1)]
        if len(values):
            found[int(width)] = critical.critical_size(grid["train_rows"].values, values).of_mean
    return found


def _capacity_by_width(grid):
    """{width: rows of random labels that its models memorise, the mean over seeds}."""
    grid = with_axis(grid, "width")
    rows = by_seed(final_accuracy(grid, "train") * grid["num_train"], "width")
    return {
        int(width): float(np.nanmean(row))
        for width, row in zip(grid["width"].values, rows, strict=True)
        if not np.isnan(row).all()
    }


def _line(ax, widths, edges, sizes, label, color, marker, aside):
    """A line over widths, moved aside so that two are seen; a triangle at the edge of the map for a size beyond it."""
    known = sorted(sizes)
    at = np.interp(np.log(known), np.log(widths), np.arange(len(widths)), left=np.nan, right=np.nan) + aside
    heights = np.array([sizes[width] for width in known], float)
    look = dict(color=color, ms=6, mec="white", mew=0.8, zorder=4)
    finite = np.where(np.isfinite(heights), heights, np.nan)
    ax.plot(at, finite, lw=2, marker=marker, label=label, **look)
    for beyond, height, triangle in ((heights > edges[-1], edges[-1], "^"), (heights < edges[0], edges[0], "v")):
        if beyond.any():  # an empty line that is not clipped has a place in the layout
            ax.plot(at[beyond], np.full(beyond.sum(), height), ls="none", marker=triangle, clip_on=False, **look)


if __name__ == "__main__":
    show("huang/zones")
