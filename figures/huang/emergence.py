"""Highest validation accuracy of the addition over parameters, alone and beside random labels.

After figure 8 of Huang et al., drawn from experiments/huang/emergence.py: every seed as a dot, means with 95 %
intervals by Student's t. The addition counts as emerged where a run reaches 50 %.
"""

from grokjax.cli import show
from grokjax.figures.huang.points import draw_emergence

ALONE = "the addition alone"


def draw(grid):
    """The figure."""
    return draw_emergence(grid, "second_rows", lambda rows: f"beside {rows} random labels" if rows else ALONE)


if __name__ == "__main__":
    show("huang/emergence")
