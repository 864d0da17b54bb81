"""Steps to 99 % over the width of the Transformer.

Drawn from experiments/pku/width.py: a dot for each run, a triangle for one that never got there.
"""

from grokjax.cli import show
from grokjax.plot.panels import draw_times


def draw(grid):
    """The figure."""
    return draw_times(grid, "width")


if __name__ == "__main__":
    show("pku/width")
