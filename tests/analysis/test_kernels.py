"""The tangent kernel against closed forms and finite differences; what is read off a kernel against definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.analysis import kernels

RANDOM = np.random.default_rng(0)


def test_the_kernel_of_a_linear_model_is_that_of_its_inputs():
    x = RANDOM.normal(size=(5, 3)).astype(np.float32)
    params = {"w": np.zeros((3, 4), np.float32), "b": np.ones(4, np.float32)}
    found = kernels.tangent_kernel(lambda p, x: x @ p["w"] + p["b"], params, x)
    np.testing.assert_allclose(found, 4 * (x @ x.T + 1), rtol=1e-5)


def test_the_kernel_of_a_network_is_that_of_finite_differences():
    shapes = dict(inner=(2, 4), bias=(4,), outer=(4, 3))
    params = {name: RANDOM.normal(size=shape) for name, shape in shapes.items()}
    x = RANDOM.normal(size=(6, 2))

    def network(p, x, xp):
        return xp.tanh(x @ p["inner"] + p["bias"]) @ p["outer"]

    jacobian = []  # [weights, rows, outputs], in float64
    for name, value in params.items():
        for place in np.ndindex(value.shape):
            ends = []
            for reach in (1e-5, -1e-5):
                moved = value.copy()
                moved[place] += reach
                ends.append(network(params | {name: moved}, x, np))
            jacobian.append((ends[0] - ends[1]) / 2e-5)
    expected = np.einsum("wic,wjc->ij", jacobian, jacobian)
    single = {name: value.astype(np.float32) for name, value in params.items()}
    found = kernels.tangent_kernel(lambda p, x: network(p, x, jnp), single, x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.linalg.eigvalsh(found).min() > -1e-4


def test_the_effective_rank_counts_equal_eigenvalues_and_lies_between_for_others():
    assert kernels.effective_rank(3 * np.eye(7)) == pytest.approx(7)
    assert kernels.effective_rank(np.ones((5, 5))) == pytest.approx(1)
    assert kernels.effective_rank(np.diag([0.5, 0.25, 0.25])) == pytest.approx(2**1.5)  # of entropy 1.5 bits


def test_the_alignment_with_the_labels_is_that_of_atanasov_et_al():
    features = RANDOM.normal(size=(6, 9))
    kernel, y = features @ features.T, np.array([1.0, -1, 1, 1, -1, 1])
    expected = y @ kernel @ y / (np.linalg.norm(kernel) * y @ y)
    assert kernels.alignment(kernel, np.outer(y, y)) == pytest.approx(expected)
    assert kernels.alignment(kernel, 5 * kernel) == pytest.approx(1)
    assert kernels.alignment(np.diag([1.0, 0, 0]), np.diag([0.0, 1, 1])) == 0


def test_the_label_kernel_is_the_product_of_one_hot_labels():
    labels = np.array([2, 0, 2, 1])
    one_hot = np.eye(3)[labels]
    np.testing.assert_array_equal(kernels.label_kernel(labels), one_hot @ one_hot.T)


def test_a_centred_kernel_is_that_of_features_less_their_mean():
    features = RANDOM.normal(size=(6, 4)) + 3
    middle = features - features.mean(0)
    np.testing.assert_allclose(kernels.centred(features @ features.T), middle @ middle.T, atol=1e-12)
