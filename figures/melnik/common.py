"""What the figures of this study share: curves of single runs in a column of panels, with dips and jumps marked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import grokjax as gj
from grokjax.analysis.effective import decay_slope, setting_of
from grokjax.experiments.melnik.saw_tooth import WHOLE, SawTooth, norms_in, of_run
from grokjax.plot.panels import count, panel_grid
from grokjax.plot.style import decades

TRAIN, VAL, OTHER, MARK = gj.plot.COLORS["train"], gj.plot.COLORS["val"], "#000000", "#CC79A7"
ALONE = "#009E73"
BAND = "#E3E3E3"


class Line(NamedTuple):
    """One run that ran, up to its last step.

    Attributes:
      epoch: [evaluations].
      curves: [evaluations] each, by name.
      points: epochs of point 1 and point 2; +inf where never.
      learning_rate, weight_decay: eta and lambda.
      steps_per_epoch: of the run.
      saw_tooth: the run from point 1 on; None where nothing can be said of it.
    """

    epoch: np.ndarray
    curves: dict[str, np.ndarray]
    points: tuple[float, float]
    learning_rate: float
    weight_decay: float
    steps_per_epoch: float
    saw_tooth: SawTooth | None


def lines(cell: xr.Dataset) -> list[Line]:
    """Every run of a selection of a grid."""
    eta, decay = (xr.DataArray(setting_of(cell, name)) for name in ("learning_rate", "weight_decay"))
    found = []
    for index in np.ndindex(*cell["status"].shape):
        where = dict(zip(cell["status"].dims, index, strict=True))
        one = cell.isel(where)
        if one["status"].item() == "not run":
            continue
        rates = [value.isel({d: i for d, i in where.items() if d in value.dims}).item() for value in (eta, decay)]
        epoch, last = float(one["steps_per_epoch"]), float(one["last_step"])
        shown = cell["step"].values <= last
        step = cell["step"].values[shown]
        curves = {str(n): one[n].values[shown] for n in cell.data_vars if "step" in cell[n].dims}
        points = [float(one[f"steps_to_{part}_99"]) for part in ("train", "val")]
        saw_tooth = of_run(step, curves, points[0], last, *rates, epoch) if np.isfinite(points[0]) else None
        found.append(Line(step / epoch, curves, tuple(p / epoch for p in points), *rates, epoch, saw_tooth))
    return found


def accuracy(ax: Axes, found: Sequence[Line]) -> None:
    """Training (of the batches) and validation accuracy, the first run bold, with its points 1 and 2."""
    for i, line in enumerate(found):
        for name, color in (("train_mode_accuracy", TRAIN), ("val_accuracy", VAL)):
            _line(ax, line, line.curves[name], color, i == 0)
    for number, (point, color) in enumerate(zip(found[0].points, (TRAIN, VAL), strict=True), 1):
        if np.isfinite(point):
            ax.plot(point, 0.99, "o", ms=11, mfc="white", mec=color, zorder=6, clip_on=False)
            ax.text(point, 0.985, str(number), ha="center", va="center", fontsize=8, color=color, zorder=7)
    gj.plot.percent_axis(ax, "y")
    ax.set_ylabel("accuracy")


def loss(ax: Axes, found: Sequence[Line]) -> None:
    """Training and validation loss."""
    for i, line in enumerate(found):
        for name, color in (("train_loss", TRAIN), ("val_loss", VAL)):
            _line(ax, line, line.curves[name], color, i == 0)
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")


def effective_rate(ax: Axes, found: Sequence[Line]) -> None:
    """Effective learning rate, the jumps of the first run marked, and how it grows where decay acts alone.

    Of the scale-invariant weights where their norms were stored, as in `SawTooth`; so is the effective gradient.
    """
    for i, line in enumerate(found):
        norm = line.curves[norms_in(line.curves)[0]].astype(np.float64)
        _line(ax, line, line.learning_rate / norm**2, OTHER, i == 0)
    teeth, first = found[0].saw_tooth, found[0]
    if teeth is not None:
        _marked(ax, teeth, teeth.effective_rate, teeth.falls)
        if norms_in(first.curves) != WHOLE:
            _alone(ax, teeth, first)
    _log_axis(ax)
    ax.set_ylabel(f"effective learning\nrate $\\eta/|{_theta(found)}|^2$")


def effective_gradient(ax: Axes, found: Sequence[Line]) -> None:
    """Norm of the effective gradient, the jumps of the first run marked."""
    for i, line in enumerate(found):
        weight, gradient = (line.curves[name] for name in norms_in(line.curves))
        _line(ax, line, gradient * weight, OTHER, i == 0)
    if (teeth := found[0].saw_tooth) is not None:
        _marked(ax, teeth, teeth.effective_gradient, teeth.bursts)
    _log_axis(ax)
    ax.set_ylabel(f"effective\ngradient $|g|\\,|{_theta(found)}|$")


def weight_norm(ax: Axes, found: Sequence[Line]) -> None:
    """Norm of all weights."""
    for i, line in enumerate(found):
        _line(ax, line, line.curves["weight_norm"], OTHER, i == 0)
    ax.set_ylabel(r"weight norm $|\theta|$")


def draw_columns(cells: Sequence[tuple[str, xr.Dataset]], panels: Sequence, log: bool = False, wrap: int = 0) -> Figure:
    """A column of panels for each cell.

    Args:
      cells: titles and selections of a grid; of those without runs nothing is drawn.
      panels: functions of Axes and `Line`s, from the top down.
      log: whether epochs are on a logarithmic axis.
      wrap: cells in a row; 0: all.
    """
    found = [(title, cell, lines(cell)) for title, cell in cells]
    found = [one for one in found if one[2]]
    wrap = wrap or len(found)
    blocks = -(-len(found) // wrap)
    width = 5.2 if wrap <= 2 else 3.5
    figure, axes = panel_grid(blocks * len(panels), wrap, width=width, height=2.0)
    for ax in axes.flat:
        ax.set_visible(False)
    for place, (title, cell, runs) in enumerate(found):
        top = place // wrap * len(panels)
        for row, panel in enumerate(panels):
            ax = axes[top + row, place % wrap]
            ax.set_visible(True)
            panel(ax, runs)
            _dips(ax, runs[0])
            _epochs(ax, runs, log)
            if place % wrap:
                ax.set_ylabel("")
            if row + 1 == len(panels):
                ax.set_xlabel("epoch")
        axes[top, place % wrap].set_title(f"{title} ({count(cell)})")
    _legend(figure, effective_rate in panels and any(norms_in(runs[0].curves) != WHOLE for *_, runs in found))
    return figure


def _log_axis(ax: Axes) -> None:
    ax.set_yscale("log")
    decades(ax.yaxis, *ax.get_ylim())


def _theta(found: Sequence[Line]) -> str:
    """The weights whose norm is drawn."""
    return r"\theta" if norms_in(found[0].curves) == WHOLE else r"\theta_\mathrm{inv}"


def _line(ax: Axes, line: Line, values: np.ndarray, color: str, bold: bool) -> None:
    look = dict(lw=0.9, zorder=4) if bold else dict(lw=0.5, alpha=0.25, zorder=2)
    ax.plot(line.epoch, values, color=color, **look)


def _marked(ax: Axes, teeth: SawTooth, values: np.ndarray, jumps) -> None:
    ax.plot(teeth.step[jumps.start] / teeth.epoch, values[jumps.start], "v", color=MARK, ms=4, mew=0, zorder=5)


def _alone(ax: Axes, teeth: SawTooth, line: Line) -> None:
    """The growth by decay alone, which is that of scale-invariant weights, along the longest stretch between jumps."""
    between = teeth.slopes()
    if line.weight_decay <= 0 or not len(between.start):
        return
    longest = int(np.argmax(between.stop - between.start))
    start, stop = teeth.step[between.start[longest]], teeth.step[between.stop[longest]]
    grown = np.exp(decay_slope(line.learning_rate, line.weight_decay) * (stop - start))
    begun = teeth.effective_rate[between.start[longest]]
    ax.plot(np.array([start, stop]) / teeth.epoch, [begun, begun * grown], color=ALONE, ls="--", lw=1.4, zorder=6)


def _dips(ax: Axes, line: Line) -> None:
    if line.saw_tooth is not None:
        step, dips = line.saw_tooth.step / line.saw_tooth.epoch, line.saw_tooth.dips
        for start, stop in zip(dips.start, dips.stop, strict=True):
            ax.axvspan(step[start], step[stop], color=BAND, lw=0, zorder=0)


def _epochs(ax: Axes, runs: Sequence[Line], log: bool) -> None:
    last = max(line.epoch[-1] for line in runs)
    if log:
        gj.plot.step_axis(ax, "x", np.array([1.0, max(last, 2.0)]))
    else:
        ax.set_xlim(0, last)


def _legend(figure: Figure, alone: bool) -> None:
    """The key of all panels; `alone`: whether some show the growth by decay alone."""
    handles = [
        Line2D([], [], color=color, lw=1.4, label=label) for color, label in ((TRAIN, "training"), (VAL, "validation"))
    ]
    handles += [
        Line2D([], [], color=OTHER, lw=0.9, label="first seed"),
        Line2D([], [], color=OTHER, lw=0.5, alpha=0.4, label="other seeds"),
        Patch(color=BAND, lw=0, label="dips of the first seed"),
        Line2D([], [], color=MARK, marker="v", ls="", ms=4, label="its jumps begin"),
    ]
    if alone:
        handles.append(Line2D([], [], color=ALONE, ls="--", lw=1.4, label="growth by decay alone"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
