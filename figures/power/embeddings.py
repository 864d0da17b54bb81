"""t-SNE of the rows of the output layer: the number line of x+y, and the cosets of permutations.

After figure 3 of Power et al. 2022, drawn from experiments/power/embeddings.py: with weight decay on the left,
without on the right, one seed each. For x+y each number is a point, and lines join x to x+k, the k that makes
neighbours of them, coloured by x mod k as the source does. For permutations the colours are the cosets, of the named
subgroup or a conjugate, that fit best. Above each panel is what was measured of the seed shown, the first, and of all
seeds; p-values are against random orders of the numbers, or random partitions of the permutations."""

import matplotlib.pyplot as plt
import numpy as np

import grokjax as gj
from grokjax import results
from grokjax.cli import show
from grokjax.figures.power.least import wanting
from grokjax.plot.panels import arms, panel_grid, with_axis

MARKS = "os^Dv"


def draw(grid):
    """The figure."""
    found = {id: (label, cell) for id, label, cell in arms(with_axis(grid, "seed"))}
    figure, axes = panel_grid(2, 2, width=4.8, height=4.8)
    for line, task in zip(axes, ("add", "permutations"), strict=True):
        for ax, decay in zip(line, ("decay", "none"), strict=True):
            label, cell = found.get(f"{task}-{decay}", ("", None))
            if cell is None:
                ax.set_visible(False)
            elif "tsne" not in cell or cell["tsne"].isnull().all():
                wanting(ax, "power/embeddings")
                ax.set_title(label)
            else:
                (_line if task == "add" else _cosets)(ax, cell.squeeze("variant"), label)
    return figure


def _first(cell):
    """The first seed that was measured."""
    measured = cell["tsne"].notnull().any(["element", "component"])
    return cell.isel(seed=int(measured.values.argmax()))


def _points(ax, run) -> np.ndarray:
    points = run["tsne"].values
    points = points[~np.isnan(points).any(-1)]
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")  # so that titles of a row stand at one height
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return points


def _line(ax, cell, label: str) -> None:
    """Numbers, joined along the line on which they lie."""
    run = _first(cell)
    points = _points(ax, run)
    modulus, step = len(points), run["line_step"].item()
    step = 1 if np.isnan(step) else int(step)
    colors = plt.get_cmap("viridis")(np.arange(step) / max(step, 1))
    for x in range(modulus):
        ends = points[[x, (x + step) % modulus]]
        ax.plot(*ends.T, color=colors[x % step], lw=1.2, zorder=1)
        ax.text(*points[x], str(x), ha="center", va="center", fontsize=7, zorder=3)
    ax.scatter(*points.T, s=120, color="white", zorder=2)
    line = _measured(cell, run, "line_correlation", "correlation with the line", "line_p")
    power = _measured(cell, run, "top_share", "share of the top frequency in the power")
    _title(ax, label, run, f"lines join x and x+{step}", *line, *power)


def _cosets(ax, cell, label: str) -> None:
    """Permutations, coloured by the coset in which they lie."""
    run = _first(cell)
    points = _points(ax, run)
    cosets = run["coset"].values[: len(points)].astype(int)
    number = cosets.max() + 1
    for coset in range(number):
        look = dict(
            color=gj.plot.OTHERS[coset % len(gj.plot.OTHERS)], marker=MARKS[coset // len(gj.plot.OTHERS) % len(MARKS)]
        )
        ax.scatter(*points[cosets == coset].T, s=26, **look)
    _title(ax, label, run, f"{number} cosets", *_measured(cell, run, "coset_silhouette", "silhouette", "coset_p"))


def _title(ax, label: str, run, first: str, *lines: str) -> None:
    """The arm, the seed that is shown, and what was measured."""
    ax.set_title("\n".join([label, f"shown: seed {run['seed'].item()}; {first}", *lines]), fontsize=9)


def _measured(cell, run, name: str, called: str, p_value: str | None = None) -> list[str]:
    """A measure of the run that is shown and, of several seeds, its median and range and how many have p < .05."""
    tested = f", p = {run[p_value].item():.2g}" if p_value else ""
    lines = [f"{called} {run[name].item():.2g}{tested}"]
    known = cell[name].values[cell[name].notnull().values]
    if len(known) > 1:
        passed = f", p < .05 in {int((cell[p_value] < 0.05).sum())}" if p_value else ""
        spread = f"median {results.median(known):.2g}, range {known.min():.2g} to {known.max():.2g}"
        lines.append(f"{len(known)} seeds: {spread}{passed}")
    return lines


if __name__ == "__main__":
    show("power/embeddings")
