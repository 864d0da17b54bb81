"""What is measured of trained networks of the POWER study, by `grokjax.measure`."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from grokjax.analysis import cosets, embeddings, groups
from grokjax.analysis.sharpness import sharpness, top_eigenvalue
from grokjax.live import LiveRun

NAMED = {5: cosets.POWERS, 4: (((0, 1), (2, 3)), ((0, 2), (1, 3)))}
"""Generators of the subgroup whose cosets are looked for, by n of S_n: for S5 those that the source names; for S4,
where those do not exist, the double transpositions of Klein's group."""

PERPLEXITY = 30.0


def sharpness_of(snapshots: Sequence[LiveRun]) -> xr.Dataset:
    """Keskar et al.'s sharpness of the training loss at the end of a run, its directions drawn by the run's seed."""
    run = snapshots[-1]
    loss = _training_loss(run)
    return xr.Dataset({"sharpness": _named(sharpness(loss, run.params, run.config.seed), "sharpness", "%")})


def sharpness_and_curvature(snapshots: Sequence[LiveRun]) -> xr.Dataset:
    """The same, and the top eigenvalue of the Hessian."""
    run = snapshots[-1]
    found = top_eigenvalue(_training_loss(run), run.params, run.config.seed, iterations=50, tolerance=1e-2)
    return sharpness_of(snapshots).assign(
        top_eigenvalue=_named(found.value, "top eigenvalue of the Hessian"),
        top_eigenvalue_residual=_named(found.residual, "residual of the top eigenvalue"),
    )


def picture(snapshots: Sequence[LiveRun]) -> xr.Dataset:
    """The rows of the output layer in two dimensions, and how well they lie along a number line or in cosets."""
    run = snapshots[-1]
    rows = np.asarray(run.params["output"], np.float64).T  # [classes, width]
    task, seed = run.config.task, run.config.seed
    return in_cosets(rows, task.degree, seed) if hasattr(task, "degree") else on_a_line(rows, task.modulus, seed)


def on_a_line(rows: Float[np.ndarray, "classes width"], modulus: int, seed: int) -> xr.Dataset:
    """The picture of the rows of residues, and the number line through it.

    Args:
      rows: of the output layer, the numbers first.
      modulus: how many numbers there are.
      seed: of t-SNE and of the random orders.
    """
    points = _points(rows[:modulus], seed)
    line = embeddings.number_line(points.values, seed)
    shares = embeddings.power_shares(rows, groups.cyclic(modulus))
    return xr.Dataset(
        {
            "tsne": points,
            "line_correlation": _named(line.correlation, "circular correlation with the number line"),
            "line_step": _named(np.nan if line.step is None else line.step, "step of the number line"),
            "line_p": _named(line.p_value, "p-value of the number line"),
            "top_share": _named(float(shares.max()), "share of power in the top frequency"),
        }
    )


def in_cosets(rows: Float[np.ndarray, "classes width"], degree: int, seed: int) -> xr.Dataset:
    """The picture of the rows of permutations, and the cosets of the named subgroup or a conjugate that fit best.

    Args:
      rows: of the output layer, the permutations first.
      degree: n of S_n.
      seed: of t-SNE and of the random partitions.
    """
    rows = rows[: len(cosets.elements(degree))]
    partitions = {
        cosets.cosets(members, degree, left).tobytes(): cosets.cosets(members, degree, left)
        for members in cosets.conjugates(cosets.subgroup(NAMED[degree], degree), degree)
        for left in (True, False)
    }
    found = [(cosets.clustering(rows, labels, seed), labels) for labels in partitions.values()]
    best, labels = max(found, key=lambda one: one[0].silhouette - one[0].expected)
    return xr.Dataset(
        {
            "tsne": _points(rows, seed),
            "coset": ("element", labels.astype(np.float64)),
            "coset_silhouette": _named(best.silhouette, "silhouette of cosets"),
            "coset_excess": _named(
                best.silhouette - best.expected, "silhouette of cosets less that of random partitions"
            ),
            "coset_p": _named(min(1.0, best.p_value * len(found)), "p-value of cosets, corrected"),
        }
    )


def _points(rows: np.ndarray, seed: int) -> xr.DataArray:
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    return xr.DataArray(embeddings.tsne(rows, seed, perplexity), dims=("element", "component"))


def _training_loss(run: LiveRun):
    return lambda params: run.loss(params, dtype="float64")


def _named(value: float, long_name: str, units: str = "1") -> xr.DataArray:
    return xr.DataArray(value, attrs={"long_name": long_name, "units": units})
