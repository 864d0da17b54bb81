"""Accuracy over steps at one train fraction, and steps to 99 % against it.

Drawn from experiments/demo/quickstart.py.
"""

import matplotlib.pyplot as plt

import grokjax as gj
from grokjax.cli import show


def most_delayed(table):
    """The train fraction with the largest ratio of median times to 99 %, validation to training."""
    finite = table[table["median_val"] < float("inf")]
    return (finite if len(finite) else table)["ratio"].fillna(0).idxmax()


def draw(grid):
    """The figure."""
    fraction = most_delayed(gj.summary(grid, by="train_fraction"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    gj.plot.curves(grid.sel(train_fraction=[fraction]), left)
    left.set_title(f"train fraction {fraction}: {left.get_title()}")
    gj.plot.crossings(grid, "train_fraction", right)
    return figure


if __name__ == "__main__":
    show("demo/quickstart")
