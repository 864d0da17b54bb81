"""Accuracy over epochs for LSTM, MLP and ResNet; a panel for each model, modulus and train fraction.

After figure 3 of the PKU study, drawn from experiments/pku/architectures.py. The dashed line is the accuracy on
validation rows whose swap was not trained on: a network that pools its operands knows the others for free.
"""

from grokjax.cli import show
from grokjax.plot.panels import by_arm, draw_unswapped


def draw(grid):
    """The figure."""
    return draw_unswapped(by_arm(grid), 3)


if __name__ == "__main__":
    show("pku/architectures")
