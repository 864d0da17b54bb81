"""Training loss and distance from the least-norm solution over steps of SGD on an under-determined linear regression.

The PKU study's picture of implicit regularisation, drawn from experiments/pku/minimum_norm.py, every problem a line.
"""

import itertools

import matplotlib.pyplot as plt

import grokjax as gj
from grokjax.cli import show

COLORS = ["#0072B2", "#009E73", "#D55E00", "#CC79A7"]
PANELS = {
    "train_loss": "training loss",
    "val_loss": "loss on new rows",
    "distance": "distance from least norm, relative",
}


def draw(grid):
    """The figure."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, (name, title) in zip(axes, PANELS.items(), strict=True):
        for scale, color in zip(grid["init_scale"].values, itertools.cycle(COLORS), strict=False):
            lines = grid[name].sel(init_scale=scale).transpose("seed", "step").values
            ax.plot(grid["step"].values, lines.T, color=color, lw=0.6, alpha=0.5)
            ax.plot(grid["step"].values, gj.results.median(lines, 0), color=color, lw=2, label=f"norm {scale:g}")
        gj.plot.step_axis(ax, "x", grid["step"].values)
        ax.set_yscale("log")
        ax.set(xlabel="step", ylabel=title)
    axes[-1].legend(title="initial weights", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(f"{grid.sizes['seed']} problems of 20 rows and 50 features each, and their median", fontsize=10)
    return figure


if __name__ == "__main__":
    show("pku/minimum_norm")
