"""In-context score over steps by the number of attention layers, and the loss along the sequence at the end.

After the NANDA study's slides and Olsson et al. 2022, drawn from experiments/nanda/in_context.py: loss late in the
sequence less that early in it. Shaded is the window in which the score of the median run that has ended falls at least
half as steeply as where it is steepest, if it falls at all.
"""

import numpy as np

from grokjax import results
from grokjax.cli import show
from grokjax.experiments.nanda.transitions import score_and_window, stretches
from grokjax.figures.nanda import lines
from grokjax.plot import EDGE, OTHERS, step_axis
from grokjax.plot.panels import along, count, panel_grid, with_axis

LEAST_SCORE = 0.1
"""Nats by which the score of the median run is below 0 at the end, for its fall to be shaded."""


def draw(grid):
    """The figure."""
    grid = with_axis(grid, "num_layers")
    cells = [
        (int(where["num_layers"]), grid.sel(num_layers=[where["num_layers"]])) for where in along(grid, "num_layers")
    ]
    figure, axes = panel_grid(1, len(cells) + 1, width=3.7, height=3.2)
    shown = [0.0]
    for i, (ax, (layers, cell)) in enumerate(zip(axes[0], cells, strict=False)):
        step, curves, ended = _losses(cell)
        score, window = score_and_window(step, curves)
        look = dict(color=OTHERS[i % len(OTHERS)])
        ax.plot(step, score.T, lw=0.6, alpha=0.5, **look)
        ax.plot(step, results.median(score, 0), lw=2, **look)
        ax.axhline(0, color=EDGE, lw=0.9, ls="--")
        start, end = (results.median(window[name].values[ended], 0) for name in ("start", "end"))
        if np.isfinite([start, end]).all() and results.median(score[ended, -1]) < -LEAST_SCORE:
            ax.axvspan(start, end, color=EDGE, alpha=0.15, lw=0)
        else:
            ax.text(0.5, 0.9, "no fall", ha="center", color=EDGE, transform=ax.transAxes)
        step_axis(ax, "x", step)
        ax.set_xlabel("step")
        ax.set_title(f"{layers} layer{'s' * (layers > 1)} ({count(cell)})")
        axes[0, -1].plot(
            np.arange(1, curves.shape[0] + 1), results.median(curves[..., -1], 1), lw=1.4, label=f"{layers}", **look
        )
        shown += [np.nanmin(score), np.nanmax(score)]
    margin = 0.15 * np.ptp(shown) or 0.1
    for ax in axes[0, :-1]:
        ax.set_ylim(min(shown) - margin, max(shown) + margin)
    axes[0, 0].set_ylabel("in-context score (nats)")
    last = axes[0, -1]
    *firsts, width = stretches(len(curves))
    for first in firsts:
        last.axvspan(first + 0.5, first + width + 0.5, color=EDGE, alpha=0.15, lw=0)
    last.set(xlabel="position in the sequence", ylabel="loss at the end (nats)", title="shaded: early and late")
    last.legend(title="layers")
    return figure


def _losses(cell):
    """[steps], [positions, runs, steps], [runs]: the loss of each position, and which runs have ended."""
    names = [f"val_loss.{i}" for i in range(int(lines.setting(cell, "sequence_length")) - 1)]
    cell = results.filled(cell, *names)
    step = cell["step"].values
    status = cell["status"].values.ravel()
    known = status != "not run"
    curves = np.stack([cell[name].transpose(..., "step").values.reshape(len(known), -1)[known] for name in names])
    shown = step <= cell["last_step"].values.max()
    return step[shown], curves[..., shown], ~np.isin(status[known], results.UNFINISHED)


if __name__ == "__main__":
    show("nanda/in_context")
