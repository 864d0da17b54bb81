"""Validation accuracy against the sharpness of the minimum, a dot for each seed.

After the figure of appendix A.5 of Power et al. 2022, drawn from experiments/power/sharpness.py, a row for each
optimizer; on the right the same against the top eigenvalue of the Hessian. Spearman's rank correlation stands above
each panel. The axis of accuracies spans those reached and need not begin at 0."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

import grokjax as gj
from grokjax.analysis.correlation import spearman
from grokjax.cli import show
from grokjax.figures.power.least import wanting
from grokjax.plot.panels import arms, panel_grid

MEASURES = {"sharpness": "sharpness (%)", "top_eigenvalue": "top eigenvalue of the Hessian"}


def draw(grid):
    """The figure."""
    found = arms(grid)
    figure, axes = panel_grid(len(found), 2, width=4.6, height=3.2)
    for line, (_, label, cell) in zip(axes, found, strict=True):
        for ax, (name, title) in zip(line, MEASURES.items(), strict=True):
            if name not in cell or cell[name].isnull().all():
                wanting(ax, "power/sharpness")
                continue
            ended = cell[name].notnull().values
            values, accuracy = cell[name].values[ended], cell["final_val_accuracy"].values[ended]
            rank = spearman(values.astype(float), accuracy.astype(float))
            ax.plot(values, accuracy, "o", color=gj.plot.COLORS["val"], ms=5, mew=0, alpha=0.7)
            if (values > 0).all() and np.ptp(np.log10(values)) > 0.5:
                ax.set_xscale("log")
            else:
                ax.locator_params(axis="x", nbins=5)
            ax.set(xlabel=title, ylabel="final validation accuracy")
            _percents(ax, accuracy)
            told = (
                "all end at one accuracy" if np.isnan(rank.value) else f"ρ = {rank.value:.2f}, p = {rank.p_value:.2g}"
            )
            ax.set_title(f"{label} ({len(values)} runs): {told}")
    return figure


def _percents(ax: Axes, accuracy: np.ndarray) -> None:
    """A percent axis that ends just beyond the dots, so that accuracies close together stand apart."""
    low, high = accuracy.min(), accuracy.max()
    room = max(0.15 * (high - low), 0.005)
    ax.set_ylim(low - room, high + room)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


if __name__ == "__main__":
    show("power/sharpness")
