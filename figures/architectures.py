"""Accuracy over epochs for LSTM, MLP and ResNet; a panel for each model, modulus and train fraction.

After figure 3 of the PKU study, drawn from experiments/architectures.py. The dashed line is the accuracy on validation
rows whose swap was not trained on: a network that pools its operands knows the others for free.
"""

from panels import by_variant, draw_unswapped
from script import main


def draw(grid):
    """The figure."""
    return draw_unswapped(by_variant(grid), 3)


if __name__ == "__main__":
    main(draw, __doc__, "architectures")
