"""What the figures of the NANDA study on modular addition share."""

import json

import numpy as np

from grokjax.plot.style import EDGE
from grokjax.plot.times import count_censored
from grokjax.results import median


def setting_of(grid, name: str):
    """A setting that all runs share."""
    return json.loads(grid.attrs["meta"])["config"][name]


def modulus_of(grid) -> int:
    """p."""
    return setting_of(grid, "modulus")


def dots(ax, places, values, ends, color, label: str = "one run", side: float = 0.0) -> None:
    """A dot for each run, an open triangle at its end for one that never got there, and a line through the medians.

    Where several runs of a place never got there, their number stands over the triangles.

    Args:
      ax: the Axes.
      places, values: of each run; +inf where it never got there, NaN where that is not known.
      ends: where its triangle stands.
      color, label: of the dots.
      side: share of its place by which all is moved, so that several kinds of dots are seen.
    """
    places = places * (1 + side)
    came, never = np.isfinite(values), np.isinf(values)
    ax.plot(places[came], values[came], ls="none", marker="o", ms=5, mew=0, alpha=0.6, color=color, label=label)
    if never.any():
        look = dict(ls="none", marker="^", ms=6, mfc="none", color=color, label="not reached by its last step")
        heights = np.broadcast_to(ends, values.shape)
        ax.plot(places[never], heights[never], **look)
        for one in np.unique(places[never]):
            count_censored(ax, one, heights[never & (places == one)], color, side)
    known = [one for one in np.unique(places) if not np.isnan(values[places == one]).all()]
    middles = np.array([median(values[(places == one) & ~np.isnan(values)]) for one in known])
    ax.plot(known, np.where(np.isfinite(middles), middles, np.nan), lw=1.2, color=color)


def nothing_yet(ax, said: str = "no run has ended yet") -> None:
    """A panel that has nothing to show, and says why."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, said, ha="center", va="center", fontsize=9, color=EDGE, transform=ax.transAxes)
