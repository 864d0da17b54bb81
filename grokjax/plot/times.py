"""Times to an accuracy: over an axis of a grid, and as shares of runs over steps."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from grokjax import results
from grokjax.analysis.statistics import log_rank, survival
from grokjax.plot.grids import by_value, dim_of, name_of, need, title_of
from grokjax.plot.style import (
    COLORS,
    EDGE,
    NAMES,
    OTHERS,
    axes_of,
    category_axis,
    numeric,
    percent_axis,
    style,
    text_of,
    time_axis,
)


def crossings(
    grid: xr.Dataset, x: str = "train_fraction", ax: Axes | None = None, level: int = 99, log: bool = False
) -> Axes:
    """Steps to reach an accuracy, in training and in validation, over one axis of the grid.

    Every run is a dot. A run that never got there is an open triangle pointing up at its last step: its time
    lies above it; where several runs of a kind share a place, their number stands over the triangles. Dashes
    are the medians, in which such runs count as infinite, and a line joins them over a numeric axis; where a
    median is infinite there is no dash and the line stops.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      x: the axis, numbers or names; a coordinate zipped to an axis will do.
      ax: where to draw; None makes a new figure.
      level: 50, 90, 95 or 99 percent.
      log: whether the axis, of positive numbers, is logarithmic.

    Returns:
      The Axes, with the number of runs in the title.

    Raises:
      ValueError: if the grid lacks the axis or the times, or no run has run.
    """
    need(grid, *(f"steps_to_{part}_{level}" for part in COLORS), "status", "last_step")
    dim = dim_of(grid, x)
    coordinate = grid[x].values
    places = coordinate.astype(float) if numeric(coordinate) else np.arange(len(coordinate), dtype=float)
    on_axis, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    gap = np.diff(np.unique(on_axis(places))).min(initial=np.inf)
    room = min(gap, np.ptp(on_axis(places)) / 4) if numeric(coordinate) and np.isfinite(gap) else 1.0
    last = by_value(grid, "last_step", dim)
    shown = []
    with style():
        ax = axes_of(ax)
        for part, side in (("train", -0.05), ("val", 0.05)):
            times = by_value(grid, f"steps_to_{part}_{level}", dim)
            aside = back(on_axis(places) + side * room)  # so that equal times of both parts are seen
            at = np.broadcast_to(aside[:, None], times.shape)
            here, never = np.isfinite(times), np.isinf(times)
            look = dict(linestyle="none", color=COLORS[part])
            ax.plot(at[here], times[here], marker="o", ms=4.5, mew=0, alpha=0.55, zorder=3, **look)
            ax.plot(at[never], last[never], marker="^", ms=6, mfc="none", mew=1, zorder=3, **look)
            dash = dict(marker="_", ms=14, mew=2, lw=1.5, zorder=2, color=COLORS[part])
            line = "solid" if numeric(coordinate) else "none"
            for_x = np.unique(places)
            middle = np.array([results.median(times[places == p]) for p in for_x])
            at_x = back(on_axis(for_x) + side * room)
            ax.plot(at_x, np.where(np.isfinite(middle), middle, np.nan), linestyle=line, **dash)
            for p, place in zip(for_x, at_x, strict=True):
                count_censored(ax, place, last[places == p][never[places == p]], COLORS[part], side)
            shown += [times[here], last[never]]
        time_axis(ax, "y", np.concatenate(shown))
        if not numeric(coordinate):
            category_axis(ax, "x", coordinate, 0.0)
            ax.set_xlim(-0.5, len(coordinate) - 0.5)
        elif np.isfinite(gap):
            ax.set_xscale("log" if log else "linear")
            ax.margins(x=0.07)
        else:
            ax.set_xlim(places[0] - 1, places[0] + 1)
            ax.set_xticks(places[:1], [text_of(coordinate[0])])
        ax.set_xlabel(name_of(grid, x))
        ax.set_ylabel(f"steps to {level} % accuracy")
        ax.set_title(title_of(grid, [dim]))
        _crossing_legend(ax)
    return ax


def arrivals(
    grid: xr.Dataset, by: str, ax: Axes | None = None, level: int = 99, part: str = "val", clock: str = "step"
) -> Axes:
    """The share of runs that have reached an accuracy, over steps, a line for each value of an axis.

    It is 1 minus Kaplan and Meier's estimate, with pointwise 95 % limits as a band, of three runs or more. A run that
    never got there is censored at its last step, a tick on the line. The legend has the p-value of the log-rank test
    of each line against the first, where both have three runs or more.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      by: the axis; all others are pooled.
      ax: where to draw; None makes a new figure.
      level: 50, 90, 95 or 99 percent.
      part: "train" or "val".
      clock: "step", or "epoch", each run's own.

    Returns:
      The Axes, with the number of runs of each line in the legend.

    Raises:
      ValueError: if the grid lacks the axis or the times.
    """
    need(grid, f"steps_to_{part}_{level}", "status", "last_step")
    dim = dim_of(grid, by)
    unit = by_value(grid, "steps_per_epoch", dim) if clock == "epoch" else 1.0
    times, last = (by_value(grid, name, dim) / unit for name in (f"steps_to_{part}_{level}", "last_step"))
    with style():
        ax = axes_of(ax)
        known = ~np.isnan(times)
        if not known.any():
            raise ValueError("No run of this grid has ended yet, so there is nothing to draw. Continue its sweep.")
        for i, label in enumerate(grid[by].values):
            ran = known[i]
            if not ran.any():
                continue
            color = OTHERS[i % len(OTHERS)]
            curve = survival(times[i][ran], last[i][ran])
            end = last[i][ran].max()
            steps = np.append(np.maximum(curve.steps, 1), end)
            low, mid, high = (np.append(1 - s, 1 - s[-1]) for s in (curve.high, curve.share, curve.low))
            count = int(ran.sum())
            if count > 2:  # of fewer it is the whole picture
                ax.fill_between(steps, low, high, step="post", color=color, alpha=0.12, lw=0)
            text = f"{text_of(label)} ({count} run{'s' * (count != 1)})"
            if i and min(count, known[0].sum()) > 2:
                p_value = log_rank(times[i][ran], last[i][ran], times[0][known[0]], last[0][known[0]])
                text += f", p = {p_value:.2g}"
            ax.step(steps, mid, where="post", color=color, label=text, lw=1.8)
            gone = last[i][ran][np.isinf(times[i][ran])]
            at = 1 - curve.share[np.searchsorted(curve.steps, gone, side="right") - 1]
            ax.plot(gone, at, linestyle="none", marker="|", ms=9, mew=1.5, color=color)
        time_axis(ax, "x", np.concatenate([times[np.isfinite(times)], last[known]]))
        percent_axis(ax, "y")
        ax.set_xlabel(clock)
        ax.set_ylabel(f"runs at {level} %\n{NAMES[part]} accuracy")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title=name_of(grid, by))
    return ax


def count_censored(ax: Axes, at: float, heights: np.ndarray, color: str, side: float = 0.0) -> None:
    """Writes how many triangles stand at one place, for they may cover each other; `side` is that of the place."""
    if len(heights) > 1:
        aligned = "center" if not side else "right" if side < 0 else "left"
        look = dict(textcoords="offset points", ha=aligned, va="bottom", fontsize=7, color=color)
        ax.annotate(f"{len(heights)}", (at, heights.max()), (0, 5), **look)


def _crossing_legend(ax: Axes) -> None:
    """What the marks of `crossings` are, to the right of them."""
    handles = [Line2D([], [], color=COLORS[p], lw=2.2, label=NAMES[p]) for p in COLORS]
    grey = dict(color=EDGE, linestyle="none")
    handles += [
        Line2D([], [], marker="o", ms=4.5, mew=0, alpha=0.6, label="one run", **grey),
        Line2D([], [], marker="_", ms=14, mew=2, label="median", **grey),
        Line2D([], [], marker="^", ms=6, mfc="none", label="not reached\nby its last step", **grey),
    ]
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
