"""Steps to memorise sums and to generalise, over their number; and the losses from each number.

After the NANDA study's slides on the amount of data, drawn from experiments/nanda/number_of_sums.py: a dot for each
run, an open triangle at the last step of one that never got there, a line through the medians. Blue is the training
loss below .1 nats a digit, vermilion the test loss below 1, as the source counts them.
"""

import numpy as np

from grokjax.cli import show
from grokjax.experiments.nanda.transitions import GENERALISED, MEMORISED, first_below
from grokjax.figures.nanda import lines
from grokjax.plot import COLORS, EDGE, time_axis
from grokjax.plot.panels import along, count, panel_grid
from grokjax.plot.times import count_censored
from grokjax.results import filled, median


def draw(grid):
    """The figure."""
    cells = [grid.sel({n: [v] for n, v in where.items()}) for where in along(grid, "train_rows")]
    figure, axes = panel_grid(1, len(cells) + 1, width=3.6, height=3.2)
    times(axes[0, 0], cells)
    for ax, cell in zip(axes[0, 1:], cells, strict=True):
        lines.losses(ax, cell, f"{_rows(cell)} sums", endless=False)
        ax.set_ylim(bottom=0)
    axes[0, 1].set_ylabel("loss, mean over digits (nats)")
    lines.key(figure, grid.sizes.get("seed", 1) > 1)
    return figure


def _rows(cell) -> int:
    return int(lines.setting(cell, "train_rows"))


def times(ax, cells) -> None:
    """Steps to either loss over the number of sums."""
    shown = []
    for part, nats, side in (("train", MEMORISED, 0.97), ("val", GENERALISED, 1.03)):
        middles = []
        for cell in cells:
            whole = filled(cell, f"{part}_loss")
            curves = whole[f"{part}_loss"].transpose(..., "step").values.reshape(-1, whole.sizes["step"])
            ended = ~np.isnan(curves).all(1)
            came, _ = first_below(whole["step"].values, curves[ended], nats)
            last = whole["last_step"].values.ravel()[ended]
            at = np.full(len(came), _rows(cell) * side)
            look = dict(ls="none", color=COLORS[part])
            never = np.isinf(came)
            ax.plot(at[~never], came[~never], marker="o", ms=5, mew=0, alpha=0.6, **look)
            ax.plot(at[never], last[never], marker="^", ms=6, mfc="none", **look)
            count_censored(ax, _rows(cell) * side, last[never], COLORS[part], side - 1)
            middles.append(median(came) if len(came) else np.nan)
            shown += [np.where(never, last, came)]
        middles = np.where(np.isfinite(middles), middles, np.nan)
        ax.plot([_rows(cell) * side for cell in cells], middles, color=COLORS[part], lw=1.2)
    time_axis(ax, "y", np.maximum(np.concatenate(shown), 1))
    ax.set_xscale("log")
    rows = [_rows(cell) for cell in cells]
    ax.set_xticks(rows, [f"{row:,}" for row in rows])
    ax.minorticks_off()
    ax.set_xlabel("sums that train")
    ax.set_ylabel(f"steps to a training loss below {MEMORISED:g},\na test loss below {GENERALISED:g} nats a digit")
    ax.plot([], [], ls="none", marker="^", ms=6, mfc="none", color=EDGE, label="not reached by its last step")
    ax.legend(loc="upper right")
    ax.set_title(", ".join(dict.fromkeys(count(cell) for cell in cells)) + " of each number")


if __name__ == "__main__":
    show("nanda/number_of_sums")
