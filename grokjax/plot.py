"""The figures every sweep wants: curves over steps, a heat map over two axes, times over one axis.

Each function takes a dataset from `grokjax.load` (or a selection of one) and an Axes or none, and returns the
Axes. They draw every run and the median of `results.median`, and compute nothing else. Colours are those of
Okabe and Ito, which colour-blind readers can tell apart: training blue, validation vermilion.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from grokjax import results
from grokjax.analysis.statistics import log_rank, median_place, survival

COLORS = {"train": "#0072B2", "val": "#D55E00"}
NAMES = {"train": "training", "val": "validation"}
NOT_RUN = "#BBBBBB"
EDGE = "#555555"

STYLE = {
    "figure.figsize": (6.4, 4.0),
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": mpl.cycler(
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"]
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "font.family": "DejaVu Sans",
    "image.cmap": "viridis",
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
}
"""The one style of all figures."""


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Everything drawn inside has `STYLE`; outside, Matplotlib's settings are as they were."""
    with plt.rc_context(STYLE):
        yield


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Writes a figure as PNG (150 dots per inch) and as PDF, side by side.

    The files hold no date, so that the same figure gives the same bytes.

    Args:
      figure: what to write.
      path: where to, with or without .png or .pdf; its folder is made if need be.

    Returns:
      The path of the PNG.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".pdf") else path
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = (stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf"))
    with style():
        figure.savefig(png, dpi=150, metadata={"Software": None})
        figure.savefig(pdf, metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return png


def curves(
    grid: xr.Dataset,
    ax: Axes | None = None,
    quantity: str = "accuracy",
    by: str | None = None,
    parts: Sequence[str] = ("train", "val"),
    clock: str = "step",
    legend: bool = True,
) -> Axes:
    """Accuracy (or loss) of every run over steps, thin up to where the run ended, and the median, bold.

    Six runs or more also have the 95 % interval of their median at each step, by order statistics, as a band.

    The median carries the last value of a run on, up to the last step of the longest. Steps are on a
    logarithmic axis that turns linear below the decade of the first step after 0 (a "symlog" axis), so that
    step 0 stands at its left edge under its own number.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      ax: where to draw; None makes a new figure.
      quantity: "accuracy", "loss" or what else the grid has as train_... and val_...; a loss is drawn on a
        logarithmic axis.
      by: the axis whose values are told apart by shade, from light to dark, each with a median of its own.
        None takes the only axis beside seeds with several values, if there is one. All other axes are pooled,
        and the title says so.
      parts: which of "train" and "val" to draw.
      clock: "step", or "epoch" if all runs have as many steps in one.
      legend: whether to say beside the picture what the lines are.

    Returns:
      The Axes, with the number of runs in the title.

    Raises:
      ValueError: if the grid lacks the curves or the axis, no run has run, several axes could be meant, or epochs
        differ in length.
    """
    _need(grid, *(f"{part}_{quantity}" for part in parts), "status", "last_step", "step")
    axis = _shading_axis(grid, by)
    whole = results.filled(grid)
    unit = _steps_of(grid, clock)
    picks = [{axis: i} for i in range(grid.sizes[axis])] if axis else [{}]
    with style():
        ax = _axes(ax)
        for part in parts:
            for pick, shade in zip(picks, shades(COLORS[part], len(picks)), strict=True):
                _draw_runs(ax, whole.isel(pick), f"{part}_{quantity}", shade, unit)
        step_axis(ax, "x", grid["step"].values / unit)
        if quantity.endswith("accuracy"):
            percent_axis(ax, "y")
        elif quantity.endswith("loss"):
            ax.set_yscale("log")
        ax.set_xlabel(clock)
        name = _name(grid, f"{parts[0]}_{quantity}") if len(parts) == 1 else quantity.replace("_", " ")
        ax.set_ylabel(f"{name} (nats)" if quantity.endswith("loss") else name)
        ax.set_title(_title(grid, [axis]))
        if legend:
            _curve_legend(ax, grid, axis, parts)
    return ax


def heatmap(grid: xr.Dataset, variable: str, x: str, y: str, ax: Axes | None = None, log: bool | None = None) -> Axes:
    """A per-run value over two axes, as the median of all runs that share a cell.

    Cells whose median is "never reached" are hatched; cells in which nothing was run are grey.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.
      variable: a per-run value, such as "final_val_accuracy" or "steps_to_val_99".
      x, y: the axes, across and up; coordinates zipped to an axis will do.
      ax: where to draw; None makes a new figure.
      log: a logarithmic colour scale; None takes one for steps_to_... only.

    Returns:
      The Axes; its figure has a colour bar beside it. The title has the number of runs.

    Raises:
      ValueError: if the grid lacks the variable or an axis, x and y are one axis, or no run has run.
    """
    _need(grid, variable, "status")
    across, up = _dim(grid, x), _dim(grid, y)
    if across == up:
        raise ValueError(f"x={x} and y={y} both lie along {across}, and a heat map has two axes. {_axes_of(grid)}")
    if not {across, up} <= set(grid[variable].dims) <= set(grid["status"].dims):
        raise ValueError(f"{variable} is not one value per run. Try final_val_accuracy or steps_to_val_99.")
    cells = _cells(grid, variable, across, up)
    others = [d for d in grid["status"].dims if d not in (across, up) and grid.sizes[d] > 1]
    log = variable.startswith("steps_to_") if log is None else log
    colored = np.isfinite(cells) & ((cells > 0) | (not log))
    with style():
        ax = _axes(ax)
        ax.grid(False)
        if colored.any():
            norm = _norm(variable, cells[colored], log)
            mesh = ax.pcolormesh(np.ma.masked_where(~colored, cells), norm=norm, edgecolors="white", lw=0.5)
            bar = ax.figure.colorbar(mesh, ax=ax, label=_name(grid, variable))
            if variable.endswith("accuracy"):
                bar.ax.yaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
            elif log:
                _decades(bar.ax.yaxis, norm.vmin, norm.vmax)
        _mark_cells(ax, cells)
        for which, name in (("x", x), ("y", y)):
            _category_axis(ax, which, grid[name].values, 0.5)
            getattr(ax, f"set_{which}label")(_name(grid, name))
        ax.set_title(
            _title(grid, [across, up], "median of " if others else ""),
            pad=22 if not np.isfinite(cells).all() else None,
        )
    return ax


def crossings(grid: xr.Dataset, x: str = "train_fraction", ax: Axes | None = None, level: int = 99) -> Axes:
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

    Returns:
      The Axes, with the number of runs in the title.

    Raises:
      ValueError: if the grid lacks the axis or the times, or no run has run.
    """
    _need(grid, *(f"steps_to_{part}_{level}" for part in COLORS), "status", "last_step")
    dim = _dim(grid, x)
    coordinate = grid[x].values
    places = coordinate.astype(float) if _numeric(coordinate) else np.arange(len(coordinate), dtype=float)
    gap = np.diff(np.unique(places)).min(initial=np.inf)
    room = min(gap, np.ptp(places) / 4) if _numeric(coordinate) and np.isfinite(gap) else 1.0
    last = _by_value(grid, "last_step", dim)
    shown = []
    with style():
        ax = _axes(ax)
        for part, side in (("train", -0.05), ("val", 0.05)):
            times = _by_value(grid, f"steps_to_{part}_{level}", dim)
            aside = side * room  # so that equal times of both parts are seen
            at = np.broadcast_to(places[:, None] + aside, times.shape)
            here, never = np.isfinite(times), np.isinf(times)
            look = dict(linestyle="none", color=COLORS[part])
            ax.plot(at[here], times[here], marker="o", ms=4.5, mew=0, alpha=0.55, zorder=3, **look)
            ax.plot(at[never], last[never], marker="^", ms=6, mfc="none", mew=1, zorder=3, **look)
            dash = dict(marker="_", ms=14, mew=2, lw=1.5, zorder=2, color=COLORS[part])
            line = "solid" if _numeric(coordinate) else "none"
            for_x = np.unique(places)
            middle = np.array([results.median(times[places == p]) for p in for_x])
            ax.plot(for_x + aside, np.where(np.isfinite(middle), middle, np.nan), linestyle=line, **dash)
            for p in for_x:
                _count_censored(ax, p + aside, last[places == p][never[places == p]], COLORS[part])
            shown += [times[here], last[never]]
        time_axis(ax, "y", np.concatenate(shown))
        if not _numeric(coordinate):
            _category_axis(ax, "x", coordinate, 0.0)
            ax.set_xlim(-0.5, len(coordinate) - 0.5)
        elif np.isfinite(gap):
            ax.margins(x=0.07)
        else:
            ax.set_xlim(places[0] - 1, places[0] + 1)
            ax.set_xticks(places[:1], [_text(coordinate[0])])
        ax.set_xlabel(_name(grid, x))
        ax.set_ylabel(f"steps to {level} % accuracy")
        ax.set_title(_title(grid, [dim]))
        _crossing_legend(ax)
    return ax


def arrivals(grid: xr.Dataset, by: str, ax: Axes | None = None, level: int = 99, part: str = "val") -> Axes:
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

    Returns:
      The Axes, with the number of runs of each line in the legend.

    Raises:
      ValueError: if the grid lacks the axis or the times.
    """
    _need(grid, f"steps_to_{part}_{level}", "status", "last_step")
    dim = _dim(grid, by)
    times, last = _by_value(grid, f"steps_to_{part}_{level}", dim), _by_value(grid, "last_step", dim)
    with style():
        ax = _axes(ax)
        look = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        known = ~np.isnan(times)
        if not known.any():
            raise ValueError("No run of this grid has ended yet, so there is nothing to draw. Continue its sweep.")
        for i, label in enumerate(grid[by].values):
            ran = known[i]
            if not ran.any():
                continue
            color = look[i % len(look)]
            curve = survival(times[i][ran], last[i][ran])
            end = last[i][ran].max()
            steps = np.append(np.maximum(curve.steps, 1), end)
            low, mid, high = (np.append(1 - s, 1 - s[-1]) for s in (curve.high, curve.share, curve.low))
            count = int(ran.sum())
            if count > 2:  # of fewer it is the whole picture
                ax.fill_between(steps, low, high, step="post", color=color, alpha=0.12, lw=0)
            told = f"{_text(label)} ({count} run{'s' * (count != 1)})"
            if i and min(count, known[0].sum()) > 2:
                p_value = log_rank(times[i][ran], last[i][ran], times[0][known[0]], last[0][known[0]])
                told += f", p = {p_value:.2g}"
            ax.step(steps, mid, where="post", color=color, label=told, lw=1.8)
            gone = last[i][ran][np.isinf(times[i][ran])]
            at = 1 - curve.share[np.searchsorted(curve.steps, gone, side="right") - 1]
            ax.plot(gone, at, linestyle="none", marker="|", ms=9, mew=1.5, color=color)
        time_axis(ax, "x", np.concatenate([times[np.isfinite(times)], last[known]]))
        percent_axis(ax, "y")
        ax.set_xlabel("step")
        ax.set_ylabel(f"runs at {level} %\n{NAMES[part]} accuracy")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title=_name(grid, by))
    return ax


# ------------------------------------------------------------------------------------------------------------
# Axes, colours: figure scripts may use these too


def step_axis(ax: Axes, which: str, steps: np.ndarray) -> None:
    """A logarithmic axis for steps, linear below the decade of the first step after 0, so that 0 has a place.

    Args:
      ax: the Axes.
      which: "x" or "y".
      steps: [S], the steps shown, >= 0.
    """
    steps = np.asarray(steps, float)
    positive = steps[steps > 0]
    edge = 10.0 ** np.floor(np.log10(positive.min(initial=np.inf))) if positive.size else 1.0
    top = max(steps.max(initial=edge), 2 * edge)
    bottom = 0.0 if (steps == 0).any() else edge
    room = max(0.4, 0.14 * np.log10(top / edge))  # decades between 0 and the edge, so that their numbers stand apart
    getattr(ax, f"set_{which}scale")("symlog", linthresh=edge, linscale=room)
    getattr(ax, f"set_{which}lim")(bottom, top)
    axis = ax.xaxis if which == "x" else ax.yaxis
    _decades(axis, edge, top)
    if bottom == 0:
        axis.set_major_locator(ticker.FixedLocator([0.0, *axis.get_majorticklocs()]))


def time_axis(ax: Axes, which: str, times: np.ndarray) -> None:
    """A logarithmic axis for times in steps, with room at both ends; as `step_axis` if any is 0."""
    times = np.asarray(times, float)
    if (times == 0).any():
        step_axis(ax, which, times)
        return
    low, high = (times.min() / 1.5, times.max() * 1.5) if times.size else (1.0, 10.0)
    getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(low, high)
    _decades(ax.xaxis if which == "x" else ax.yaxis, low, high)


def percent_axis(ax: Axes, which: str) -> None:
    """An axis for accuracies, 0 to 100 %."""
    getattr(ax, f"set_{which}lim")(-0.02, 1.02)
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))


