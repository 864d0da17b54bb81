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
    loss = losses.row_loss(losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels)), jnp.asarray(labels))
    expected = direct(logits, labels)
    assert loss.shape == (20,)
    np.testing.assert_allclose(loss, expected, rtol=0, atol=20 * EPSILON * np.abs(logits).max())


def test_cross_entropy_of_equal_logits_is_the_log_of_the_classes():
    loss = losses.cross_entropy(jnp.zeros((3, 2, 11)), jnp.array([[0, 5], [10, 1], [2, 2]]))
    np.testing.assert_allclose(loss, np.full((3, 2), math.log(11)), rtol=4 * EPSILON)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_give_finite_losses_and_gradients(size):
    logits = jnp.array([[[size, -size, 0.0]], [[size, -size, 0.0]]], jnp.float32)
    labels = jnp.array([[0], [1]])
    loss = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, [[0.0], [2 * size]], rtol=EPSILON)
    gradient = jax.grad(lambda z: losses.cross_entropy(z, labels).sum())(logits)
    np.testing.assert_array_equal(gradient, [[[0, 0, 0]], [[1, -1, 0]]])


@pytest.mark.parametrize("answers", [1, 2])
def test_the_gradient_is_the_softmax_less_the_right_answer(answers):
    logits, labels = example(answers)
    labels = jnp.asarray(labels)
    gradient = jax.grad(lambda z: losses.row_loss(losses.cross_entropy(z, labels), labels).sum())(jnp.asarray(logits))
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
    labels = jnp.asarray(labels)
    found = losses.row_accuracy(losses.correct(jnp.asarray(logits), labels), labels)
    assert 0 < sum(expected) < 200
    assert found.tolist() == expected
    assert found.dtype == jnp.float32


def test_ties_go_to_the_lower_class():
    tied = jnp.array([[[0.0, 1.0, 1.0]]] * 3)
    assert losses.correct(tied, jnp.array([[0], [1], [2]])).tolist() == [[False], [True], [False]]


def test_a_logit_that_is_no_number_is_not_right():
    logits = jnp.array([[[jnp.nan, 1.0, 0.0]], [[2.0, 1.0, 0.0]]])
    assert losses.correct(logits, jnp.array([[0], [0]])).tolist() == [[False], [True]]


def test_what_has_no_weight_may_be_infinite_or_no_number():
    values = jnp.array([1.0, jnp.inf, jnp.nan, 3.0])
    assert losses.weighted_mean(values, jnp.array([1.0, 0.0, 0.0, 1.0])) == 2.0


def test_the_squared_error_is_the_mean_over_classes_against_one_hot_labels():
    logits, labels = example(2)
    found = losses.mse(jnp.asarray(logits), jnp.asarray(labels))
    expected = ((np.float64(logits) - np.eye(7)[labels]) ** 2).sum(-1) / 7
    np.testing.assert_allclose(found, expected, rtol=20 * EPSILON)


def test_the_squared_error_of_targets_is_that_of_the_outputs_and_all_are_scored():
    logits, targets = jnp.array([[[1.0], [2.0]], [[-1.0], [0.5]]]), jnp.array([[-1.0, 2.0], [1.0, 0.0]])
    lost = losses.answer_losses(logits, targets, "mse")
    assert lost.tolist() == losses.answer_losses(logits, targets, "mse", "float64").tolist() == [[4, 0], [4, 0.25]]
    assert losses.row_loss(lost, targets).tolist() == [2.0, 2.125]
    absolute = losses.answer_losses(logits, targets, lambda z, y: jnp.abs(z[..., 0] - y), "float64")
    assert absolute.tolist() == [[2, 0], [2, 0.5]] and absolute.dtype == jnp.float32


def test_a_row_of_targets_is_right_if_each_is_within_the_tolerance():
    logits, targets = jnp.array([[[1.0], [2.0]], [[1.5], [2.0]], [[jnp.nan], [2.0]]]), jnp.array([[1.25, 2.25]] * 3)
    right = losses.correct(logits, targets, jnp.float32(0.25))
    assert right.tolist() == [[True, True], [True, True], [False, True]]
    assert losses.row_accuracy(right, targets).tolist() == [1.0, 1.0, 0.0]
    assert losses.correct(logits, targets, jnp.float32(0.24)).tolist() == [[False, False], [False, False]] + [
        [False] * 2
    ]


def test_the_weighted_mean_leaves_out_what_has_no_weight():
    values, weights = jnp.array([1.0, 100.0, 3.0, -7.0]), jnp.array([1.0, 0.0, 1.0, 0.0])
    assert losses.weighted_mean(values, weights) == 2.0
    assert np.isnan(losses.weighted_mean(values, jnp.zeros(4)))


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_an_answer_that_is_not_scored_has_no_loss_no_gradient_and_no_say(loss):
    logits, labels = (jnp.asarray(x) for x in example(3))
    some = labels.at[:, 1].set(-1)

    def mean(z, labels):
        return losses.row_loss(losses.answer_losses(z, labels, loss), labels).sum()

    kept = jnp.array([0, 2])
    np.testing.assert_allclose(mean(logits, some), mean(logits[:, kept], labels[:, kept]), rtol=1e-6)
    gradient = np.asarray(jax.grad(mean)(logits, some))
    assert not gradient[:, 1].any() and np.abs(gradient[:, kept]).min(axis=0).max() > 0
    right = losses.correct(logits, some)
    expected = losses.row_accuracy(right[:, kept], labels[:, kept])
    assert losses.row_accuracy(right, some).tolist() == expected.tolist()


