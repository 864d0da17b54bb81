"""Accuracy over epochs for sums of K operands; a panel for each modulus, K and arm.

After figures 5 and 6 of the PKU study, drawn from experiments/pku/operands.py: evaluation mode in colour, and, thin and
black, the training accuracy with dropout on, which is what the study plots.
"""

from grokjax.cli import show
from grokjax.plot.panels import by_arm, draw_cells


def draw(grid):
    """The figure."""
    return draw_cells(by_arm(grid), 3, "train_mode_accuracy", "training, dropout on", color="#000000", lw=1.0)


if __name__ == "__main__":
    show("pku/operands")