def shades(color: str, number: int) -> list[tuple[float, float, float]]:
    """`number` shades of a colour from light to dark; of one, the colour itself."""
    base = np.array(colors.to_rgb(color))
    if number == 1:
        return [tuple(base)]
    light, dark = 0.45 * base + 0.55, 0.6 * base
    ramp = np.linspace(0, 1, number)[:, None]
    halves = np.where(ramp < 0.5, light + 2 * ramp * (base - light), base + (2 * ramp - 1) * (dark - base))
    return [tuple(shade) for shade in halves]


# ------------------------------------------------------------------------------------------------------------
# Pieces


def _axes(ax: Axes | None) -> Axes:
    """`ax`, or that of a new figure."""
    return plt.subplots()[1] if ax is None else ax


def _need(grid: xr.Dataset, *names: str) -> None:
    """ValueError naming what the grid has if it lacks one of `names`, or if nothing in it has run."""
    for name in names:
        if name not in grid.variables:
            have = ", ".join(str(n) for n in [*grid.coords, *grid.data_vars])
            raise ValueError(f"This grid has no {name} to draw, only {have}. Pass a dataset from grokjax.load.")
    if not (grid["status"] != "not run").any():
        raise ValueError("No run of this grid has run yet, so there is nothing to draw. Continue its sweep.")


