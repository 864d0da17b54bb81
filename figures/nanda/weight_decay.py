"""When a transformer memorises and generalises x+y mod p, over weight decay, and the test accuracy of each decay.

Drawn from experiments/nanda/weight_decay.py: a dot for each run, a triangle for one that did not get there within its
budget; dashes fall as the inverse of the decay.
"""

import numpy as np
from matplotlib import ticker

import grokjax as gj
from grokjax.claims.runs import Runs
from grokjax.cli import show
from grokjax.figures.nanda.shared import dots, modulus_of, nothing_yet
from grokjax.plot.panels import count, own_ticks, panel_grid
from grokjax.plot.style import COLORS, EDGE


def draw(grid):
    """The figure."""
    runs = Runs.of(grid)
    figure, axes = panel_grid(1, 2, width=5.2, height=3.6, margin=1.2)
    left, right = axes[0]
    times(left, runs) if len(runs) else nothing_yet(left)
    gj.plot.curves(grid, right, by="weight_decay" if "weight_decay" in grid.dims else None)
    figure.suptitle(f"x+y mod {modulus_of(grid)}, {count(grid)}", fontsize=11)
    return figure


def times(ax, runs: Runs) -> None:
    """Steps to 99 % training and test accuracy over decay, and a line that falls as its inverse."""
    decay = runs.column("weight_decay").astype(float)
    for part, told, side in (("train", "training", -0.04), ("val", "test", 0.04)):
        steps = runs.crossing(part, 99)[0]
        dots(ax, decay, steps, runs.column("last_step"), COLORS[part], f"99 % {told} accuracy", side)
    came = np.isfinite(steps)
    if came.any():
        at = np.unique(decay[came])
        start = gj.results.median(steps[came & (decay == at[0])])
        ax.plot(at, start * at[0] / at, ls="--", lw=1, color=EDGE, label="1 / decay")
    ax.set(xlabel="weight decay", ylabel="steps", xscale="log", title="steps to 99 %")
    own_ticks(ax, np.unique(decay))
    ax.xaxis.set_minor_locator(ticker.NullLocator())
    shown = [runs.crossing(part, 99)[0] for part in COLORS]
    gj.plot.time_axis(ax, "y", np.concatenate([*(one[np.isfinite(one)] for one in shown), runs.column("last_step")]))
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    ax.legend(handles.values(), handles.keys(), loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


if __name__ == "__main__":
    show("nanda/weight_decay")
