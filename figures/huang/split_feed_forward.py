"""Highest validation accuracy of the addition beside random labels over parameters: feed-forward layer whole and split.

After figure 10 of Huang et al., drawn from experiments/huang/split_feed_forward.py: every seed as a dot, means with
95 % intervals by Student's t.
"""

from grokjax.cli import show
from grokjax.figures.huang.points import draw_emergence


def draw(grid):
    """The figure."""
    return draw_emergence(grid, "split_mlp", lambda split: f"feed-forward {'split by task' if split else 'whole'}")


if __name__ == "__main__":
    show("huang/split_feed_forward")