def _axes_of(grid: xr.Dataset) -> str:
    """A sentence naming the axes of a grid."""
    names = [str(n) for n in grid.coords if n != "step" and grid[n].ndim == 1]
    return f"The axes of this grid are {', '.join(names)}." if names else "This grid has no axes."


def _dim(grid: xr.Dataset, name: str) -> str:
    """The dimension along which a coordinate lies; ValueError naming the axes if it is none."""
    if name not in grid.coords or name == "step" or grid[name].ndim != 1:
        raise ValueError(f"{name} is not an axis of this grid. {_axes_of(grid)}")
    return grid[name].dims[0]


def _is_seed(dim: str) -> bool:
    """Whether an axis only repeats runs: seed, split_seed, ..."""
    return dim == "seed" or dim.endswith("_seed")


def _shading_axis(grid: xr.Dataset, by: str | None) -> str | None:
    """The dimension whose values `curves` shades; see there."""
    if by is not None:
        return _dim(grid, by)
    several = [d for d in grid["status"].dims if grid.sizes[d] > 1 and not _is_seed(d)]
    if len(several) > 1:
        raise ValueError(
            f"This grid varies in {', '.join(several)}, too much for one picture. "
            f"Pass by={several[0]!r}, and select the others with grid.sel."
        )
    return several[0] if several else None


