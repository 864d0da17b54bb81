"""How much doubling each group of weights changes the answers, and the loss along rays and circles through the origin.

After figure 2 of Melnik, Yuzhakov and Vetrov, drawn from experiments/melnik/scale_invariance.py. Bars: the change of
log p(y|x) at the last parameters, the geometric mean over runs, with a dot for each; grey, that of a random change of
the same size. Below, the training loss of the first seed's network over the plane of trained weights and a random
direction: a ray is a vertical line, along which the loss of scale-invariant weights does not change.
"""

import numpy as np
from matplotlib.axes import Axes

import grokjax as gj
from grokjax.cli import show
from grokjax.experiments.melnik.arms import GROUPS, PLANES
from grokjax.plot.panels import arms, count, panel_grid

RANDOM = "#BBBBBB"


def draw(grid):
    """The figure."""
    found = arms(grid)
    figure, axes = panel_grid(1 + len(PLANES), len(found), width=4.4, height=3.2)
    for column, (_, label, cell) in enumerate(found):
        title = label.replace(" inside", "\ninside").replace(" and\n", "\nand ")
        axes[0, column].set_title(f"{title} ({count(cell)})", pad=18)
        if "change" in cell and np.isfinite(cell["change"].values).any():
            _bars(axes[0, column], cell)
            for row, name in enumerate(PLANES):
                _plane(axes[1 + row, column], cell.isel(plane=row), GROUPS[name])
        else:
            for ax in axes[:, column]:
                _unmeasured(ax)
    return figure


def _bars(ax: Axes, cell) -> None:
    last = cell.isel(moment=-1)
    ran = [last[name].transpose("group", ...).values.reshape(len(GROUPS), -1) for name in ("change", "random_change")]
    shown = [i for i in range(len(GROUPS)) if np.isfinite(ran[0][i]).any()]
    at = np.arange(len(shown))
    for values, color, shift, label in zip(
        ran, (gj.plot.COLORS["train"], RANDOM), (-0.2, 0.2), ("doubled", "moved at random by as much"), strict=True
    ):
        values = np.maximum(values[shown], FLOOR)
        ax.barh(at + shift, np.exp(np.nanmean(np.log(values), 1)), 0.4, color=color, label=label, left=FLOOR / 10)
        ax.plot(values, np.repeat(at[:, None] + shift, values.shape[1], 1), "o", color="#000000", ms=2.5, mew=0)
    ax.set_xscale("log")
    ax.set_xlim(FLOOR / 2, None)
    ax.set_yticks(at, [list(GROUPS.values())[i] for i in shown])
    ax.invert_yaxis()
    ax.set_xlabel("change of log p(y|x) (nats)")
    ax.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2)


FLOOR = 1e-8
"""Changes below it are drawn at it."""


def _plane(ax: Axes, cell, title: str) -> None:
    loss = cell["plane_loss"]
    loss = loss.stack(run=[d for d in loss.dims if d not in ("radius", "angle")]).transpose("run", "radius", "angle")
    measured = [run for run in loss.values if np.isfinite(run).all()]
    if not measured:
        _message(ax, "no weights are declared\nscale-invariant")
        return
    ax.set_title(f"scaled: {title}")
    radius, angle = np.log2(cell["radius"].values), cell["angle"].values
    picture = ax.pcolormesh(
        np.degrees(angle), radius, np.log10(measured[0]), shading="nearest", cmap="viridis", rasterized=True
    )
    ax.set_xticks([-180, -90, 0, 90, 180])
    ax.set_yticks(radius[::2], [f"{2.0**r:.2g}" for r in radius[::2]])
    ax.set_xlabel("angle from the trained weights (degrees)")
    ax.set_ylabel(r"scale $|\theta|/|\theta_{trained}|$")
    ax.grid(False)
    ax.figure.colorbar(picture, ax=ax, label="log10 training loss (nats)")


def _unmeasured(ax: Axes) -> None:
    _message(ax, "not measured yet:\nthe command that trains these runs\nalso measures them once it has ended")


def _message(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


if __name__ == "__main__":
    show("melnik/scale_invariance")
