"""Accuracy over epochs for sums of K operands; a panel for each modulus, K and arm.

After figures 5 and 6 of the PKU study, drawn from experiments/operands.py: evaluation mode in colour, and, thin and
black, the training accuracy with dropout on, which is what the study plots.
"""

import numpy as np
from panels import by_variant, draw_cells
from script import main

import grokjax as gj

TRAIN_MODE = ("training, dropout on, median", dict(color="#000000", lw=1.0))


def train_mode(ax, cell):
    """The median training accuracy in train mode."""
    dims = [dim for dim in cell["train_mode_accuracy"].dims if dim != "step"]
    values = cell["train_mode_accuracy"].transpose(*dims, "step").values.reshape(-1, cell.sizes["step"])
    epochs = cell["step"].values / int(np.unique(cell["steps_per_epoch"].values)[0])
    ax.plot(epochs, gj.results.median(values, 0), color="#000000", lw=1.0, zorder=4)


def draw(grid):
    """The figure."""
    return draw_cells(by_variant(grid), 3, extra=train_mode, more=[TRAIN_MODE])


if __name__ == "__main__":
    main(draw, __doc__, "operands")
