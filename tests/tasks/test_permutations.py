import itertools

import numpy as np
import pytest

from grokjax.config import ConfigError
from grokjax.tasks import Permutations
from grokjax.tasks.permutations import elements, inverses, numbers_of, products


def composed(*factors):
    """The images of a product of permutations, the last acting first."""
    images = range(len(factors[0]))
    for factor in reversed(factors):
        images = [factor[i] for i in images]
    return tuple(images)


def inverse(x):
    return tuple(x.index(i) for i in range(len(x)))


ANSWERS = {
    "xy": lambda x, y: composed(x, y),
    "xyx^-1": lambda x, y: composed(x, y, inverse(x)),
    "xyx": lambda x, y: composed(x, y, x),
}


@pytest.mark.parametrize("operation", ANSWERS)
@pytest.mark.parametrize("degree", [2, 3, 5])
def test_the_table_is_what_composing_tuples_gives(operation, degree):
    group = list(itertools.permutations(range(degree)))
    number = {element: i for i, element in enumerate(group)}
    task = Permutations(operation, degree)
    table = task.table()
    n = len(group)
    assert table.inputs.tolist() == [[x, y, n] for x in range(n) for y in range(n)]
    expected = [number[ANSWERS[operation](x, y)] for x in group for y in group]
    assert table.labels[:, 0].tolist() == expected
    assert task.num_examples == table.num_examples == n * n
    assert table.vocab_size == table.num_classes == n + 1
    assert task.name == table.name == f"{operation} in S{degree}"


def test_the_laws_of_a_group_hold_in_s5():
    product, inverse = products(5), inverses(5)
    everything = np.arange(120)
    for x in range(120):
        assert (product[product[x]][:, everything] == product[x][product]).all(), "(xy)z = x(yz)"
        assert sorted(product[x].tolist()) == sorted(product[:, x].tolist()) == list(range(120))
    assert (product[0] == everything).all() and (product[:, 0] == everything).all(), "0 is the identity"
    assert (product[everything, inverse] == 0).all() and (product[inverse, everything] == 0).all()
    assert (product != product.T).any(), "it does not commute"


def test_elements_are_in_lexicographic_order_and_y_acts_first():
    group = elements(5)
    rows = [tuple(row) for row in group.tolist()]
    assert rows == sorted(rows) and len(set(rows)) == 120 and rows[0] == (0, 1, 2, 3, 4)
    assert numbers_of(group).tolist() == list(range(120))
    x, y = rows.index((1, 0, 2, 3, 4)), rows.index((1, 2, 0, 3, 4))
    assert rows[products(5)[x, y]] == (0, 2, 1, 3, 4), "(xy)(0) = x(1) = 0"


def test_conjugates_have_the_order_of_what_is_conjugated():
    table = Permutations("xyx^-1", 4).table()
    x, y = table.inputs[:, :2].T
    fixed = (elements(4) == np.arange(4)).sum(1)
    assert (fixed[table.labels[:, 0]] == fixed[y]).all()
    commute = products(4)[x, y] == products(4)[y, x]
    assert ((table.labels[:, 0] == y) == commute).all()


def test_rows_are_written_as_those_of_numbers_are():
    task = Permutations("xy", 3, "<eos> a o b = c <eos>", vocab_size=20)
    table = task.table()
    assert table.inputs[9].tolist() == [8, 1, 6, 3, 7, table.labels[9, 0]] and table.labels[9, 1] == 8
    assert table.answer_positions == (4, 5) and table.vocab_size == 20 and task.length == 6
    numbers = Permutations("xy", 3, "a o b =", output="numbers").table()
    assert numbers.inputs[9].tolist() == [1, 6, 3, 7] and numbers.num_classes == 6
    with pytest.raises(ConfigError, match="vocab_size=5 is too small: 6 numbers"):
        Permutations("xy", 3, vocab_size=5)


def test_both_orders_of_two_elements_are_a_pair():
    table = Permutations("xy", 3).table()
    pairs = {}
    for (x, y, _), pair in zip(table.inputs.tolist(), table.pair.tolist(), strict=True):
        pairs.setdefault(pair, set()).add((min(x, y), max(x, y)))
    assert len(pairs) == 21 and all(len(pair) == 1 for pair in pairs.values())


def test_an_unknown_operation_is_refused():
    with pytest.raises(ConfigError, match="operation=yx is not known. Did you mean .* Known: xy, xyx\\^-1, xyx"):
        Permutations("yx")
    with pytest.raises(ConfigError, match="degree=7 is out of range"):
        Permutations(degree=7)


def test_any_other_setting_makes_another_table():
    tables = [
        Permutations(**changed).table()
        for changed in (
            dict(degree=3),
            dict(degree=4),
            dict(degree=3, operation="xyx"),
            dict(degree=3, operation="xyx^-1"),
            dict(degree=3, tokens="a b"),
            dict(degree=3, output="numbers"),
            dict(degree=3, vocab_size=9),
        )
    ]
    assert len({table.fingerprint for table in tables}) == len(tables)
