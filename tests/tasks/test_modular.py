import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokjax.config import ConfigError
from grokjax.tasks import Modular, modular
from grokjax.tasks.modular import all_rows

PRIMES = (2, 3, 5, 7, 11)
FORMATS = ("a o b =", "a b =", "a b")
POWER_FORMAT = "<eos> a o b = c <eos>"

POWER = {
    "add": lambda x, y, p: x + y,
    "subtract": lambda x, y, p: x - y,
    "multiply": lambda x, y, p: x * y,
    "divide": lambda x, y, p: x * pow(y, -1, p) if y else None,
    "divide_if_odd": lambda x, y, p: x * pow(y, -1, p) if y % 2 else x - y,
    "x^2+y^2": lambda x, y, p: x**2 + y**2,
    "x^2+x*y+y^2": lambda x, y, p: x**2 + x * y + y**2,
    "x^2+x*y+y^2+x": lambda x, y, p: x**2 + x * y + y**2 + x,
    "x^3+x*y": lambda x, y, p: x**3 + x * y,
    "x^3+x*y^2+y": lambda x, y, p: x**3 + x * y**2 + y,
}
"""The ten modular operations of Power et al., in Python integers; None where there is no answer."""


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


@pytest.mark.parametrize("operation", POWER)
@pytest.mark.parametrize("p", [7, 97])
def test_the_ten_operations_of_power_are_what_python_integers_give(operation, p):
    rows, labels = [], []
    for x, y in itertools.product(range(p), range(p)):
        value = POWER[operation](x, y, p)
        if value is not None:
            rows.append([p + 2, x, p, y, p + 1, value % p])
            labels.append([value % p, p + 2])
    task = Modular(operation, p, POWER_FORMAT)
    table = task.table()
    np.testing.assert_array_equal(table.inputs, np.array(rows, np.int32), strict=True)
    np.testing.assert_array_equal(table.labels, np.array(labels, np.int32), strict=True)
    assert table.answer_positions == (4, 5)
    assert task.num_examples == len(rows) and task.length == 6
    assert table.vocab_size == table.num_classes == p + 3
    if p == 97:
        assert len(rows) == (9_312 if operation == "divide" else 9_409)


def test_the_square_of_huang_is_what_python_integers_give():
    labels = Modular("(x+y)^2", 113).table().labels[:, 0]
    assert labels.tolist() == [(x + y) ** 2 % 113 for x in range(113) for y in range(113)]


def test_multiplication_without_zeros_is_a_formula():
    table = Modular("1/(1/(x*y))", 7).table()
    expected = [(x, y, x * y % 7) for x in range(1, 7) for y in range(1, 7)]
    assert [tuple(row) for row in np.hstack([table.inputs[:, :2], table.labels]).tolist()] == expected


@pytest.mark.parametrize(("tokens", "symbols"), [("a o b =", 2), ("a b =", 1), ("a b", 0), (POWER_FORMAT, 3)])
def test_the_vocabulary_is_the_numbers_then_the_symbols(tokens, symbols):
    table = Modular(modulus=7, tokens=tokens).table()
    assert table.vocab_size == 7 + symbols
    assert table.num_classes == 7 + symbols
    assert set(np.unique(table.inputs)) == set(range(7 + symbols))


@pytest.mark.parametrize("tokens", FORMATS)
def test_the_output_may_be_the_numbers_alone(tokens):
    table = Modular(modulus=7, tokens=tokens, output="numbers").table()
    assert table.num_classes == 7
    assert table.inputs.max() == table.vocab_size - 1


def test_a_larger_vocabulary_leaves_ids_unused():
    small, large = (Modular("divide", 97, POWER_FORMAT, vocab_size=size).table() for size in (None, 239))
    np.testing.assert_array_equal(small.inputs, large.inputs)
    np.testing.assert_array_equal(small.labels, large.labels)
    assert large.vocab_size == large.num_classes == 239
    assert Modular("add", 7, output="numbers", vocab_size=20).table().num_classes == 7


@pytest.mark.parametrize(
    ("tokens", "row"),
    [
        ("a o b =", [3, 5, 1, 5, 4, 6]),
        ("a b =", [3, 1, 4, 5]),
        ("a b", [3, 1, 4]),
        (POWER_FORMAT, [7, 3, 5, 1, 5, 4, 6, 3]),
    ],
)
def test_rows_of_three_operands_go_on_by_the_pattern(tokens, row):
    task = Modular("add", 5, tokens, operands=3)
    table = task.table()
    assert table.inputs[3 * 25 + 1 * 5 + 4].tolist() == row
    assert task.length == len(row)
    labels = [(x + y + z) % 5 for x, y, z in itertools.product(range(5), repeat=3)]
    assert table.labels[:, 0].tolist() == labels
    if tokens == POWER_FORMAT:
        assert table.answer_positions == (6, 7) and set(table.labels[:, 1].tolist()) == {7}
        assert table.inputs[:, -1].tolist() == labels
    else:
        assert table.answer_positions == (len(row) - 1,)


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("operands", [2, 3, 4, 5, 6])
def test_sums_and_products_go_on_to_more_operands(operands, p):
    rows = list(itertools.product(range(p), repeat=operands))
    table = Modular("add", p, "a b", operands=operands).table()
    assert table.inputs.tolist() == [list(row) for row in rows]
    assert table.labels[:, 0].tolist() == [sum(row) % p for row in rows]
    table = Modular("multiply", p, "a b", operands=operands).table()
    assert table.labels[:, 0].tolist() == [int(np.prod(row)) % p for row in rows]


