"""The highest validation accuracy over train fraction, a colour for each optimizer.

After figure 4 of the PKU study, drawn from experiments/optimizers.py: a dot for each run, a line through the means, a
bar for the mean's 95 % interval (Student's t) from 3 runs on. Crosses are the means that the source recorded, at
modulus 97.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np
from panels import count, with_axis
from script import main

import grokjax as gj
from grokjax.analysis.statistics import location
from grokjax.claims.rules import recorded

COLORS = {
    "Adam 1e-4": "#0072B2",
    "Adam 1e-3": "#56B4E9",
    "Adam 3e-3": "#332288",
    "Adam 1e-4, dropout .1": "#009E73",
    "AdamW 5e-4, decay .05": "#E69F00",
    "AdamW 5e-4, decay 1": "#D55E00",
    "RMSprop 5e-4": "#CC79A7",
    "RMSprop 1e-3": "#882255",
    "SGD 1e-2, momentum .9": "#000000",
    "SGD 1e-2": "#888888",
}
"""Of the experiment's labels; others take them in turn."""


def draw(grid):
    """The figure."""
    figure, ax = plt.subplots(figsize=(8.6, 4.8), layout="constrained")
    source = recorded()["optimizers"]
    grid = with_axis(with_axis(grid, "train_fraction"), "modulus")
    fractions = grid["train_fraction"].values.astype(float)
    for i, (label, another) in enumerate(zip(grid["variant"].values, itertools.cycle(COLORS.values()), strict=False)):
        color = COLORS.get(str(label), another)
        values = grid["max_val_accuracy"].sel(variant=label).transpose("train_fraction", ...).values
        values = values.reshape(len(fractions), -1).astype(float)
        aside = (i - len(COLORS) / 2) * 0.0012
        runs = [row[~np.isnan(row)] for row in values]
        ran = np.array([len(row) > 0 for row in runs])
        means = np.array([row.mean() if len(row) else np.nan for row in runs])
        for x, row in zip(fractions, runs, strict=True):
            ax.plot(np.full(len(row), x + aside), row, "o", color=color, ms=3.5, mew=0, alpha=0.5)
            if len(row) >= 3:
                found = location(row)
                ax.plot([x + aside] * 2, [found.low, found.high], color=color, lw=0.9, alpha=0.7)
        ax.plot(fractions[ran] + aside, means[ran], "-o", color=color, ms=5, lw=1.6, label=str(label))
        if str(label) in source:
            accuracy = np.array(source[str(label)]) / 100
            ax.plot(np.array(source["train_fraction"]) + aside, accuracy, "x", color=color, ms=6, mew=1.4)
    ax.plot([], [], "x", color=gj.plot.EDGE, label="recorded by the source, p = 97")
    ax.plot([], [], "o", color=gj.plot.EDGE, ms=3.5, alpha=0.5, mew=0, label="one run")
    gj.plot.percent_axis(ax, "y")
    ax.set(xlabel="train fraction (alpha)", ylabel="highest validation accuracy")
    ax.set_title(f"p = {', '.join(map(str, grid['modulus'].values))} ({count(grid)})")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


if __name__ == "__main__":
    main(draw, __doc__, "optimizers")
