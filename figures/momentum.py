"""Steps to 99 % of RMSprop and Adam with and without momentum.

Drawn from experiments/momentum.py: a dot for each run, a triangle for one that never got there.
"""

from crossings import draw_times
from script import main


def draw(grid):
    """The figure."""
    return draw_times(grid, "variant", ("learning_rate",))


if __name__ == "__main__":
    main(draw, __doc__, "momentum")