def _steps_of(grid: xr.Dataset, clock: str) -> int:
    """Steps in a unit of the clock."""
    if clock == "step":
        return 1
    if clock != "epoch":
        raise ValueError(f"clock={clock!r} is not known. Try 'step' or 'epoch'.")
    _need(grid, "steps_per_epoch")
    lengths = np.unique(grid["steps_per_epoch"].values)
    if len(lengths) > 1:
        raise ValueError(
            f"An epoch has {', '.join(map(str, lengths))} steps in these runs. Try clock='step', or select."
        )
    return int(lengths[0])


def _draw_runs(ax: Axes, grid: xr.Dataset, name: str, color, unit: int = 1) -> None:
    """One curve of every run that ran, thin up to its last step, and their median, bold up to the latest, in a band."""
    dims = grid["status"].dims
    ran = grid["status"].values.ravel() != "not run"
    if not ran.any():
        return
    step = grid["step"].values / unit
    lines = grid[name].transpose(*dims, "step").values.reshape(-1, step.size)[ran]
    ends = grid["last_step"].values.ravel()[ran] / unit
    for line, end in zip(lines, ends, strict=True):
        ax.plot(step[step <= end], line[step <= end], color=color, lw=0.6, alpha=0.5, zorder=2)
    shown = step <= ends.max()
    if place := median_place(len(lines)):
        ordered = np.sort(lines, axis=0)
        ax.fill_between(
            step[shown], ordered[place - 1][shown], ordered[-place][shown], color=color, alpha=0.15, lw=0, zorder=1
        )
    ax.plot(step[shown], results.median(lines, 0)[shown], color=color, lw=2.2, zorder=3)