def test_formulas_name_three_operands_by_letter_or_number():
    by_letter, by_number = (Modular(text, 5, operands=3) for text in ("x/z+y", "x1/x3+x2"))
    assert by_letter == by_number and by_letter.operation == "x1/x3+x2"
    expected = [(x * pow(z, -1, 5) + y) % 5 for x, y, z in itertools.product(range(5), repeat=3) if z]
    assert by_letter.table().labels[:, 0].tolist() == expected
    assert by_letter.num_examples == len(expected) == 100


@pytest.mark.parametrize(("p", "operands", "count"), [(97, 2, 4_753), (31, 3, 5_456), (5, 4, 70)])
def test_ordered_rows_are_those_whose_operands_do_not_fall(p, operands, count):
    task = Modular("add", p, "a b", operands=operands, ordered=True)
    table = task.table()
    expected = [list(row) for row in itertools.combinations_with_replacement(range(p), operands)]
    assert task.num_examples == table.num_examples == len(expected) == count
    assert table.inputs.tolist() == expected
    assert table.labels[:, 0].tolist() == [sum(row) % p for row in expected]


def test_ordered_division_leaves_out_what_is_undefined():
    task = Modular("divide", 7, "a b", ordered=True)
    expected = [[x, y] for x in range(7) for y in range(x, 7) if y]
    assert task.table().inputs.tolist() == expected
    assert task.num_examples == len(expected)


@pytest.mark.parametrize("settings", [dict(), dict(operands=3), dict(ordered=True), dict(operation="divide")])
def test_rows_are_a_pair_if_their_operands_are_the_same_in_some_order(settings):
    table = Modular(**dict(modulus=5, tokens="a b") | settings).table()
    assert table.pair.dtype == np.int32
    groups = {}
    for row, pair in zip(table.inputs.tolist(), table.pair.tolist(), strict=True):
        groups.setdefault(pair, set()).add(tuple(sorted(row)))
    assert all(len(operands) == 1 for operands in groups.values())
    assert sorted(groups) == list(range(len({tuple(sorted(row)) for row in table.inputs.tolist()})))


@pytest.mark.parametrize("operands", [2, 3])
def test_random_labels_are_drawn_by_row_or_by_pair(operands):
    own, shared = (Modular(name, 5, operands=operands).table() for name in ("random", "random_symmetric"))
    assert own.label_group.tolist() == list(range(5**operands))
    assert shared.label_group.tolist() == shared.pair.tolist()
    assert own.random_classes == shared.random_classes == 5
    assert not own.labels.any() and own.num_examples == 5**operands
    added = Modular("add", 5, operands=operands).table()
    assert added.label_group is None and added.random_classes == 0
    np.testing.assert_array_equal(own.inputs, added.inputs)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (dict(), "x+y mod 97"),
        (dict(operation="x^2 + 3 * y", modulus=59), "x^2+3*y mod 59"),
        (dict(operands=3, modulus=17), "x1+x2+x3 mod 17"),
        (dict(ordered=True), "x+y mod 97, ordered"),
        (dict(operation="random", modulus=113), "random labels mod 113"),
        (dict(operation="random_symmetric", modulus=113), "symmetric random labels mod 113"),
        (dict(operation="random", modulus=5, operands=3), "random labels of 3 operands mod 5"),
        (dict(operation="divide_if_odd"), "(x/y if y%2 else x-y) mod 97"),
    ],
)
def test_a_task_is_called_by_its_formula(settings, name):
    assert Modular(**settings).name == Modular(**settings).table().name == name


def test_a_formula_is_another_spelling_of_its_operation():
    spelt = [("add", "x+y"), ("subtract", "x-y"), ("multiply", "x*y"), ("divide", "x/y")]
    for name, formula in spelt:
        assert Modular(formula, 5) == Modular(name, 5)
        assert Modular(name, 5).name == f"{formula} mod 5"
        assert Modular(formula, 5).operation == name
    assert Modular("x/y if y % 2 else x-y").operation == "divide_if_odd"
    assert Modular("x + y + z", 5, operands=3) == Modular("add", 5, operands=3)
    assert Modular("x**2 + y*(y)", 5) == Modular("x^2+y*y", 5)


@pytest.mark.parametrize("p", [4, 6, 9])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply"])
def test_other_operations_take_any_modulus(operation, p):
    table = modular(operation, p).table()
    expected = [answer(operation, x, y, p) for x in range(p) for y in range(p)]
    assert table.labels[:, 0].tolist() == expected


