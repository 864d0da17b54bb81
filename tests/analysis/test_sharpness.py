"""Sharpness and the top eigenvalue on losses whose answers are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax import losses
from grokjax.analysis.sharpness import sharpness, top_eigenvalue
from grokjax.models import Decoder, fitted
from grokjax.tasks import modular

REACH = 1e-3


def subspace(x, seed, directions):
    """The random rows that a seed gives, their pseudo-inverse and the box, derived once more."""
    rows = np.random.default_rng(seed).standard_normal((directions, len(x)))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return np.linalg.pinv(rows), REACH * (np.abs(rows @ x) + 1)


def quadratic(matrix):
    return lambda params: 0.5 * params["x"] @ jnp.asarray(matrix) @ params["x"]


def test_the_sharpness_of_a_slope_is_that_of_the_boxs_best_corner():
    slope, x = np.linspace(-1, 2, 30), np.linspace(3, -1, 30)
    spread, box = subspace(x, 5, 10)
    value = slope @ x + 50
    expected = 100 * np.abs(slope @ spread) @ box / (1 + value)
    found = sharpness(lambda p: jnp.asarray(slope) @ p["x"] + 50, {"x": x}, seed=5)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sharpness_of_a_quadratic_at_its_minimum_is_that_of_the_boxs_best_corner(seed):
    matrix = np.diag(np.linspace(1, 50, 40))
    x = np.zeros(40)
    spread, box = subspace(x, seed, 3)
    corners = np.array(list(itertools.product((-1, 1), repeat=3))) * box
    values = 0.5 * np.einsum("ci,ij,cj->c", corners @ spread.T, matrix, corners @ spread.T)
    found = sharpness(quadratic(matrix), {"x": x}, seed=seed, directions=3, iterations=30)
    # Every corner is a local maximum if the box is nearly one of the axes; the best is found, or one nearly as good.
    assert 0.8 * 100 * values.max() < found <= 100 * values.max() * (1 + 1e-9)


def test_along_one_direction_the_sharpness_is_closed():
    x = np.array([0.3, -0.2, 0.5])
    spread, box = subspace(x, 1, 1)
    ends = [0.5 * 7 * np.sum((x + sign * box[0] * spread[:, 0]) ** 2) for sign in (-1, 1)]
    before = 0.5 * 7 * x @ x
    found = sharpness(quadratic(7 * np.eye(3)), {"x": x}, seed=1, directions=1)
    assert found == pytest.approx(100 * (max(ends) - before) / (1 + before), rel=1e-6)


def test_a_sharper_minimum_is_sharper_and_each_seed_has_its_directions():
    x = {"x": np.zeros(100)}
    flat, sharp = (sharpness(quadratic(c * np.eye(100)), x, seed=0) for c in (1.0, 10.0))
    assert sharp == pytest.approx(10 * flat, rel=1e-6)
    matrix = np.diag(np.linspace(0, 5, 100))
    assert len({sharpness(quadratic(matrix), x, seed=seed) for seed in range(3)}) == 3


def symmetric(eigenvalues, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
    return basis @ np.diag(eigenvalues) @ basis.T


def test_the_top_eigenvalue_is_the_planted_one():
    found = top_eigenvalue(quadratic(symmetric([5, 3, 1, -2, 0.1])), {"x": np.ones(5)}, seed=0, tolerance=1e-6)
    assert found.value == pytest.approx(5, rel=1e-9) and found.residual < 1e-5


def test_a_larger_negative_eigenvalue_does_not_pass_for_the_top_one():
    found = top_eigenvalue(quadratic(symmetric([-9, 3, 1, 0, 2])), {"x": np.ones(5)}, seed=0, tolerance=1e-6)
    assert found.value == pytest.approx(3, rel=1e-6)
    below = top_eigenvalue(quadratic(symmetric([-9, -3, -1.0])), {"x": np.ones(3)}, seed=0, tolerance=1e-6)
    assert below.value == pytest.approx(-1, rel=1e-6)


def test_both_work_on_a_decoder_and_its_own_gradients():
    table = modular("add", 5).table()
    model = fitted(Decoder(num_layers=1, width=4, num_heads=2, mlp_width=4), table)
    tokens, labels = jnp.asarray(table.inputs), jnp.asarray(table.labels)
    params = jax.jit(model.init)(jax.random.key(0), tokens)["params"]

    def loss(params):
        return losses.cross_entropy(model.apply({"params": params}, tokens), labels).mean()

    assert 0 < sharpness(loss, params, seed=0) < 10
    found = top_eigenvalue(loss, params, seed=0, iterations=20)
    assert found.value > 0 and found.products == 20
