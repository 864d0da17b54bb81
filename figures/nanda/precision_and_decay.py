"""Loss, collapsed rows and weight norm of a transformer on x+y mod p, with and without decay, in float32 and float64.

Drawn from experiments/nanda/precision_and_decay.py, a column for each decay and precision of the loss. The dotted line
is where early stopping would end the median run: the lowest test loss before its peak; words take its place where that
is step 0. A triangle at the bottom marks a training loss of exactly 0, which has no place on a logarithmic axis.
"""

import numpy as np

import grokjax as gj
from grokjax.cli import show
from grokjax.figures.nanda.shared import modulus_of
from grokjax.plot.panels import along, count, learning, panel_grid, shared_legend, with_axis
from grokjax.plot.style import COLORS, EDGE, OTHERS

STOP = dict(color=EDGE, ls=":", lw=1.2)
ZERO = dict(color=COLORS["train"], ls="none", marker="v", ms=5, clip_on=False)


def draw(grid):
    """The figure."""
    grid = with_axis(with_axis(grid, "loss_dtype"), "weight_decay")
    cells = along(grid, "weight_decay", "loss_dtype")
    figure, axes = panel_grid(4, len(cells), width=3.4, height=2.4)
    stops, zeros = [], False
    for column, where in zip(axes.T, cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        told = f"decay {where['weight_decay']:g}, {where['loss_dtype']}"
        learning(column[0], cell, told, "accuracy")
        learning(column[1], cell.assign(train_loss=cell["train_loss"].where(cell["train_loss"] != 0)), "", "loss")
        column[1].set_title("")
        stop = early_stop(cell)
        stops.append(stop)
        for ax, height in zip(column[:2], (0.78, 0.06), strict=True):
            mark_stop(ax, stop, height)
        zeros = mark_zeros(column[1], cell) or zeros
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
    more = [("early stopping", STOP)] if any(stops) else []
    more += [("training loss exactly 0", ZERO)] if zeros else []
    shared_legend(figure, grid.sizes.get("seed", 1) > 1, *more)
    figure.suptitle(f"x+y mod {modulus_of(grid)}, {count(grid)}", fontsize=11)
    return figure


def early_stop(cell) -> float:
    """The step of the lowest test loss before its peak, of the median curve."""
    dims = [dim for dim in cell["val_loss"].dims if dim != "step"]
    curve = gj.results.median(cell["val_loss"].transpose(*dims, "step").values.reshape(-1, cell.sizes["step"]), 0)
    known = np.flatnonzero(~np.isnan(curve))
    peak = known[np.argmax(curve[known])]
    return float(cell["step"].values[known[np.argmin(curve[known[known <= peak]])]])


def mark_stop(ax, stop: float, height: float) -> None:
    """A line at the step of early stopping; at step 0, where the y axis would hide it, words at this height."""
    if stop:
        ax.axvline(stop, **STOP)
    else:
        ax.text(0.03, height, "early stopping:\nstep 0", transform=ax.transAxes, fontsize=7, color=EDGE)


def mark_zeros(ax, cell) -> bool:
    """Marks at the bottom of a panel where a training loss is 0, which its lines leave out; whether any is."""
    loss, step = cell["train_loss"], cell["step"]
    zero = ((loss == 0) & (step <= cell["last_step"])).any([dim for dim in loss.dims if dim != "step"]).values
    if zero.any():
        ax.plot(step.values[zero], np.full(zero.sum(), 0.04), transform=ax.get_xaxis_transform(), **ZERO)
    return bool(zero.any())


def every_run(ax, cell, name: str) -> None:
    """A curve of each run up to its end."""
    dims = [dim for dim in cell[name].dims if dim != "step"]
    step = cell["step"].values
    values = cell[name].transpose(*dims, "step").values.reshape(-1, len(step))
    for curve, end in zip(values, cell["last_step"].values.ravel(), strict=True):
        ax.plot(step[step <= end], curve[step <= end], color=OTHERS[0], lw=0.9, alpha=0.7)


if __name__ == "__main__":
    show("nanda/precision_and_decay")
