"""Steps to 99 % over the width of the Transformer.

Drawn from experiments/width.py: a dot for each run, a triangle for one that never got there.
"""

from crossings import draw_times
from script import main


def draw(grid):
    """The figure."""
    return draw_times(grid, "width")


if __name__ == "__main__":
    main(draw, __doc__, "width")
