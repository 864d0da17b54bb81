"""Accuracy and loss over epochs, a column for each train fraction, and when validation reaches 99 %.

After figures 1 and 2 of the PKU study, drawn from experiments/pku/modular_addition.py: rows of panels for each modulus,
accuracies above losses, with every seed. The last panel of a modulus counts the runs that have generalised, censored
ones included.
"""

from grokjax.cli import show
from grokjax.plot.panels import LEGEND, along, arrivals, count, learning, panel_grid, shared_legend, with_axis


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "modulus"), "train_fraction")
    moduli = [where["modulus"] for where in along(grid, "modulus")]
    fractions = [where["train_fraction"] for where in along(grid, "train_fraction")]
    figure, axes = panel_grid(2 * len(moduli), len(fractions) + 1, margin=LEGEND)
    for i, modulus in enumerate(moduli):
        rows = grid.sel(modulus=[modulus])
        for j, fraction in enumerate(fractions):
            for row, quantity in enumerate(("accuracy", "loss")):
                cell = rows.sel(train_fraction=[fraction])
                learning(axes[2 * i + row, j], cell, f"p = {modulus}, α = {fraction:g}", quantity)
        arrivals(axes[2 * i, -1], rows, "train_fraction", f"p = {modulus} ({count(rows)})")
        axes[2 * i + 1, -1].set_visible(False)
    shared_legend(figure, grid.sizes.get("seed", 1) > 1)
    return figure


if __name__ == "__main__":
    show("pku/modular_addition")
