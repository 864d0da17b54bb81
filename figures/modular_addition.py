"""Accuracy and loss over epochs, a column for each train fraction, and when validation gets to 99 %.

After figures 1 and 2 of the PKU study, drawn from experiments/modular_addition.py: rows of panels for each modulus,
accuracies above losses, with every seed. The last row of panels counts runs that have generalised, censored ones
included.
"""

from panels import along, arrivals, count, key, learning, sheet, with_axis
from script import main


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "modulus"), "train_fraction")
    moduli = [where["modulus"] for where in along(grid, "modulus")]
    fractions = along(grid, "train_fraction")
    figure, axes = sheet(2 * len(moduli) + 1, max(len(fractions), len(moduli)))
    for ax in axes.ravel():
        ax.set_visible(False)
    for i, modulus in enumerate(moduli):
        for j, where in enumerate(fractions):
            cell = grid.sel(modulus=[modulus]).sel({name: [value] for name, value in where.items()})
            title = ", ".join([f"p = {modulus}", *(f"α = {value:g}" for value in where.values())])
            for row, quantity in enumerate(("accuracy", "loss")):
                learning(axes[2 * i + row, j], cell, title, quantity)
        cell = grid.sel(modulus=[modulus])
        arrivals(axes[-1, i], cell, "train_fraction", f"p = {modulus} ({count(cell)})")
    key(figure, grid.sizes.get("seed", 1) > 1)
    return figure


if __name__ == "__main__":
    main(draw, __doc__, "modular_addition")
