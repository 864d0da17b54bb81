"""The highest validation accuracy of each operation over the train fraction, and the least fraction that suffices.

After figure 2 (right) of Power et al. 2022, drawn from experiments/power/operations.py: medians of the seeds; grey is
what was not run, for a bisected grid most of it."""

from grokjax.cli import show
from grokjax.figures.power.least import both
from grokjax.plot.panels import label_of


def draw(grid):
    """The figure."""
    grid = grid.isel(variant=slice(None, None, -1))  # the first operation at the top
    figure, _ = both(grid, "variant", grid[label_of(grid)].values)
    return figure


if __name__ == "__main__":
    show("power/operations")
