"""What the figures of this study share: every run as a dot, and the mean of the seeds with its interval."""

import json
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from grokjax.analysis.dynamics import LABELS, final
from grokjax.analysis.statistics import location
from grokjax.analysis.u_shape import deepest_dip, u_shape
from grokjax.experiments.huang.arms import mixed
from grokjax.experiments.huang.claims import HELD
from grokjax.plot.panels import count, panel_grid, with_axis
from grokjax.plot.style import OTHERS, percent_axis
from grokjax.results import UNFINISHED

KINDS = {
    "confusion": "#BBBBBB",
    "progression": "#56B4E9",
    "memorisation": "#E69F00",
    "semi-grokking": "#CC79A7",
    "grokking": "#009E73",
    "comprehension": "#0072B2",
    "diverged": "#000000",
    "": "#FFFFFF",
}
"""A colour for each kind of dynamics; '' where seeds disagree or none has ended."""

MARKS = ("o", "s", "^", "D", "v", "P", "X")
"""Markers, so that lines differ in more than their colour."""


def config_of(grid: xr.Dataset) -> dict:
    """The configuration that all runs of a grid share."""
    return json.loads(grid.attrs["meta"]).get("config", {})


def final_accuracy(grid: xr.Dataset, part: str = "val") -> xr.DataArray:
    """The accuracy of each run, mean over the last 1 % of its steps; NaN where a run has not ended.

    As in the claims, that of a run that ended because it had held 99 % validation is that at least.
    """
    dims = grid["status"].dims
    curves = grid[f"{part}_accuracy"].transpose(*dims, "step").values
    last, steps = grid["last_step"].values, grid["step"].values
    ended = ~grid["status"].isin(UNFINISHED).values
    values = np.full(grid["status"].shape, np.nan)
    for run in zip(*np.nonzero(ended), strict=True):
        seen = steps <= last[run]
        values[run] = final(steps[seen], curves[run][seen])
    if part == "val":
        values = np.where(grid["status"].values == "stopped", np.maximum(values, HELD), values)
    return grid["status"].copy(data=values)


def by_seed(values: xr.DataArray, name: str) -> np.ndarray:
    """[points, runs] of one value per run, along one axis; all others are seeds."""
    return values.transpose(name, ...).values.reshape(values.sizes[name], -1)


def draw_points(
    ax: Axes,
    at: np.ndarray,
    values: np.ndarray,
    color: str,
    label: str = "",
    marker: str = "o",
    log: bool = False,
    most: float = 1.0,
) -> None:
    """Dots for runs, a line through the means of the seeds, and 95 % intervals by Student's t.

    An interval is drawn as far as means can lie: of six accuracies it may reach beyond 0 or 100 %.

    Args:
      ax: where to draw.
      at: [points] of the horizontal axis.
      values: [points, runs]; NaN where not run.
      color, label, marker: of the line.
      log: whether the horizontal axis is logarithmic, so that dots of one point are spread by a factor.
      most: the largest that a value can be; the least is 0.
    """
    at = np.asarray(at, np.float64)
    number = values.shape[1]
    spread = (np.arange(number) - (number - 1) / 2) / max(number, 1)
    reach = 0.012 * (np.ptp(np.log(at) if log else at) or 1.0)
    places = at[:, None] * np.exp(reach * spread) if log else at[:, None] + reach * spread
    margin = 5 * reach
    first, last = at.min(), at.max()
    ax.set_xlim(*((first / np.exp(margin), last * np.exp(margin)) if log else (first - margin, last + margin)))
    ax.plot(places, values, marker=marker, ls="none", ms=3, mew=0, alpha=0.45, color=color, zorder=2)
    known = [row[~np.isnan(row)] for row in values]
    shown = np.array([len(row) > 0 for row in known])
    found = [location(row) for row in known if len(row)]
    means = np.array([one.value for one in found])
    several = np.array([one.runs > 1 for one in found], bool)
    look = dict(color=color, lw=1.8, marker=marker, ms=4.5, zorder=3)
    ax.plot(at[shown], means, label=label or None, **look)
    if several.any():
        ends = np.array([(one.low, one.high) for one in found]).T
        reaches = np.abs(np.where(np.isfinite(ends), np.clip(ends, 0, most), np.inf) - means)  # unbounded: not drawn
        ax.errorbar(
            at[shown][several], means[several], reaches[:, several], fmt="none", ecolor=color, elinewidth=1, capsize=2.5
        )


