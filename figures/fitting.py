"""Steps to 99 % training accuracy of each model at two moduli.

Drawn from experiments/fitting.py: a dot for each run, a triangle for one that never got there.
"""

from crossings import draw_times
from script import main


def draw(grid):
    """The figure."""
    return draw_times(grid, "modulus", ("variant",))


if __name__ == "__main__":
    main(draw, __doc__, "fitting")
