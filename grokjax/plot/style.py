"""One style of all figures: colours, sizes, axes of steps, and how a figure is saved.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart: training blue, validation vermilion.
Everything else that a figure tells apart has one of `OTHERS`.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = {"train": "#0072B2", "val": "#D55E00"}
NAMES = {"train": "training", "val": "validation"}
OTHERS = ("#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
"""Colours of what is neither training nor validation, such as the values of an axis."""

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
    """Everything drawn inside has `STYLE`; outside, Matplotlib's settings are as they were.

    All but one: a notebook loads its backend at the first figure, and that turns interactive drawing on. Were it turned
    off again, the notebook would show that figure and no later one.
    """
    with plt.rc_context(STYLE):
        yield
        interactive = plt.isinteractive()
    mpl.interactive(interactive)


def save(figure: Figure, path: str | os.PathLike, *, pdf: bool = True) -> Path:
    """Writes a figure as PNG (150 dots per inch) and, beside it, as PDF.

    The files hold no date, so that the same figure gives the same bytes.

    Args:
      figure: what to write.
      path: where to, with or without .png or .pdf; its folder is made if need be.
      pdf: whether the PDF is written too.

    Returns:
      The path of the PNG.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".pdf") else path
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, pdf_path = (stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf"))
    with style():
        figure.savefig(png, dpi=150, metadata={"Software": None})
        if pdf:
            figure.set_layout_engine("none")  # the layout stays: working it out again takes as long as drawing
            figure.savefig(pdf_path, metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return png


def close() -> None:
    """Forgets every figure that is open."""
    plt.close("all")


def axes_of(ax: Axes | None) -> Axes:
    """`ax`, or that of a new figure."""
    return plt.subplots()[1] if ax is None else ax


def shades(color: str, number: int) -> list[tuple[float, float, float]]:
    """`number` shades of a colour from light to dark; of one, the colour itself."""
    base = np.array(colors.to_rgb(color))
    if number == 1:
        return [tuple(base)]
    light, dark = 0.45 * base + 0.55, 0.6 * base
    ramp = np.linspace(0, 1, number)[:, None]
    halves = np.where(ramp < 0.5, light + 2 * ramp * (base - light), base + (2 * ramp - 1) * (dark - base))
    return [tuple(shade) for shade in halves]


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
    decades(axis, edge, top)
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
    decades(ax.xaxis if which == "x" else ax.yaxis, low, high)


def percent_axis(ax: Axes, which: str) -> None:
    """An axis for accuracies, 0 to 100 %."""
    getattr(ax, f"set_{which}lim")(-0.02, 1.02)
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))


def decades(axis, low: float, high: float) -> None:
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
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: count_of(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def category_axis(ax: Axes, which: str, values: np.ndarray, offset: float) -> None:
    """Ticks named after the values of an axis, at 0, 1, 2, ... + offset; only some of very many."""
    every = -(-len(values) // 16)
    rotate = which == "x" and sum(len(text_of(v)) + 2 for v in values[::every]) > 64
    look = dict(rotation=40, ha="right", rotation_mode="anchor") if rotate else {}
    at = np.arange(len(values))[::every] + offset
    getattr(ax, f"set_{which}ticks")(at, [text_of(v) for v in values[::every]], **look)


def numeric(values: np.ndarray) -> bool:
    """Whether the values of an axis have a distance."""
    return values.dtype.kind in "fiu"


def text_of(value) -> str:
    """A value of an axis, without the noise of binary fractions."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def count_of(value: float) -> str:
    """A number of steps: 0, 500, 20k, 3M."""
    if value < 1000:
        return f"{value:g}"
    return f"{value / 1000:g}k" if value < 1e6 else f"{value / 1e6:g}M"
