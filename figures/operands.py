"""Accuracy over epochs for sums of K operands; a panel for each modulus, K and arm.

After figures 5 and 6 of the PKU study, drawn from experiments/operands.py: evaluation mode in colour, and, thin and
black, the training accuracy with dropout on, which is what the study plots.
"""

from panels import by_variant, draw_cells, median_line
from script import main

THIN = dict(color="#000000", lw=1.0)


def draw(grid):
    """The figure."""
    train_mode = median_line("train_mode_accuracy", **THIN)
    return draw_cells(by_variant(grid), 3, extra=train_mode, more=[("training, dropout on, median", THIN)])


if __name__ == "__main__":
    main(draw, __doc__, "operands")
