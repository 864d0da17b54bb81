"""Steps to 99 % of MLP and ResNet on modulus 97 over learning rate and batch.

Drawn from experiments/step_and_batch.py: a dot for each run, a triangle for one that never got there.
"""

from crossings import draw_times
from script import main


def draw(grid):
    """The figure."""
    return draw_times(grid, "learning_rate", ("model", "batch_size", "train_fraction"))


if __name__ == "__main__":
    main(draw, __doc__, "step_and_batch")
