import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax import losses

EPSILON = float(np.finfo(np.float32).eps)


def direct(logits, labels):
    """[batch] in float64, one number at a time."""
    rows = []
    for row, right in zip(np.asarray(logits, np.float64), np.asarray(labels), strict=True):
        terms = []
        for z, label in zip(row, right, strict=True):
            top = max(z)
            terms.append(math.log(sum(math.exp(v - top) for v in z)) + top - z[label])
        rows.append(sum(terms) / len(terms))
    return np.array(rows)


def example(answers, classes=7, batch=20, scale=3.0):
    random = np.random.default_rng(answers)
    logits = (scale * random.normal(size=(batch, answers, classes))).astype(np.float32)
    return logits, random.integers(0, classes, (batch, answers)).astype(np.int32)


@pytest.mark.parametrize("answers", [1, 2, 6])
def test_cross_entropy_is_the_negative_log_likelihood_averaged_over_answers(answers):
    logits, labels = example(answers)
    loss = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    expected = direct(logits, labels)
    assert loss.shape == (20,)
    np.testing.assert_allclose(loss, expected, rtol=0, atol=20 * EPSILON * np.abs(logits).max())


def test_cross_entropy_of_equal_logits_is_the_log_of_the_classes():
    loss = losses.cross_entropy(jnp.zeros((3, 2, 11)), jnp.array([[0, 5], [10, 1], [2, 2]]))
    np.testing.assert_allclose(loss, np.full(3, math.log(11)), rtol=4 * EPSILON)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_give_finite_losses_and_gradients(size):
    logits = jnp.array([[[size, -size, 0.0]], [[size, -size, 0.0]]], jnp.float32)
    labels = jnp.array([[0], [1]])
    loss = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, [0.0, 2 * size], rtol=EPSILON)
    gradient = jax.grad(lambda z: losses.cross_entropy(z, labels).sum())(logits)
    np.testing.assert_array_equal(gradient, [[[0, 0, 0]], [[1, -1, 0]]])


@pytest.mark.parametrize("answers", [1, 2])
def test_the_gradient_is_the_softmax_less_the_right_answer(answers):
    logits, labels = example(answers)
    gradient = jax.grad(lambda z: losses.cross_entropy(z, jnp.asarray(labels)).sum())(jnp.asarray(logits))
    powers = np.exp(logits.astype(np.float64))
    expected = (powers / powers.sum(-1, keepdims=True) - np.eye(7)[labels]) / answers
    np.testing.assert_allclose(gradient, expected, atol=20 * EPSILON * np.abs(logits).max())


@pytest.mark.parametrize("answers", [1, 2, 3])
def test_a_row_is_right_if_all_its_answers_are(answers):
    logits, labels = example(answers, classes=2, batch=200)
    expected = [
        float(all(max(range(2), key=lambda c: z[c]) == label for z, label in zip(row, right, strict=True)))
        for row, right in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    found = losses.accuracy(jnp.asarray(logits), jnp.asarray(labels))
    assert 0 < sum(expected) < 200
    assert found.tolist() == expected
    assert found.dtype == jnp.float32


def test_ties_go_to_the_lower_class():
    tied = jnp.array([[[0.0, 1.0, 1.0]]] * 3)
    assert losses.accuracy(tied, jnp.array([[0], [1], [2]])).tolist() == [0.0, 1.0, 0.0]


def test_the_weighted_mean_leaves_out_what_has_no_weight():
    values, weights = jnp.array([1.0, 100.0, 3.0, -7.0]), jnp.array([1.0, 0.0, 1.0, 0.0])
    assert losses.weighted_mean(values, weights) == 2.0
