"""t-SNE of the rows of the output layer: the number line of x+y, and the cosets of permutations.

After figure 3 of Power et al. 2022, drawn from experiments/power/embeddings.py: with weight decay on the left,
without on the right, one seed each. For x+y each number is a point, and lines join x to x+k, the k that makes
neighbours of them, coloured by x mod k as the source does. For permutations the colours are the cosets, of the named
subgroup or a conjugate, that fit best. Above each panel what was measured of all its seeds."""

import math

import matplotlib.pyplot as plt
import numpy as np

import grokjax as gj
from grokjax.cli import show
from grokjax.figures.power.least import wanting
from grokjax.plot.panels import arms, panel_grid

MARKS = "os^Dv"


def draw(grid):
    """The figure."""
    found = {id: (label, cell) for id, label, cell in arms(grid)}
    figure, axes = panel_grid(2, 2, width=4.6, height=4.4)
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
    if "seed" not in cell.dims:
        return cell
    measured = cell["tsne"].notnull().any(["element", "component"])
    return cell.isel(seed=int(measured.values.argmax()))


def _points(ax, run) -> np.ndarray:
    points = run["tsne"].values
    points = points[~np.isnan(points).any(-1)]
    ax.set(xticks=[], yticks=[], aspect="equal")
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
    share, correlation = (_range(cell[name]) for name in ("top_share", "line_correlation"))
    ax.set_title(
        f"{label}\nlines join x and x+{step}; correlation with the line {correlation},\ntop frequency {share} of power"
    )


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
    silhouette, p_value = _range(cell["coset_silhouette"]), _range(cell["coset_p"])
    ax.set_title(f"{label}\n{number} cosets: silhouette {silhouette},\np against random partitions {p_value}")


def _range(values) -> str:
    """'0.21 to 0.34' over seeds, or the one number."""
    known = values.values[~np.isnan(values.values)]
    low, high = (f"{end:.2g}" for end in (known.min(initial=math.inf), known.max(initial=-math.inf)))
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    show("power/embeddings")