def note_where_empty(axes: Iterable[Axes], values: xr.DataArray) -> None:
    """Says in the middle of each panel how it is filled, where no run has ended."""
    for ax in axes if bool(values.isnull().all()) else ():
        said = "no run has ended yet:\ncontinue with the same command"
        ax.text(0.5, 0.5, said, ha="center", va="center", transform=ax.transAxes)


def told_of_u(values: np.ndarray) -> str:
    """What is known of the U of a curve [points, runs]: how deep its mean dips, and the p-value against no U."""
    whole = values[:, ~np.isnan(values).any(0)]
    if len(values) < 3 or not whole.shape[1]:
        return "U not known yet"
    if whole.shape[1] == 1:
        return f"U of {100 * max(deepest_dip(whole[:, 0]).depth, 0):.0f} points, one seed"
    found = u_shape(whole.T, seed=0)
    return f"U of {100 * max(found.mean.depth, 0):.0f} points, p = {found.p_value:.2g}"


def draw_shares(ax: Axes, at: np.ndarray, kinds: np.ndarray) -> None:
    """Stacked bars: the share of the ended runs [points, runs] that show each kind of dynamics."""
    places = np.arange(len(at))
    ended = (kinds != "").sum(1)
    below = np.zeros(len(at))
    for kind in LABELS:
        share = (kinds == kind).sum(1) / np.maximum(ended, 1)
        ax.bar(places, share, 0.9, below, color=KINDS[kind], lw=0)
        below += share
    ax.grid(False)
    ax.set_xticks(places, [f"{value}" for value in at], rotation=60 * (len(at) > 9))
    ax.set_xlim(-0.6, len(at) - 0.4)
    percent_axis(ax, "y")


def kinds_key(figure: Figure, kinds: np.ndarray, *more: Artist) -> None:
    """A legend below all panels of the kinds of dynamics that occur, and of what else is drawn."""
    seen = [kind for kind in LABELS if (kinds == kind).any()]
    handles = [*more, *(Patch(color=KINDS[kind], lw=0, label=kind) for kind in seen)]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4 if more else 7))


def draw_emergence(grid: xr.Dataset, by: str, called: Callable[..., str]) -> Figure:
    """The highest validation accuracy over parameters, a line for each value of an axis.

    Args:
      grid: its arms are models, each with a number of layers and a width.
      by: the axis.
      called: what the legend calls one of its values.
    """
    grid = with_axis(grid, by)
    modulus = int(config_of(grid)["modulus"])
    models = list(zip(*(grid[name].values.tolist() for name in ("num_layers", "width")), strict=True))
    sizes = np.array([mixed(width, modulus, layers) for layers, width in models])
    order = np.argsort(sizes)
    highest = grid["max_val_accuracy"].astype(float).where(grid["status"] != "not run")
    figure, ((ax,),) = panel_grid(1, 1, width=6.0, height=3.8)
    for i, value in enumerate(grid[by].values):
        values = by_seed(highest.sel({by: value}), "variant")[order]
        draw_points(ax, sizes[order], values, OTHERS[i], called(value), MARKS[i], log=True)
    ax.axhline(0.5, color="#999999", lw=0.8, ls=":")
    ax.set_xscale("log")
    names = [f"d = {width}" + f", {layers} layers" * (layers > 1) for layers, width in models]
    ticks = [f"{sizes[i]:,}\n({names[i]})" for i in order]
    ax.set_xticks(sizes[order], ticks, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    ax.minorticks_off()
    percent_axis(ax, "y")
    ax.set(xlabel="parameters", ylabel="highest validation accuracy of x+y")
    ax.set_title(f"emergence of x+y mod {modulus} ({count(grid)})")
    note_where_empty([ax], highest)
    ax.legend()
    return figure
