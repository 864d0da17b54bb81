"""Loss over steps of addition digit by digit, a column for each kind of data: the mean, and each digit of the answer.

After the NANDA study's figures of 5-digit addition, drawn from experiments/nanda/digits.py. Steps are on a linear axis
where the data are endless, as in the source, so that phase changes look like drops.
"""

import numpy as np

from grokjax.cli import show
from grokjax.experiments.nanda.transitions import guesses
from grokjax.figures.nanda import lines
from grokjax.plot import OTHERS
from grokjax.plot.panels import panel_grid


def draw(grid):
    """The figure."""
    arms = lines.arms(grid)
    figure, axes = panel_grid(2, len(arms), width=4.2, height=2.9)
    carries = []
    for (whole, single), (arm, label, cell) in zip(axes.T, arms, strict=True):
        carry, endless = bool(lines.setting(cell, "carry")), arm.startswith("endless")
        nats = guesses(int(lines.setting(cell, "digits")) + carry, carry)
        lines.losses(whole, cell, label, endless)
        lines.guessing(whole, nats.mean())
        for place, value in enumerate(nats):
            power = len(nats) - 1 - place
            lines.drawn(single, cell, f"val_loss.{place}", OTHERS[power % len(OTHERS)], place_name(power))
            lines.guessing(single, value)
        lines.steps_of(single, cell, log=not endless)
        for ax in (whole, single):
            ax.set_ylim(bottom=0)
        carries.append(len(nats))
    axes[0, 0].set_ylabel("loss, mean over digits (nats)")
    axes[1, 0].set_ylabel("loss of each digit,\nrows not trained on (nats)")
    single = axes[1, int(np.argmax(carries))]
    handles, labels = single.get_legend_handles_labels()
    axes[1, -1].legend(handles, labels, title="digit", loc="center left", bbox_to_anchor=(1.0, 0.5))
    lines.key(figure, grid.sizes.get("seed", 1) > 1, lines.GUESS)
    return figure


def place_name(power: int) -> str:
    """'ones', '10s', '1,000s': what a digit counts."""
    return f"{10**power:,}s" if power else "ones"


if __name__ == "__main__":
    show("nanda/digits")
