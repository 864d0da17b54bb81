"""The figures every sweep wants: curves over steps, a heat map over two axes, times over one axis, panels of cells.

Each function takes a dataset from `grokjax.load` (or a selection of one) and an Axes or none, and returns the
Axes. They draw every run and the median of `results.median`, and compute nothing else.
"""

from grokjax.plot.curves import curves
from grokjax.plot.heatmaps import heatmap
from grokjax.plot.style import (
    COLORS,
    EDGE,
    NAMES,
    OTHERS,
    close,
    percent_axis,
    save,
    shades,
    step_axis,
    style,
    time_axis,
)
from grokjax.plot.times import arrivals, crossings

__all__ = [
    "COLORS",
    "EDGE",
    "NAMES",
    "OTHERS",
    "arrivals",
    "close",
    "crossings",
    "curves",
    "heatmap",
    "percent_axis",
    "save",
    "shades",
    "step_axis",
    "style",
    "time_axis",
]
