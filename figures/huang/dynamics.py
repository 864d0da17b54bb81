"""Accuracy and weight norm over epochs in four cells of width and training rows: four kinds of dynamics.

After figures 2, 5 and 9 of Huang et al., drawn from experiments/huang/dynamics.py: a column for each cell, every seed.
Titles say of how many runs which kind of dynamics was seen.
"""

from collections import Counter

from matplotlib.axes import Axes

from grokjax import results
from grokjax.analysis.dynamics import of_grid
from grokjax.cli import show
from grokjax.plot.panels import arms, count, learning, panel_grid, shared_legend
from grokjax.plot.style import EDGE, step_axis


def draw(grid):
    """The figure."""
    cells = arms(grid)
    figure, axes = panel_grid(2, len(cells), width=3.4, height=2.5)
    for column, (_, label, cell) in zip(axes.T, cells, strict=True):
        learning(column[0], cell, label)
        kinds = Counter(kind for kind in of_grid(cell).values.ravel().tolist() if kind)
        seen = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()) or "not yet ended"
        column[0].set_title(f"{label} ({count(cell)})\n{seen}")
        _norms(column[1], cell)
    for row in axes:
        top = max(ax.get_ylim()[1] for ax in row)
        for ax in row:
            ax.set_ylim(top=top)
    for ax in axes[:, 1:].ravel():
        ax.set_ylabel("")
    shared_legend(figure, any(cell["status"].size > 1 for *_, cell in cells))
    return figure


def _norms(ax: Axes, cell) -> None:
    """The weight norm of every run over epochs, and their median."""
    ran = cell["status"].values.ravel() != "not run"
    norms = cell["weight_norm"].transpose(..., "step").values.reshape(ran.size, -1)[ran]
    last, epochs = cell["last_step"].values.ravel()[ran], cell["step"].values
    for norm, end in zip(norms, last, strict=True):
        ax.plot(epochs[epochs <= end], norm[epochs <= end], color=EDGE, lw=0.8, alpha=0.7)
    shown = epochs <= last.max()
    ax.plot(epochs[shown], results.median(norms, 0)[shown], color="#000000", lw=1.6)
    step_axis(ax, "x", epochs[shown])
    ax.set(xlabel="epoch", ylabel="weight norm", ylim=(0, None))


if __name__ == "__main__":
    show("huang/dynamics")
