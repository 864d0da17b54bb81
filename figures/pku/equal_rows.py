"""Steps to 99 % at two moduli with as many training rows.

Drawn from experiments/pku/equal_rows.py: a dot for each run, a triangle for one that never got there.
"""

from grokjax.cli import show
from grokjax.plot.panels import draw_times


def draw(grid):
    """The figure."""
    return draw_times(grid, "modulus")


if __name__ == "__main__":
    show("pku/equal_rows")
