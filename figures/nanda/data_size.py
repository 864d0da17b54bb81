"""When a transformer memorises and generalises x+y mod p, over the share of the table that it trains on.

Drawn from experiments/nanda/data_size.py: a dot for each run, a triangle for one that did not get there within its
budget. In the middle crosses are what the source recorded.
"""

import numpy as np
from matplotlib.lines import Line2D

import grokjax as gj
from grokjax.claims.rules import recorded_of
from grokjax.claims.runs import Runs
from grokjax.cli import show
from grokjax.experiments.nanda.times import below, evaluated_loss
from grokjax.figures.nanda.shared import dots, modulus_of, nothing_yet
from grokjax.plot.panels import count, panel_grid
from grokjax.plot.style import COLORS, EDGE, NAMES


def draw(grid):
    """The figure."""
    runs = Runs.of(grid)
    figure, axes = panel_grid(1, 3, width=4.4, height=3.4)
    figure.suptitle(f"x+y mod {modulus_of(grid)}, {count(grid)}", fontsize=11)
    if not len(runs):
        for ax in axes[0]:
            nothing_yet(ax)
        return figure
    gj.plot.crossings(grid, "train_fraction", axes[0, 0])
    keys = [Line2D([], [], color=COLORS[part], lw=2.2, label=NAMES[part]) for part in COLORS]
    axes[0, 0].legend(handles=keys, loc="upper right")
    axes[0, 0].set_title("steps to 99 %")
    drops(axes[0, 1], runs, modulus_of(grid))
    delays(axes[0, 2], runs)
    return figure


def drops(ax, runs: Runs, modulus: int) -> None:
    """When the test loss falls below 1."""
    steps = np.array([below(line, 1.0)[0] for line in evaluated_loss(runs)])
    dots(ax, fractions(runs), steps, runs.column("last_step"), COLORS["val"])
    if modulus == 113:
        source = recorded_of("nanda")["data_size"]
        look = dict(ls="none", marker="x", ms=9, mew=2, color="#000000", label="the source")
        ax.plot(source["train_fraction"], source["steps_to_test_loss_1"], **look)
    ax.legend()
    ax.set(xlabel="train fraction (alpha)", ylabel="step with test loss below 1")
    gj.plot.time_axis(ax, "y", np.append(steps[np.isfinite(steps)], runs.column("last_step")))
    ax.set_title("the drop of the test loss")


def delays(ax, runs: Runs) -> None:
    """How many times the steps of memorising generalising takes."""
    train, test = (runs.crossing(part, 99)[0] for part in ("train", "val"))
    with np.errstate(invalid="ignore"):
        delay, ends = np.where(np.isfinite(train), test / train, np.nan), runs.column("last_step") / train
        dots(ax, fractions(runs), delay, ends, "#000000")
    ax.axhline(1, color=EDGE, lw=0.8)
    ax.set(xlabel="train fraction (alpha)", ylabel="steps to 99 %: test / training")
    gj.plot.time_axis(ax, "y", np.concatenate([delay[np.isfinite(delay)], ends[np.isinf(delay)], [1.0]]))
    ax.legend(loc="upper right")
    ax.set_title("delay of generalisation")


def fractions(runs: Runs) -> np.ndarray:
    """[runs], their train fractions."""
    return runs.column("train_fraction").astype(float)


if __name__ == "__main__":
    show("nanda/data_size")
