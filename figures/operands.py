"""Accuracy over epochs for sums of K operands; a panel for each modulus, K and arm.

After figures 5 and 6 of the PKU study, drawn from experiments/operands.py: evaluation mode in colour, and, thin and
black, the training accuracy with dropout on, which is what the study plots.
"""

from panels import by_variant, draw_cells
from script import main


def draw(grid):
    """The figure."""
    return draw_cells(by_variant(grid), 3, "train_mode_accuracy", "training, dropout on", color="#000000", lw=1.0)


if __name__ == "__main__":
    main(draw, __doc__, "operands")
