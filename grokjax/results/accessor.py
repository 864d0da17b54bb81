"""`grid.gj`: what is asked of a grid most often, as methods of its dataset.

    grid = gj.load("add.npz")
    grid.sel(weight_decay=1.0).gj.curves()

What draws is imported when it is called, for this room imports no other.
"""

from typing import Any

import pandas as pd
import xarray as xr

from grokjax.results import tables


@xr.register_dataset_accessor("gj")
class OfGrid:
    """The accessor of a dataset from `grokjax.load`, or of a selection of one."""

    def __init__(self, grid: xr.Dataset):
        self._grid = grid

    def curves(self, *arguments: Any, **keywords: Any):
        """Accuracy or loss of every run over steps: `grokjax.plot.curves` of this grid."""
        return _plot().curves(self._grid, *arguments, **keywords)

    def heatmap(self, *arguments: Any, **keywords: Any):
        """A per-run value over two axes: `grokjax.plot.heatmap` of this grid."""
        return _plot().heatmap(self._grid, *arguments, **keywords)

    def crossings(self, *arguments: Any, **keywords: Any):
        """Steps to an accuracy over one axis: `grokjax.plot.crossings` of this grid."""
        return _plot().crossings(self._grid, *arguments, **keywords)

    def arrivals(self, *arguments: Any, **keywords: Any):
        """The share of runs that have reached an accuracy, over steps: `grokjax.plot.arrivals` of this grid."""
        return _plot().arrivals(self._grid, *arguments, **keywords)

    def explore(self, *arguments: Any, **keywords: Any):
        """One page for a browser, to click through the runs: `grokjax.explore` of this grid."""
        from grokjax import explorer

        return explorer.explore(self._grid, *arguments, **keywords)

    def tidy(self) -> pd.DataFrame:
        """One long table, a row per run and step: `grokjax.tidy` of this grid."""
        return tables.tidy(self._grid)

    def summary(self, *arguments: Any, **keywords: Any) -> pd.DataFrame:
        """Counts and median times, a row per value of a coordinate: `grokjax.summary` of this grid."""
        return tables.summary(self._grid, *arguments, **keywords)

    def grokked(self) -> xr.DataArray:
        """Which runs grokked: `grokjax.grokked` of this grid."""
        return tables.grokked(self._grid)


def _plot():
    from grokjax import plot

    return plot
