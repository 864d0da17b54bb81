"""Final validation accuracy over the number of training rows, by width, and the critical data size of each width.

After figure 3 of Huang et al., drawn from experiments/huang/critical_size.py: every seed as a dot, means with 95 %
intervals by Student's t. Right: where the mean over seeds reaches 99 %, where the median seed does, with its interval
by order statistics, and the band of semi-grokking, in which the mean lies between 10 and 90 %.
"""

import numpy as np

from grokjax.analysis.critical_size import critical_size
from grokjax.analysis.thresholds import least_reaching
from grokjax.cli import show
from grokjax.figures.huang.points import KINDS, MARKS, by_seed, draw_points, final_accuracy, note_where_empty
from grokjax.plot.panels import count, panel_grid, with_axis
from grokjax.plot.style import OTHERS, percent_axis


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "width"), "train_rows")
    final = final_accuracy(grid)
    widths, rows = grid["width"].values, grid["train_rows"].values
    figure, (axes,) = panel_grid(1, 2, width=4.6, height=3.3)
    for i, width in enumerate(widths):
        color, marker = OTHERS[i % len(OTHERS)], MARKS[i % len(MARKS)]
        draw_points(axes[0], rows, by_seed(final.sel(width=width), "train_rows"), color, f"{width}", marker)
    axes[0].axhline(0.99, color="#999999", lw=0.8, ls=":")
    percent_axis(axes[0], "y")
    axes[0].set(
        xlabel="training rows N", ylabel="validation accuracy, last 1 % of steps", title=f"{count(grid)}; 99 % dotted"
    )
    axes[0].legend(title="width d")
    _sizes(axes[1], widths, rows, final)
    note_where_empty(axes, final)
    return figure


def _sizes(ax, widths, rows, final):
    """Critical size and band by width; an arrow where only a bound is known."""
    at = np.arange(len(widths))
    for place, width in zip(at, widths, strict=True):
        values = by_seed(final.sel(width=width), "train_rows").T
        values = values[~np.isnan(values).all(1)]
        if not len(values):
            continue
        found = critical_size(rows, values)
        low, high = (_of_mean(rows, values, level) for level in (0.1, 0.9))
        band = np.clip([low, high], rows[0], rows[-1])
        ax.bar(place, band[1] - band[0], 0.5, band[0], color=KINDS["semi-grokking"], alpha=0.35, lw=0)
        ends = np.clip(np.array([found.of_seeds.low, found.of_seeds.high]), rows[0], rows[-1])
        ax.plot([place + 0.12] * 2, ends, color="#000000", lw=1)
        for x, size, look in (
            (place - 0.12, found.of_mean, dict(color="#D55E00")),
            (place + 0.12, found.of_seeds.value, dict(color="#000000")),
        ):
            beyond = "^" if size > rows[-1] else "v" if size < rows[0] else "o"
            ax.plot(x, np.clip(size, rows[0], rows[-1]), marker=beyond, ls="none", ms=6, **look)
    for label, look in (
        ("mean of seeds at 99 %", dict(color="#D55E00", marker="o", ls="none")),
        ("median seed, 95 % interval", dict(color="#000000", marker="o", lw=1)),
        ("beyond the rows that ran", dict(color="#555555", marker="^", ls="none")),
        ("mean between 10 and 90 %", dict(color=KINDS["semi-grokking"], alpha=0.35, lw=8)),
    ):
        ax.plot([], [], label=label, **look)
    margin = 0.06 * (rows[-1] - rows[0] or 1)
    ax.set_xticks(at, [f"{width}" for width in widths])
    ax.set(xlabel="width d", ylabel="training rows N", title="critical data size", xlim=(-0.6, len(at) - 0.4))
    ax.set_ylim(rows[0] - margin, rows[-1] + margin)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _of_mean(rows, values, level):
    return float(least_reaching(rows, np.nanmean(values, axis=0), level).interpolated)


if __name__ == "__main__":
    show("huang/critical_size")