def _by_value(grid: xr.Dataset, name: str, dim: str) -> np.ndarray:
    """[values of dim, runs], a per-run value; NaN where not run."""
    value = grid[name].astype(float).where(grid["status"] != "not run").transpose(dim, ...)
    return value.values.reshape(grid.sizes[dim], -1)


def _count_censored(ax: Axes, at: float, heights: np.ndarray, color: str) -> None:
    """Writes how many triangles stand at one place, for they may cover each other."""
    if len(heights) > 1:
        look = dict(textcoords="offset points", ha="center", va="bottom", fontsize=7, color=color)
        ax.annotate(f"{len(heights)}", (at, heights.max()), (0, 5), **look)


def _cells(grid: xr.Dataset, variable: str, across: str, up: str) -> np.ndarray:
    """[up, across], the median of a per-run value over all other axes; NaN where nothing was run."""
    value = grid[variable].astype(float).where(grid["status"] != "not run").transpose(up, across, ...)
    return results.median(value.values.reshape(*value.shape[:2], -1), -1)


def _norm(variable: str, values: np.ndarray, log: bool) -> colors.Normalize:
    """The colour scale of a heat map: all of 0 to 1 for accuracies, else the range of the values."""
    if variable.endswith("accuracy") and not log:
        return colors.Normalize(0, 1)
    return (colors.LogNorm if log else colors.Normalize)(values.min(), values.max())


def _mark_cells(ax: Axes, cells: np.ndarray) -> None:
    """Hatches the cells that are infinite, greys those that are NaN, and says so above the map."""
    looks = {
        "never reached": (np.isinf(cells), dict(facecolor="white", edgecolor=EDGE, hatch="////", lw=0)),
        "not run": (np.isnan(cells), dict(facecolor=NOT_RUN, edgecolor="white", lw=0.5)),
    }
    handles = []
    for label, (where, look) in looks.items():
        for row, column in np.argwhere(where):
            ax.add_patch(Rectangle((column, row), 1, 1, **look))
        if where.any():
            handles.append(Patch(label=label, **look))
    ax.set(xlim=(0, cells.shape[1]), ylim=(0, cells.shape[0]))
    if handles:
        place = dict(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, borderpad=0)
        ax.legend(handles=handles, ncols=2, **place)


