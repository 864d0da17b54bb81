"""How much doubling each group of weights changes the answers, and the loss along rays and circles through the origin.

After figure 2 of Melnik, Yuzhakov and Vetrov, drawn from experiments/melnik/scale_invariance.py. Bars: the change of
log p(y|x) at the last parameters, the geometric mean over runs, with a dot for each; grey, that of a random change of
the same size. Below, the training loss of the first seed's network over the plane of trained weights and a random
direction, in one scale of colours for a row: a ray is a vertical line, along which the loss of scale-invariant weights
does not change. A star is the trained network.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

import grokjax as gj
from grokjax.cli import show
from grokjax.experiments.melnik.arms import GROUPS, PLANES
from grokjax.plot.panels import arms, count, panel_grid

RANDOM = "#BBBBBB"
TRAINED = dict(marker="*", ms=11, ls="none", color="white", mec="black", mew=0.8)


def draw(grid):
    """The figure."""
    found = arms(grid)
    cells = [cell if _measured(cell) else None for _, _, cell in found]
    figure, axes = panel_grid(1 + len(PLANES), len(found), width=4.4, height=3.2)
    for ax, (_, label, cell) in zip(axes[0], found, strict=True):
        title = label.replace(" inside", "\ninside").replace(" and\n", "\nand ")
        ax.set_title(f"{title} ({count(cell)})", pad=18)
    for column, cell in enumerate(cells):
        if cell is None:
            for ax in axes[:, column]:
                _unmeasured(ax)
    _bars_of_arms(axes[0], cells)
    for row, name in enumerate(PLANES):
        _planes(axes[1 + row], [None if cell is None else cell.isel(plane=row) for cell in cells], GROUPS[name])
    if any(cell is not None for cell in cells):
        figure.legend(handles=[Line2D([], [], label="the trained network", **TRAINED)], loc="outside lower center")
    return figure


def _measured(cell) -> bool:
    return "change" in cell and bool(np.isfinite(cell["change"].values).any())


def _bars_of_arms(axes, cells) -> None:
    """The bars of each arm, on one scale; every group that some arm has is a row."""
    pairs = [(ax, _changes(cell)) for ax, cell in zip(axes, cells, strict=True) if cell is not None]
    shown = [i for i in range(len(GROUPS)) if any(np.isfinite(changes[0][i]).any() for _, changes in pairs)]
    for ax, changes in pairs:
        _bars(ax, [values[shown] for values in changes])
        ax.set_yticks(np.arange(len(shown)), [list(GROUPS.values())[i] for i in shown])
        ax.tick_params(labelleft=ax is pairs[0][0])
    right = max((ax.get_xlim()[1] for ax, _ in pairs), default=1.0)
    for ax, _ in pairs:
        ax.set_xlim(FLOOR / 2, right)


def _changes(cell) -> list[np.ndarray]:
    """[groups, runs] twice: the change of the answers by doubling, and by a random move of the same size."""
    last = cell.isel(moment=-1)
    return [last[name].transpose("group", ...).values.reshape(len(GROUPS), -1) for name in ("change", "random_change")]


def _bars(ax: Axes, changes: list[np.ndarray]) -> None:
    at = np.arange(len(changes[0]))
    for values, color, shift, label in zip(
        changes, (gj.plot.COLORS["train"], RANDOM), (-0.2, 0.2), ("doubled", "moved at random by as much"), strict=True
    ):
        values = np.maximum(values, FLOOR)
        has = np.isfinite(values).any(1)  # an arm may lack a group
        means = np.exp(np.nanmean(np.log(values[has]), 1))
        ax.barh(at[has] + shift, means, 0.4, color=color, label=label, left=FLOOR / 10)
        ax.plot(values, np.repeat(at[:, None] + shift, values.shape[1], 1), "o", color="#000000", ms=2.5, mew=0)
    ax.set_xscale("log")
    ax.set_ylim(len(at) - 0.5, -0.5)
    ax.set_xlabel("change of log p(y|x) (nats)")
    ax.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2)


FLOOR = 1e-8
"""Changes below it are drawn at it."""


def _planes(axes, cells, title: str) -> None:
    """The plane of each arm, all in one scale of colours, whose bar stands at the end of the row."""
    losses = [None if cell is None else _log_loss(cell["plane_loss"]) for cell in cells]
    known = [loss for loss in losses if loss is not None]
    norm = Normalize(min(loss.min() for loss in known), max(loss.max() for loss in known)) if known else None
    for ax, cell, loss in zip(axes, cells, losses, strict=True):
        if loss is not None:
            picture = _plane(ax, cell, loss, norm, title)
        elif cell is not None:
            _message(ax, "no weights are declared\nscale-invariant")
    if known:
        axes[0].figure.colorbar(picture, ax=list(axes), label="log10 training loss (nats)", aspect=25)


def _log_loss(loss) -> np.ndarray | None:
    """[radius, angle], log10 of the loss of the first run that has a plane; None if none has."""
    loss = loss.stack(run=[d for d in loss.dims if d not in ("radius", "angle")]).transpose("run", "radius", "angle")
    measured = [run for run in loss.values if np.isfinite(run).all()]
    return np.log10(measured[0]) if measured else None


def _plane(ax: Axes, cell, loss: np.ndarray, norm: Normalize, title: str):
    radius, angle = np.log2(cell["radius"].values), np.degrees(cell["angle"].values)
    picture = ax.pcolormesh(angle, radius, loss, shading="nearest", cmap="viridis", norm=norm, rasterized=True)
    ax.plot(0, 0, **TRAINED)
    ax.set_title(f"scaled: {title}")
    ax.set_xticks([-180, -90, 0, 90, 180])
    powers = np.arange(np.ceil(radius.min()), np.floor(radius.max()) + 1)
    ax.set_yticks(powers, [f"{2.0**power:g}" for power in powers])
    ax.set(xlabel="angle from the trained weights (degrees)", ylabel=r"scale $|\theta|/|\theta_{trained}|$")
    ax.grid(False)
    return picture


def _unmeasured(ax: Axes) -> None:
    _message(ax, "not measured yet:\nthe command that trains these runs\nalso measures them once it has ended")


def _message(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


if __name__ == "__main__":
    show("melnik/scale_invariance")
