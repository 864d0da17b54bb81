"""The highest validation accuracy over the train fraction with k outliers, a line for each k, and the least fraction.

After figure 6 of Power et al. 2022, drawn from experiments/power/outliers.py: medians of the seeds over the fractions
that ran; on the right the least fraction of every run."""

import matplotlib.pyplot as plt
import numpy as np

import grokjax as gj
from grokjax import results
from grokjax.cli import show
from grokjax.figures.power.least import least
from grokjax.plot.panels import count

MARKS = "os^Dvx"


def draw(grid):
    """The figure."""
    figure, (curves, needed) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    fractions = grid["train_fraction"].values.astype(float)
    outliers = grid["outliers"].values
    highest = grid["max_val_accuracy"].where(grid["status"] != "not run").transpose("outliers", "train_fraction", ...)
    for i, (k, cell) in enumerate(zip(outliers, highest.values, strict=True)):
        middle = results.median(cell.reshape(len(fractions), -1), -1)
        ran = ~np.isnan(middle)
        color, mark = gj.plot.OTHERS[i % len(gj.plot.OTHERS)], MARKS[i % len(MARKS)]
        curves.plot(fractions[ran], middle[ran], marker=mark, ms=8, mfc="none", color=color, label=f"{k:,}")
        for place in np.flatnonzero(ran):
            runs = cell[place].ravel()
            curves.plot(np.full(len(runs), fractions[place]), runs, "o", ms=2.5, mew=0, alpha=0.5, color=color)
    curves.set(xlabel="train fraction (alpha)", ylabel="highest validation accuracy")
    gj.plot.percent_axis(curves, "y")
    curves.legend(title="outliers k", loc="center left", bbox_to_anchor=(1.0, 0.5))
    curves.set_title(count(grid))
    least(needed, grid, "outliers", [f"k = {k:,}" for k in outliers])
    tried = fractions[highest.notnull().any([dim for dim in highest.dims if dim != "train_fraction"]).values]
    for ax, ticks in ((curves, tried), (needed, [0, *tried])):
        ax.set_xticks(ticks, [f"{fraction:.2g}" for fraction in ticks], rotation=90 if len(ticks) > 8 else 0)
    return figure


if __name__ == "__main__":
    show("power/outliers")
