import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokjax.tasks import Table, find_prefixes, modular


def table_of(inputs, answer_positions=None, **changed):
    """A table of these inputs, each row's label the sum of its tokens."""
    inputs = np.array(inputs, np.int32)
    answer_positions = answer_positions or (inputs.shape[1] - 1,)
    labels = np.repeat(inputs.sum(1, keepdims=True), len(answer_positions), axis=1).astype(np.int32)
    values = dict(
        inputs=inputs,
        labels=labels,
        answer_positions=answer_positions,
        vocab_size=int(inputs.max()) + 1,
        num_classes=int(labels.max()) + 1,
        name="a table",
    )
    return Table(**(values | changed))


def check_prefixes(table, batch_rows):
    """Reads the arrays back into tuples of tokens, and compares with the rows; returns the shared positions."""
    found = find_prefixes(table, batch_rows)
    length = table.answer_positions[-1] + 1
    rows = [tuple(row[:length]) for row in table.inputs.tolist()]
    distinct = [sorted({row[: i + 1] for row in rows}) for i in range(length)]
    shared = next((i for i in range(length) if len(distinct[i]) >= batch_rows), length)

    assert len(found.tokens) == length
    pairs = []
    for i, tokens in enumerate(found.tokens):
        assert tokens.tolist() == sorted({row[i] for row in rows})
        pairs += [(i, token) for token in tokens.tolist()]
    assert [[pairs[j] for j in row] for row in found.row_pair] == [list(enumerate(row)) for row in rows]

    assert len(found.prefix_pair) == len(found.prefix_ancestors) == shared
    prefixes = []
    for i, made_of in enumerate(found.prefix_pair):
        assert made_of.shape == (len(distinct[i]), i + 1)
        read = [tuple(pairs[j] for j in prefix) for prefix in made_of]
        assert all([position for position, _ in prefix] == list(range(i + 1)) for prefix in read)
        of_position = [tuple(token for _, token in prefix) for prefix in read]
        assert sorted(of_position) == distinct[i], "each prefix once"
        prefixes += of_position
    first = 0
    for i, ancestors in enumerate(found.prefix_ancestors):
        assert ancestors.shape == (len(distinct[i]), i + 1)
        for j, line in enumerate(ancestors):
            own = prefixes[first + j]
            assert [prefixes[k] for k in line] == [own[: length + 1] for length in range(i + 1)]
            assert line[-1] == first + j
        first += len(ancestors)
    assert found.row_prefix.shape == (len(rows), shared)
    for row, line in zip(rows, found.row_prefix, strict=True):
        assert [prefixes[k] for k in line] == [row[: i + 1] for i in range(shared)]
    arrays = [*found.tokens, found.row_pair, *found.prefix_pair, *found.prefix_ancestors, found.row_prefix]
    assert all(array.dtype == np.int32 for array in arrays)
    return shared


@st.composite
def rows_and_answers(draw):
    length, vocab_size = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[st.integers(0, vocab_size - 1)] * length), min_size=1, max_size=30))
    answers = draw(st.sets(st.integers(0, length - 1), min_size=1))
    return rows, tuple(sorted(answers))


@settings(max_examples=300, deadline=None)
@given(rows_and_answers(), st.integers(1, 40))
def test_prefixes_are_those_found_by_comparing_rows(example, batch_rows):
    check_prefixes(table_of(*example), batch_rows)


def test_duplicate_rows_share_every_prefix():
    table = table_of([[0, 1, 2], [3, 1, 2], [0, 1, 2], [0, 1, 2]])
    found = find_prefixes(table, 4)
    assert check_prefixes(table, 4) == 3
    assert found.row_prefix[0].tolist() == found.row_prefix[2].tolist() == found.row_prefix[3].tolist()
    assert [len(prefixes) for prefixes in found.prefix_pair] == [2, 2, 2]


def test_with_batches_larger_than_the_table_every_position_is_shared():
    table = modular("add", 5, "a o b =").table()
    assert check_prefixes(table, 26) == 4
    assert check_prefixes(table, 25) == 2


def test_with_batches_as_small_as_the_first_position_nothing_is_shared():
    table = modular("add", 5, "a b =").table()
    assert check_prefixes(table, 5) == 0
    assert check_prefixes(table, 6) == 1


def test_what_follows_the_last_answer_is_left_out():
    rows = [[a, b, c] for a in range(2) for b in range(3) for c in range(4)]
    early, cut = table_of(rows, (1,)), table_of([row[:2] for row in rows])
    assert check_prefixes(early, 24) == 2
    for one, other in zip(find_prefixes(early, 4), find_prefixes(cut, 4), strict=True):
        assert len(one) == len(other)
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_addition_over_97_numbers_shares_what_the_docstring_says():
    found = find_prefixes(modular("add", 97, "a o b =").table(), 512)
    assert [len(tokens) for tokens in found.tokens] == [97, 1, 97, 1]
    assert [len(prefixes) for prefixes in found.prefix_pair] == [97, 97]


def test_tables_are_equal_when_their_contents_are():
    one, other = modular("add", 5).table(), modular("add", 5).table()
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)
    assert one.fingerprint == other.fingerprint
    renamed = dataclasses.replace(one, name="another name")
    assert renamed == one


@pytest.mark.parametrize(
    "changed",
    [
        dict(inputs=np.array([[0, 1], [1, 1]], np.int32)),
        dict(labels=np.array([[0], [1]], np.int32)),
        dict(answer_positions=(0,)),
        dict(vocab_size=3),
        dict(num_classes=7),
    ],
)
def test_any_difference_in_content_makes_tables_unequal(changed):
    table = table_of([[0, 1], [1, 0]])
    other = dataclasses.replace(table, **changed)
    assert other != table
    assert other.fingerprint != table.fingerprint


def test_tables_of_the_same_numbers_in_another_shape_are_unequal():
    flat, square = table_of([[0, 1, 1, 0]]), table_of([[0, 1], [1, 0]])
    labels = np.zeros((1, 1), np.int32), np.zeros((2, 1), np.int32)
    shared = dict(answer_positions=(1,), vocab_size=2, num_classes=2)
    flat, square = (dataclasses.replace(t, labels=x, **shared) for t, x in zip((flat, square), labels, strict=True))
    assert flat != square
