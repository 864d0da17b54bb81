import dataclasses

import numpy as np
import pytest

from grokjax.config import ConfigError, program_part, run_part
from grokjax.tasks import Mixture, Modular


def test_the_table_is_both_tables_told_apart_by_the_operator():
    task = Mixture("add", "divide", 5, second_rows=7)
    table = task.table()
    first = [[x, 5, y, 7] for x in range(5) for y in range(5)]
    second = [[x, 6, y, 7] for x in range(5) for y in range(1, 5)]
    assert table.inputs.tolist() == first + second
    answers = [(x + y) % 5 for x, _, y, _ in first] + [x * pow(y, -1, 5) % 5 for x, _, y, _ in second]
    assert table.labels[:, 0].tolist() == answers
    assert table.part.tolist() == [0] * 25 + [1] * 20
    assert table.parts == ("x+y", "x/y")
    assert (table.part_position, table.part_tokens, table.answer_positions) == (1, (5, 6), (3,))
    assert table.vocab_size == table.num_classes == 8
    assert table.label_group is None and table.random_classes == 0
    assert (task.num_examples, task.first_rows, task.fixed_rows, task.length) == (45, 25, (7,), 4)
    assert task.name == table.name == "x+y and x/y mod 5"
    assert {table.inputs.dtype, table.labels.dtype, table.part.dtype, table.pair.dtype} == {np.dtype(np.int32)}


@pytest.mark.parametrize("second", ["random", "random_symmetric"])
def test_random_labels_are_those_of_the_second_part_alone(second):
    table = Mixture("add", second, 5, second_rows=5).table()
    alone = Modular(second, 5).table()
    assert table.label_group.tolist() == [-1] * 25 + alone.label_group.tolist()
    assert table.random_classes == 5
    assert table.labels[:25, 0].tolist() == Modular("add", 5).table().labels[:, 0].tolist()


def test_two_kinds_of_random_labels_share_none():
    table = Mixture("random", "random_symmetric", 5, second_rows=5).table()
    assert not set(table.label_group[:25]) & set(table.label_group[25:])


def test_pairs_of_different_parts_are_different():
    table = Mixture("add", "subtract", 5, second_rows=5).table()
    alone = Modular("add", 5).table().pair
    assert table.pair[:25].tolist() == alone.tolist()
    assert table.pair[25:].tolist() == (alone + alone.max() + 1).tolist()


def test_the_output_may_be_the_numbers_alone():
    assert Mixture("add", "subtract", 5, 5, "numbers").table().num_classes == 5


def test_the_rows_of_the_second_that_train_are_no_part_of_the_table():
    few, many = (Mixture(modulus=7, second_rows=rows) for rows in (0, 49))
    assert few.table() == many.table()
    assert run_part(few) == {"second_rows": 0}
    assert program_part(few) == program_part(many)
    assert program_part(few).table() == few.table()


def test_more_training_rows_than_there_are_is_refused():
    message = "second_rows=50 is more than the 49 rows of random labels mod 7. Try --second_rows=49."
    with pytest.raises(ConfigError) as error:
        Mixture(modulus=7, second_rows=50)
    assert str(error.value) == message
    with pytest.raises(ConfigError, match="second_rows=3000 is more than the 49 rows"):
        _ = Mixture(modulus=7).fixed_rows
    assert Mixture().fixed_rows == (3000,) and Mixture().num_examples == 2 * 113**2


def test_an_operation_is_not_mixed_with_itself():
    with pytest.raises(ConfigError, match="operation=add and second_operation=add are the same"):
        Mixture("x+y", "add")
    with pytest.raises(ConfigError, match="second|operation=plus is called add here"):
        Mixture("add", "plus")


def test_any_other_setting_makes_another_table():
    base = Mixture(modulus=5, second_rows=3)
    others = [
        dataclasses.replace(base, **changed)
        for changed in (
            dict(operation="subtract"),
            dict(second_operation="random_symmetric"),
            dict(modulus=7),
            dict(output="numbers"),
        )
    ]
    assert len({task.table().fingerprint for task in (base, *others)}) == 5
