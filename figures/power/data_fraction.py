"""Steps to 99 % accuracy over the train fraction, on the product of permutations; and what a table of an operation is.

After figure 1 (centre and right) of Power et al. 2022, drawn from experiments/power/data_fraction.py: a dot for each
run, a triangle for one that never got there, a line through the medians. On the right a small table with some answers
left out, as the source prints one: here it is x+y mod 5 with its numbers as letters."""

import matplotlib.pyplot as plt

import grokjax as gj
from grokjax.cli import show

LETTERS = "acdbe"
LEFT_OUT = {(0, 3), (1, 1), (1, 4), (2, 2), (3, 0), (4, 2), (4, 3)}


def draw(grid):
    """The figure."""
    widths = dict(width_ratios=[3, 1.3])
    figure, (times, table) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", **widths)
    gj.plot.crossings(grid, "train_fraction", times)
    times.set_title(f"steps to 99 % ({times.get_title()})")
    _example(table)
    return figure


def _example(ax) -> None:
    """The table of a binary operation on five letters, the validation rows left out."""
    size = len(LETTERS)
    letters = sorted(LETTERS)
    number = {letter: i for i, letter in enumerate(LETTERS)}
    for i, x in enumerate(letters):
        ax.text(0, i + 1, x, ha="center", va="center", weight="bold")
        ax.text(i + 1, 0, x, ha="center", va="center", weight="bold")
        for j, y in enumerate(letters):
            trains = (i, j) not in LEFT_OUT
            answer = LETTERS[(number[x] + number[y]) % size]
            color = gj.plot.COLORS["train" if trains else "val"]
            ax.text(j + 1, i + 1, answer if trains else "?", ha="center", va="center", color=color)
    ax.text(0, 0, "∘", ha="center", va="center", weight="bold")
    ax.axhline(0.5, color="#000000", lw=0.8)
    ax.axvline(0.5, color="#000000", lw=0.8)
    ax.set(xlim=(-0.6, size + 0.6), ylim=(size + 0.6, -0.6), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title("a table: rows that train, and\nvalidation rows (?) to be filled in")


if __name__ == "__main__":
    show("power/data_fraction")