def test_stablemax_is_what_its_formula_says():
    logits, labels = example(2)
    z = logits.astype(np.float64)
    s = np.where(z >= 0, z + 1, 1 / (1 - z))
    expected = -np.log(np.take_along_axis(s / s.sum(-1, keepdims=True), labels[..., None], -1))[..., 0]
    found = losses.stablemax(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(found, expected, rtol=20 * EPSILON, atol=20 * EPSILON)
    slope = jax.grad(lambda x: losses.stablemax(jnp.array([[[x, 0.0]]]), jnp.array([[0]]))[0, 0])(jnp.float32(0.0))
    assert slope == -0.5, "log s has slope 1 at 0 from both sides, and the two classes share it"


def loss_and_gradient(logits, loss="cross_entropy", dtype="float32"):
    """Of one answer of two classes, the first one right."""
    logits, labels = jnp.array([[logits]], jnp.float32), jnp.array([[0]])
    value, slope = jax.value_and_grad(lambda z: losses.answer_losses(z, labels, loss, dtype)[0, 0])(logits)
    return float(value), slope[0, 0].tolist()


def test_where_a_loss_rounds_to_nothing_the_other_classes_keep_their_gradient():
    loss, (right, other) = loss_and_gradient([20.0, 0.0])
    assert loss == right == 0 and other == pytest.approx(math.exp(-20), rel=1e-6) == pytest.approx(2.06e-9, rel=1e-3)
    assert loss_and_gradient([17.0, 0.0])[0] == 0 < loss_and_gradient([16.0, 0.0])[0]
    assert loss_and_gradient([16.7, 0.0])[0] == 0 < loss_and_gradient([16.6, 0.0])[0] < 2 * 6e-8, "5.96e-8 is the bound"
    assert loss_and_gradient([37.0, 0.0], dtype="float64")[0] == 0 < loss_and_gradient([36.0, 0.0], dtype="float64")[0]


def test_the_probability_of_stablemax_rounds_to_one_too_though_much_later():
    def of(*logits):
        loss, (right, other) = loss_and_gradient(list(logits), "stablemax")
        assert other > 0
        return loss, right

    assert of(1e4, -1e4) == of(4200.0, -4200.0) == of(3.4e7, 0.0) == (0, 0)
    assert of(4000.0, -4000.0)[1] < 0 and of(1e7, 0.0)[1] < 0
    assert of(4000.0, -4000.0)[0] == 0 < of(1400.0, -1400.0)[0]


def test_float64_sees_losses_that_float32_rounds_to_nothing():
    logits, labels = jnp.array([[[30.0, 0.0, 0.0]]]), jnp.array([[0]])
    expected = 2 * math.exp(-30)

    def loss(z, dtype):
        return losses.answer_losses(z, labels, dtype=dtype)[0, 0]

    assert loss(logits, "float32") == 0 and jax.grad(loss)(logits, "float32")[0, 0, 0] == 0
    found, gradient = jax.jit(jax.value_and_grad(loss), static_argnums=1)(logits, "float64")
    np.testing.assert_allclose(found, expected, rtol=5e-3)  # 1 + 2e-13 leaves three digits in float64
    np.testing.assert_allclose(gradient[0, 0], [-expected, math.exp(-30), math.exp(-30)], rtol=5e-3)
    assert found.dtype == gradient.dtype == jnp.float32


def test_in_float16_a_small_loss_is_0_and_the_others_are_those_of_that_precision():
    logits = np.array([[[9.0, 0.0]], [[7.0, 0.0]], [[6.0, 0.0]], [[0.0, 3.0]], [[1.0, 1.5]]], np.float32)
    labels = jnp.zeros((5, 1), jnp.int32)
    compiled = jax.jit(lambda z: losses.answer_losses(z, labels, dtype="float16"))
    by_hand = []
    for z in logits[:, 0].astype(np.float16):
        total = np.float16(np.exp(z - z.max()).astype(np.float32).sum())
        by_hand.append(float(np.log(total) - (z[0] - z.max())))
    found = np.asarray(compiled(logits))[:, 0]
    assert found.dtype == np.float32 and found[:2].tolist() == by_hand[:2] == [0.0, by_hand[1]]
    np.testing.assert_allclose(found, by_hand, rtol=2**-10)
    exact = direct(logits, np.zeros((5, 1), int))
    assert exact[0] > 1e-4 and (np.abs(found - exact) > 1e-6).all()
    gradient = jax.grad(lambda z: losses.answer_losses(z, labels, dtype="float16").sum())(jnp.asarray(logits))
    assert gradient[0, 0, 0] == 0 and gradient[0, 0, 1] == pytest.approx(np.exp(-9), rel=2**-9)