def _decades(axis, low: float, high: float) -> None:
    """Ticks at the powers of ten; where fewer than two of them are in range, at finer and finer numbers."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    within = [p for p in powers if low * (1 - 1e-9) <= p <= high * (1 + 1e-9)]
    between = [m * p for p in powers for m in range(2, 10) if low <= m * p <= high]
    if len(within) < 2:
        within += [m * p for p in powers for m in (2, 5) if low <= m * p <= high]
    if len(within) < 2:
        within = [t for t in ticker.MaxNLocator(4).tick_values(low, high) if low <= t <= high]
    axis.set_major_locator(ticker.FixedLocator(within))
    axis.set_minor_locator(ticker.FixedLocator(between))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: _count(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def _category_axis(ax: Axes, which: str, values: np.ndarray, offset: float) -> None:
    """Ticks named after the values of an axis, at 0, 1, 2, ... + offset; only some of very many."""
    every = -(-len(values) // 16)
    rotate = which == "x" and sum(len(_text(v)) + 2 for v in values[::every]) > 64
    look = dict(rotation=40, ha="right", rotation_mode="anchor") if rotate else {}
    at = np.arange(len(values))[::every] + offset
    getattr(ax, f"set_{which}ticks")(at, [_text(v) for v in values[::every]], **look)


def _numeric(values: np.ndarray) -> bool:
    """Whether the values of an axis have a distance."""
    return values.dtype.kind in "fiu"


def _text(value) -> str:
    """A value of an axis, without the noise of binary fractions."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _count(value: float) -> str:
    """A number of steps: 0, 500, 20k, 3M."""
    if value < 1000:
        return f"{value:g}"
    return f"{value / 1000:g}k" if value < 1e6 else f"{value / 1e6:g}M"


def _name(grid: xr.Dataset, name: str) -> str:
    """What a figure calls a variable."""
    return grid[name].attrs.get("long_name", name.replace("_", " "))


def _title(grid: xr.Dataset, axes: Sequence[str | None], lead: str = "") -> str:
    """How many runs there are, of how many seeds, and over what else they are pooled."""
    status = grid["status"]
    ran = int((status != "not run").sum())
    number = f"{ran}" if ran == status.size else f"{ran} of {status.size}"
    parts = [f"{lead}{number} run{'s' * (status.size != 1)}"]
    others = [d for d in status.dims if grid.sizes[d] > 1 and d not in axes]
    if not all(map(_is_seed, [d for d in status.dims if grid.sizes[d] > 1])):
        parts += [f"{grid.sizes[d]} {_name(grid, d)}s" for d in others if _is_seed(d)]
    pooled = [_name(grid, d) for d in others if not _is_seed(d)]
    return ", ".join(parts) + (f", pooled over {' and '.join(pooled)}" if pooled else "")


def _curve_legend(ax: Axes, grid: xr.Dataset, axis: str | None, parts: Sequence[str]) -> None:
    """What the lines of `curves` are, to the right of them; of many shades only some."""
    handles = [Line2D([], [], color=COLORS[p], lw=2.2, label=NAMES[p]) for p in parts]
    many = int((grid["status"] != "not run").sum()) > 1
    if many:
        handles += [
            Line2D([], [], color=EDGE, lw=2.2, label="median"),
            Line2D([], [], color=EDGE, lw=0.6, label="one run"),
        ]
    labels = [h.get_label() for h in handles]
    if axis:
        size = grid.sizes[axis]
        chosen = range(size) if size <= 6 else np.unique(np.linspace(0, size - 1, 5).round().astype(int))
        ramps = [shades(COLORS[p], size) for p in parts]
        handles += [Line2D([], [], linestyle="none")]
        labels += [_name(grid, axis)]
        handles += [tuple(Line2D([], [], color=ramp[i], lw=2.2) for ramp in ramps) for i in chosen]
        labels += [_text(grid[axis].values[i]) for i in chosen]
    pairs = {tuple: HandlerTuple(ndivide=None, pad=0.2)}
    ax.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), handler_map=pairs)


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
