"""Steps to 99 % training accuracy of each model at two moduli.

Drawn from experiments/pku/fitting.py: a dot for each run, a triangle for one that never got there.
"""

from grokjax.cli import show
from grokjax.plot.panels import draw_times


def draw(grid):
    """The figure."""
    return draw_times(grid, "modulus", ("variant",))


if __name__ == "__main__":
    show("pku/fitting")
