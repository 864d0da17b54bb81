"""Loss, collapsed rows and weight norm of a transformer on x+y mod p, with and without decay, in float32 and float64.

Drawn from experiments/nanda/precision_and_decay.py, a column for each decay and precision of the loss. The dotted line
is where early stopping would end the median run: the lowest test loss before its peak.
"""

import numpy as np

import grokjax as gj
from grokjax.cli import show
from grokjax.figures.nanda.shared import modulus_of
from grokjax.plot.panels import along, count, learning, panel_grid, shared_legend, with_axis
from grokjax.plot.style import EDGE, OTHERS


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "loss_dtype"), "weight_decay")
    cells = along(grid, "weight_decay", "loss_dtype")
    figure, axes = panel_grid(4, len(cells), width=3.4, height=2.4)
    for column, where in zip(axes.T, cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        told = f"decay {where['weight_decay']:g}, {where['loss_dtype']}"
        learning(column[0], cell, told, "accuracy")
        learning(column[1], cell, "", "loss")
        column[1].set_title("")
        stop = early_stop(cell)
        for ax in column[:2]:
            ax.axvline(stop, color=EDGE, ls=":", lw=1.2)
        for ax, name, label in (
            (column[2], "train_softmax_collapse", "training rows with loss 0"),
            (column[3], "weight_norm", "weight norm"),
        ):
            every_run(ax, cell, name)
            gj.plot.step_axis(ax, "x", cell["step"].values)
            ax.set(xlabel="epoch", ylabel=label)
        gj.plot.percent_axis(column[2], "y")
    for row in axes:
        low, high = min(ax.get_ylim()[0] for ax in row), max(ax.get_ylim()[1] for ax in row)
        for ax in row:
            ax.set_ylim(low, high)
    look = dict(color=EDGE, ls=":", lw=1.2)
    shared_legend(figure, grid.sizes.get("seed", 1) > 1, ("early stopping", look))
    figure.suptitle(f"x+y mod {modulus_of(grid)}, {count(grid)}", fontsize=11)
    return figure


def early_stop(cell) -> float:
    """The step of the lowest test loss before its peak, of the median curve."""
    dims = [dim for dim in cell["val_loss"].dims if dim != "step"]
    curve = gj.results.median(cell["val_loss"].transpose(*dims, "step").values.reshape(-1, cell.sizes["step"]), 0)
    known = np.flatnonzero(~np.isnan(curve))
    peak = known[np.argmax(curve[known])]
    return float(cell["step"].values[known[np.argmin(curve[known[known <= peak]])]])


def every_run(ax, cell, name: str) -> None:
    """A curve of each run up to its end."""
    dims = [dim for dim in cell[name].dims if dim != "step"]
    step = cell["step"].values
    values = cell[name].transpose(*dims, "step").values.reshape(-1, len(step))
    for curve, end in zip(values, cell["last_step"].values.ravel(), strict=True):
        ax.plot(step[step <= end], curve[step <= end], color=OTHERS[0], lw=0.9, alpha=0.7)


if __name__ == "__main__":
    show("nanda/precision_and_decay")
