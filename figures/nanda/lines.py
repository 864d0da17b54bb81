"""What the figures of the NANDA study on digits and sequences share: curves of runs by any name, and their axes."""

import json

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from grokjax import results
from grokjax.plot import COLORS, EDGE, step_axis
from grokjax.plot.panels import along, count, label_of, ran

ENTRY_INCHES = 1.9
"""Width of an entry of the legend, about."""

NAMES = {"train": "training rows", "val": "rows not trained on"}


def arms(grid) -> list[tuple[str, str, object]]:
    """Id, label and runs of each arm that ran; of a grid without arms, of the whole."""
    if "variant" not in grid.coords:
        return [("", "", grid)]
    found = []
    for where in along(grid, *(["variant"] if "variant" in grid.dims else [])):
        cell = grid.sel({name: [value] for name, value in where.items()})
        found.append((str(cell["variant"].values.ravel()[0]), str(cell[label_of(cell)].values.ravel()[0]), cell))
    return found


def setting(cell, name: str):
    """A setting that all runs of a cell share, be it a coordinate or not."""
    if name in cell.coords:
        return cell[name].values.ravel()[0].item()
    return json.loads(cell.attrs["meta"])["config"][name]


def drawn(ax, cell, name: str, color, label: str | None = None) -> None:
    """One curve of every run, thin up to its last step, and the median, bold; nothing where no run has it."""
    if name not in cell or not ran(cell):
        return
    cell = results.filled(cell, name)
    dims = cell["status"].dims
    known = cell["status"].values.ravel() != "not run"
    lines = cell[name].transpose(*dims, "step").values.reshape(known.size, -1)[known]
    ends, step = cell["last_step"].values.ravel()[known], cell["step"].values
    if np.isnan(lines).all():
        return
    if len(lines) > 1:
        for line, end in zip(lines, ends, strict=True):
            ax.plot(step[step <= end], line[step <= end], color=color, lw=0.5, alpha=0.4)
    shown = step <= ends.max()
    ax.plot(step[shown], results.median(lines, 0)[shown], color=color, lw=1.8, label=label)


def steps_of(ax, cell, log: bool) -> None:
    """The axis of steps, up to the last one of the cell: logarithmic for finite data, linear for endless."""
    step = cell["step"].values
    last = np.nanmax(cell["last_step"].values)
    if log:
        step_axis(ax, "x", step[step <= last])
    else:
        ax.set_xlim(0, last)
    ax.set_xlabel("step")


def guessing(ax, nats: float) -> None:
    """A dashed line at the loss of the best guess."""
    ax.axhline(nats, color=EDGE, lw=0.9, ls="--", zorder=1)


def losses(ax, cell, label: str, endless: bool) -> None:
    """Training and test loss of one arm; of endless data there is only the latter."""
    for part in ("val",) if endless else ("train", "val"):
        drawn(ax, cell, f"{part}_loss", COLORS[part])
    steps_of(ax, cell, log=not endless)
    ax.set_title(f"{label} ({count(cell)})")


def key(figure, several: bool, *more: tuple[str, dict]) -> None:
    """One legend below all panels, of what they show."""
    colors = {to_hex(line.get_color()) for ax in figure.axes for line in ax.get_lines()}
    shown = {part: label for part, label in NAMES.items() if to_hex(COLORS[part]) in colors}
    handles = [Line2D([], [], color=COLORS[part], lw=1.8, label=label) for part, label in shown.items()]
    if several:
        handles += [
            Line2D([], [], color=EDGE, lw=1.8, label="median"),
            Line2D([], [], color=EDGE, lw=0.5, label="one run"),
        ]
    handles += [Line2D([], [], label=label, **look) for label, look in more]
    columns = int(figure.get_figwidth() / ENTRY_INCHES)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), columns))


GUESS = ("best guess without reading", dict(color=EDGE, lw=0.9, ls="--"))
"""What `guessing` draws, for `key`."""
