"""Loss over steps of ten skip trigrams, from finite rows and from endless ones: in all, and of each trigram.

After the NANDA study's figures of this task, drawn from experiments/nanda/skip_trigram.py: below, the trigrams from the
most frequent, dark, to the rarest, light, and their total, black.
"""

import matplotlib as mpl
import numpy as np

from grokjax.cli import show
from grokjax.experiments.nanda.transitions import frequencies
from grokjax.figures.nanda import lines
from grokjax.plot.panels import panel_grid


def draw(grid):
    """The figure."""
    arms = lines.arms(grid)
    figure, axes = panel_grid(2, len(arms), width=4.8, height=2.9)
    for (whole, single), (arm, label, cell) in zip(axes.T, arms, strict=True):
        endless = arm == "endless"
        often = frequencies(int(lines.setting(cell, "num_trigrams")), float(lines.setting(cell, "exponent")))
        guess = -np.log(often)
        lines.losses(whole, cell, label, endless)
        lines.guessing(whole, float(often @ guess))
        colors = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(often)))
        for i, color in enumerate(colors):
            lines.drawn(single, cell, f"val_loss.trigram {i}", color, f"{i + 1}")
        lines.drawn(single, cell, "val_loss", "black", "all")
        lines.steps_of(single, cell, log=True)
        lines.steps_of(whole, cell, log=True)
        for ax in (whole, single):
            ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("loss (nats)")
    axes[1, 0].set_ylabel("loss of each trigram,\nrows not trained on (nats)")
    axes[1, -1].legend(title="trigram", loc="center left", bbox_to_anchor=(1.0, 0.5), ncols=1)
    lines.key(figure, grid.sizes.get("seed", 1) > 1, lines.GUESS)
    return figure


if __name__ == "__main__":
    show("nanda/skip_trigram")
