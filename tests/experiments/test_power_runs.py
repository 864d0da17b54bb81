"""The measured experiments of the POWER study: planted pictures are found, and a real run goes on to its figure."""

import numpy as np
import pytest

from grokjax import results
from grokjax.analysis import cosets
from grokjax.cli import drawing, run
from grokjax.experiments.power import measures
from grokjax.study import find

TINY = ["--num_layers=1", "--width=8", "--num_heads=1", "--steps=4", "--eval_at=every:2", "--num_devices=1"]


def ended(name, folder, *arguments):
    """The result, with its measures, of a tiny run of an experiment's quick preset, which is also drawn."""
    path = folder / f"{name}-quick.npz"
    run(find(f"power/{name}"), [name, *TINY, f"--out={path}", *arguments])
    assert drawing.drawn(f"power/{name}", path, path.with_suffix(".png")).stat().st_size > 10_000
    return results.with_measures(path)


def test_a_planted_circle_is_found_with_its_step():
    x = np.arange(31)
    planted = np.stack([np.cos(2 * np.pi * 4 * x / 31), np.sin(2 * np.pi * 4 * x / 31)], axis=1)
    rows = np.concatenate([planted, np.ones((2, 2))])  # and two symbols
    found = measures.on_a_line(rows, 31, seed=0)
    assert found["tsne"].shape == (31, 2)
    assert float(found["line_correlation"]) > 0.9 and float(found["line_p"]) < 0.01
    assert int(found["line_step"]) == 8 and float(found["top_share"]) == pytest.approx(1)


@pytest.mark.parametrize("degree", [4, 5])
def test_planted_cosets_are_found(degree):
    members = cosets.conjugates(cosets.subgroup(measures.NAMED[degree], degree), degree)[-1]
    labels = cosets.cosets(members, degree, left=False)
    rng = np.random.default_rng(0)
    rows = np.eye(labels.max() + 1)[labels] + 0.05 * rng.standard_normal((len(labels), labels.max() + 1))
    found = measures.in_cosets(rows, degree, seed=0)
    np.testing.assert_array_equal(found["coset"], labels)
    assert float(found["coset_excess"]) > 0.5 and float(found["coset_p"]) < 0.05
    noise = measures.in_cosets(rng.standard_normal(rows.shape), degree, seed=0)
    assert abs(float(noise["coset_excess"])) < 0.1


def test_the_output_layers_of_trained_networks_are_measured_and_drawn(tmp_path):
    grid = ended("embeddings", tmp_path, "--variant=add-decay; permutations-decay")
    add, permutations = (grid.sel(variant=[f"{task}-decay"]) for task in ("add", "permutations"))
    assert add["tsne"].notnull().sum() == 2 * 31 and permutations["tsne"].notnull().sum() == 2 * 24
    assert add["coset_p"].isnull().all() and 0 < permutations["coset_p"].item() <= 1


def test_sharpness_and_curvature_are_measured_and_drawn(tmp_path):
    grid = ended("sharpness", tmp_path, "--num_seeds=4")
    assert (grid["sharpness"] > 0).all() and np.isfinite(grid["top_eigenvalue"]).all()
    assert len(np.unique(grid["sharpness"])) == 4


def test_probes_of_a_bisection_are_measured_and_drawn(tmp_path):
    arguments = ("--variant=full-batch; adam; decay", "--train_fraction=0.5,0.6")
    grid = ended("regularisation", tmp_path, *arguments)
    ran = grid["status"] != "not run"
    assert ran.sum() == 6 and (grid["sharpness"].notnull() == ran).all()
