import jax
import numpy as np
import pytest
from numpy.polynomial.hermite_e import HermiteE

from grokjax.config import ConfigError
from grokjax.tasks import Polynomial, Teacher


def test_the_targets_of_a_polynomial_are_normalised_hermite_polynomials_of_one_direction():
    for degree, factorial in ((1, 1), (2, 2), (5, 120)):
        task = Polynomial(features=7, degree=degree, examples=300)
        table = task.table()
        z = np.float64(table.inputs) @ np.float64(task.direction)
        np.testing.assert_allclose(np.linalg.norm(task.direction), 1, rtol=1e-6)
        expected = HermiteE.basis(degree)(z) / factorial**0.5
        np.testing.assert_allclose(table.labels[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert task.name == "He_5(w.x) of 7 features" and (task.num_examples, task.length) == (300, 7)


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_the_targets_of_a_teacher_are_those_of_its_network(activation):
    task = Teacher(features=6, teacher_layers=2, teacher_width=5, teacher_activation=activation, num_targets=3)
    table = task.table()
    h, function = np.float64(table.inputs), {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}.get(activation)
    *hidden, last = (np.float64(matrix) for matrix in task.matrices)
    for matrix in hidden:
        h = function(h @ matrix) if function else h @ matrix
    outputs = h @ last
    slope, level = np.polyfit(outputs[:, 0], table.labels[:, 0], 1)  # shifted and scaled
    np.testing.assert_allclose(table.labels[:, 0], slope * outputs[:, 0] + level, atol=1e-4)
    assert (
        slope > 0 and table.labels.shape == (2000, 3) and [m.shape for m in task.matrices] == [(6, 5), (5, 5), (5, 3)]
    )
    assert task.name == f"teacher 6-5-5-3, {activation}"


@pytest.mark.parametrize(
    "task", [Teacher(examples=4000), Polynomial(features=10, examples=4000)], ids=["teacher", "He"]
)
def test_inputs_and_targets_have_mean_0_and_variance_1(task):
    table = task.table()
    assert table.inputs.dtype == table.labels.dtype == np.float32
    assert table.has_features and table.has_targets and table.answer_positions == ()
    for values in (table.inputs, table.labels):
        assert np.abs(values.mean(0)).max() < 0.1 and np.abs(values.var(0) - 1).max() < 0.2


@pytest.mark.parametrize("kind", [Teacher, Polynomial])
def test_a_table_is_drawn_with_its_seed_and_one_of_more_rows_begins_with_it(kind):
    one, more, other = (kind(examples=n, table_seed=s).table() for n, s in ((20, 0), (30, 0), (20, 1)))
    np.testing.assert_array_equal(more.inputs[:20], one.inputs)
    np.testing.assert_array_equal(more.labels[:20], one.labels)
    assert not np.array_equal(other.inputs, one.inputs)
    again = kind(examples=20, table_seed=1).targets(one.inputs)
    assert np.abs(again - one.labels).max() > 0.1, "another seed is another target"
    inputs, targets = kind().sample(jax.random.key(1), 4)
    assert inputs.shape == (4, kind().length) and targets.shape == (4, 1)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="degree=11 is out of range"):
        Polynomial(degree=11)
    with pytest.raises(ConfigError, match="teacher_activation=gelu"):
        Teacher(teacher_activation="gelu")