@pytest.mark.parametrize(("p", "factor", "prime"), [(4, 2, 3), (9, 3, 7), (91, 7, 89), (98, 2, 97)])
def test_division_by_numbers_without_inverse_is_refused(p, factor, prime):
    for operation, formula in (("divide", "divide (x/y)"), ("x+1/(2*y)", "x+1/(2*y)")):
        with pytest.raises(ConfigError) as error:
            Modular(operation, p)
        assert str(error.value) == (
            f"modulus={p} is not prime ({factor} divides it), and {formula} needs an inverse of every number but 0. "
            f"Try --modulus={prime}."
        )


REFUSED = {
    "plus": (
        dict(operation="plus"),
        "operation=plus is called add here. Try --operation=add.",
    ),
    "near miss": (dict(operation="ad"), "operation=ad is not known. Did you mean add? Known: add, "),
    "formula": (dict(operation="x^2+xy"), "operation=x^2+xy cannot be read: xy is no variable"),
    "beyond": (dict(operation="x+z+y"), "operation=x+z+y names z, but operands=2 are x, y. Try --operands=3."),
    "missing": (
        dict(operation="x+y", operands=3),
        "operation=x+y does not name x3, and operands=3. If the answer is not to depend on it, add 0*x3.",
    ),
    "two only": (
        dict(operation="subtract", operands=3),
        "operation=subtract has two operands, not operands=3. Try --operation=x1-x2-x3.",
    ),
    "nowhere": (dict(operation="x/(y-y)"), "operation=x/(y-y) divides by 0 in every row"),
    "uncountable": (
        dict(operation="divide", modulus=8209),
        "operands=2 of modulus=8209 make 67,387,681 rows, too many to count those where divide is defined. Try a "
        "smaller --modulus.",
    ),
    "too large": (
        dict(operands=6),
        "operands=6 of modulus=97 make 832,972,004,929 rows, more than 2,147,483,647. Try a smaller --modulus or "
        "fewer --operands.",
    ),
    "vocabulary": (
        dict(vocab_size=97),
        "vocab_size=97 is too small: 97 numbers and the symbols of 'a b =' need 98 token ids. Try --vocab_size=98, "
        "or leave it out.",
    ),
    "numbers": (
        dict(tokens=POWER_FORMAT, output="numbers"),
        f"output=numbers leaves out <eos>, which '{POWER_FORMAT}' has as its second answer. Try --output=vocabulary.",
    ),
    "random answer": (
        dict(tokens=POWER_FORMAT, operation="random"),
        f"tokens={POWER_FORMAT} has the answer in the input, and operation=random draws it anew in each run. Try "
        "--tokens='a o b ='.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused(case):
    given_settings, message = REFUSED[case]
    with pytest.raises(ConfigError) as error:
        Modular(**given_settings)
    assert str(error.value).startswith(message)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12) | st.text("xyz12+-*/%^() ", max_size=12), st.integers(2, 4))
def test_any_operation_is_a_task_or_a_config_error(text, operands):
    try:
        task = Modular(text, 3, operands=operands)
    except ConfigError:
        return
    assert task == Modular(task.operation, 3, operands=operands), "its own spelling is the same task"


def test_the_largest_modulus_does_not_overflow():
    p = 46_340
    rows = np.array([[p - 1, p - 2], [p - 1, p - 1]])
    expected = [pow(x * y + 3, 1000, p) for x, y in rows.T.tolist()]
    assert Modular("(x*y+3)^1000", p).expression.evaluate(rows, p)[0].tolist() == expected


def test_the_number_of_rows_is_known_without_building_them():
    assert Modular("divide", 97).num_examples == 9_312
    assert Modular("divide_if_odd", 97).num_examples == 9_409
    assert Modular("add", 97).num_examples == 9_409
    assert Modular("add", 46_340).num_examples == 46_340**2


def test_rows_come_in_blocks_that_are_all_rows(monkeypatch):
    monkeypatch.setattr(sys.modules["grokjax.tasks.modular"], "BLOCK", 10)
    blocks = list(all_rows(5, 3))
    assert [block.shape[1] for block in blocks] == [10] * 12 + [5]
    assert np.concatenate(blocks, axis=1).T.tolist() == [list(row) for row in itertools.product(range(5), repeat=3)]
    assert Modular("x/y+z", 5, operands=3).table().num_examples == 100
    assert Modular("add", 5, operands=3, ordered=True).table().num_examples == 35


@pytest.mark.parametrize(
    "changed",
    [
        dict(operation="subtract"),
        dict(modulus=11),
        dict(tokens="a o b ="),
        dict(output="numbers"),
        dict(operands=3),
        dict(ordered=True),
        dict(vocab_size=20),
        dict(operation="random"),
        dict(operation="random_symmetric"),
    ],
)
def test_any_other_setting_makes_another_table(changed):
    one, other = Modular(modulus=7), Modular(**dict(modulus=7) | changed)
    assert one.table().fingerprint != other.table().fingerprint
    assert one != other
    assert other == Modular(**dict(modulus=7) | changed) and hash(other) == hash(Modular(**dict(modulus=7) | changed))
