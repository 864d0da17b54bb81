"""Accuracy and effective learning rate over epochs, a pair of panels for each strength of weight decay.

Drawn from experiments/melnik/decay_strength.py.
"""

from grokjax.cli import show
from grokjax.figures.melnik.common import accuracy, draw_columns, effective_rate
from grokjax.plot.panels import by_arm


def draw(grid):
    """The figure."""
    return draw_columns(by_arm(grid), (accuracy, effective_rate))


if __name__ == "__main__":
    show("melnik/decay_strength")
