import itertools

import numpy as np
import pytest

from grokjax.config import ConfigError
from grokjax.tasks import Modular, modular
from grokjax.tasks.modular import OPERATIONS

PRIMES = (2, 3, 5, 7, 11)
FORMATS = ("a o b =", "a b =", "a b")


def answer(operation, x, y, p):
    """x o y mod p in Python integers; a quotient is found by trying."""
    if operation == "add":
        return (x + y) % p
    if operation == "subtract":
        return (x - y) % p
    if operation == "multiply":
        return (x * y) % p
    return next(c for c in range(p) if c * y % p == x)


@pytest.mark.parametrize("tokens", FORMATS)
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize("p", PRIMES)
def test_the_table_is_what_python_integers_give(operation, p, tokens):
    rows, labels = [], []
    for x, y in itertools.product(range(p), range(p)):
        if operation == "divide" and y == 0:
            continue
        rows.append({"a o b =": [x, p, y, p + 1], "a b =": [x, y, p], "a b": [x, y]}[tokens])
        labels.append([answer(operation, x, y, p)])
    task = modular(operation, p, tokens)
    table = task.table()
    np.testing.assert_array_equal(table.inputs, np.array(rows, np.int32), strict=True)
    np.testing.assert_array_equal(table.labels, np.array(labels, np.int32), strict=True)
    assert table.answer_positions == (len(rows[0]) - 1,)
    assert task.num_examples == table.num_examples == len(rows)
    assert task.length == len(rows[0])


@pytest.mark.parametrize(("tokens", "symbols"), [("a o b =", 2), ("a b =", 1), ("a b", 0)])
def test_the_vocabulary_is_the_numbers_then_the_operator_then_the_equals_sign(tokens, symbols):
    table = Modular(modulus=7, tokens=tokens).table()
    assert table.vocab_size == 7 + symbols
    assert table.num_classes == 7 + symbols
    assert set(np.unique(table.inputs)) == set(range(7 + symbols))


@pytest.mark.parametrize("tokens", FORMATS)
def test_the_output_may_be_the_numbers_alone(tokens):
    table = Modular(modulus=7, tokens=tokens, output="numbers").table()
    assert table.num_classes == 7
    assert table.inputs.max() == table.vocab_size - 1


@pytest.mark.parametrize("p", [4, 6, 9])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply"])
def test_other_operations_take_any_modulus(operation, p):
    table = modular(operation, p).table()
    expected = [answer(operation, x, y, p) for x in range(p) for y in range(p)]
    assert table.labels[:, 0].tolist() == expected


@pytest.mark.parametrize(("p", "factor", "prime"), [(4, 2, 3), (9, 3, 7), (91, 7, 89), (98, 2, 97)])
def test_division_by_numbers_without_inverse_is_refused(p, factor, prime):
    with pytest.raises(ConfigError) as error:
        Modular("divide", p)
    assert str(error.value) == (
        f"modulus={p} is not prime ({factor} divides it), and divide (x/y) needs an inverse of every number but 0. "
        f"Try --modulus={prime}."
    )


def test_a_formula_is_another_spelling_of_its_operation():
    for name, formula in [("add", "x+y"), ("subtract", "x-y"), ("multiply", "x*y"), ("divide", "x/y")]:
        assert Modular(formula, 5) == Modular(name, 5)
        assert Modular(name, 5).name == f"{formula} mod 5"
        assert Modular(formula, 5).operation == name


def test_the_largest_modulus_does_not_overflow():
    p = 46_340
    x = y = p - 1
    assert p * p < 2**31
    assert OPERATIONS["multiply"].compute(np.array([x]), np.array([y]), p).tolist() == [x * y % p]


def test_the_rows_of_division_are_those_of_the_paper():
    assert Modular("divide", 97).num_examples == 9_312
    assert Modular("add", 97).num_examples == 9_409
