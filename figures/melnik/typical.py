"""Accuracy, loss, effective learning rate and effective gradient over epochs under AdamW, with and without decay.

After figure 1 of Melnik, Yuzhakov and Vetrov, drawn from experiments/melnik/typical.py.
"""

from grokjax.cli import show
from grokjax.figures.melnik.common import accuracy, draw_columns, effective_gradient, effective_rate, loss
from grokjax.plot.panels import by_arm


def draw(grid):
    """The figure."""
    return draw_columns(by_arm(grid), (accuracy, loss, effective_rate, effective_gradient), log=True)


if __name__ == "__main__":
    show("melnik/typical")
