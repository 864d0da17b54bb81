"""Loss over steps of predicting a repeated subsequence: from finite data, which groks, beside endless ones.

After the NANDA study's figures of this task, drawn from experiments/nanda/repeated_subsequence.py: the loss of tokens
that can be known.
"""

import numpy as np

from grokjax.cli import show
from grokjax.figures.nanda import lines
from grokjax.plot.panels import panel_grid


def draw(grid):
    """The figure."""
    arms = lines.arms(grid)
    figure, axes = panel_grid(1, len(arms), width=4.6, height=3.2)
    for ax, (arm, label, cell) in zip(axes[0], arms, strict=True):
        lines.losses(ax, cell, label, arm == "endless")
        lines.guessing(ax, np.log(lines.setting(cell, "vocabulary")))
        ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("loss of repeated tokens (nats)")
    lines.key(figure, grid.sizes.get("seed", 1) > 1, lines.GUESS)
    return figure


if __name__ == "__main__":
    show("nanda/repeated_subsequence")
