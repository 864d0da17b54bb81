"""Accuracy over epochs for LSTM, MLP and ResNet; a panel for each model, modulus and train fraction.

After figure 3 of the PKU study, drawn from experiments/architectures.py. The dashed line is the accuracy on validation
rows whose swap was not trained on: a network that pools its operands knows the others for free.
"""

from panels import by_variant, draw_cells, median_line
from script import main

DASHED = dict(color="#000000", lw=1.2, ls="--")


def draw(grid):
    """The figure."""
    unswapped = median_line("unswapped_accuracy", **DASHED)
    told = ("rows whose swap was not trained on, median", DASHED)
    return draw_cells(by_variant(grid), 3, extra=unswapped, more=[told])


if __name__ == "__main__":
    main(draw, __doc__, "architectures")
