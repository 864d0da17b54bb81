"""Accuracy, effective learning rate, effective gradient and weight norm over epochs, for one and two layers.

After figures 4 and 5 of Melnik, Yuzhakov and Vetrov, drawn from experiments/melnik/periodicity.py. Numbers in circles
are points 1 and 2, 99 % training and validation accuracy, of the first seed.
"""

import numpy as np

from grokjax.cli import show
from grokjax.experiments.melnik.claims import layers
from grokjax.figures.melnik.common import accuracy, draw_columns, effective_gradient, effective_rate, weight_norm
from grokjax.plot.panels import with_axis

PANELS = (accuracy, effective_rate, effective_gradient, weight_norm)


def draw(grid):
    """The figure."""
    depths = grid["num_layers"] if "num_layers" in grid.coords else with_axis(grid, "num_layers")["num_layers"]
    cells = []
    for depth in np.unique(depths.values):
        chosen = np.flatnonzero(np.atleast_1d(depths.values) == depth)
        of_depth = grid.isel({depths.dims[0]: chosen}) if depths.dims[0] in grid.dims else grid
        cells.append((layers(int(depth)), of_depth))
    return draw_columns(cells, PANELS)


if __name__ == "__main__":
    show("melnik/periodicity")
