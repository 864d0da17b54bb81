"""Accuracy over epochs of MLP and ResNet at modulus 97, a panel for each learning rate, batch and train fraction.

Drawn from experiments/pku/step_and_batch.py. The dashed line is the accuracy on validation rows whose swap was not
trained on.
"""

from grokjax.cli import show
from grokjax.plot.panels import along, draw_unswapped


def draw(grid):
    """The figure."""
    cells = []
    for where in along(grid, "model", "train_fraction", "batch_size", "learning_rate"):
        title = ", ".join(str(value) if name == "model" else f"{name} {value:g}" for name, value in where.items())
        title = title.replace("train_fraction", "alpha").replace("_size", "").replace("learning_", "")
        cells.append((title, grid.sel({name: [value] for name, value in where.items()})))
    return draw_unswapped(cells, grid.sizes.get("learning_rate", 1))


if __name__ == "__main__":
    show("pku/step_and_batch")
