"""Steps to 99 % at two moduli with as many training rows.

Drawn from experiments/equal_rows.py: a dot for each run, a triangle for one that never got there.
"""

from crossings import draw_times
from script import main


def draw(grid):
    """The figure."""
    return draw_times(grid, "modulus")


if __name__ == "__main__":
    main(draw, __doc__, "equal_rows")
