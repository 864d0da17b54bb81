"""Digits, repeated subsequences, skip trigrams, sparse parities: endless streams, and tables drawn from them."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest

from grokjax.config import ConfigError
from grokjax.tasks import Digits, RepeatedSubsequence, SkipTrigram, SparseParity, streams


@functools.partial(jax.jit, static_argnums=(0, 2))
def drawn(task, key, count):
    return task.sample(key, count)


def sample(task, seed, count):
    """[count, length] and [count, answers] in NumPy."""
    return tuple(np.asarray(x) for x in drawn(task, jax.random.key(seed), count))


def near(count, total, probability):
    """Whether a binomial count lies within six deviations of its mean."""
    return abs(count - total * probability) < 6 * (total * probability * (1 - probability)) ** 0.5


def number(digits):
    return int("".join(map(str, digits)))


def check_sums(task, inputs, labels):
    """Every row is a sum, by Python's integers."""
    n = task.digits
    for row, label in zip(inputs.tolist(), labels.tolist(), strict=True):
        x, y = row[:n], row[n + 1 : 2 * n + 1]
        assert row[n] == 10 and row[2 * n + 1] == 11
        assert all(0 <= digit <= 9 for digit in (*x, *y))
        if task.carry:
            assert number(label) == number(x) + number(y) and len(label) == n + 1
        else:
            assert label == [(a + b) % 10 for a, b in zip(x, y, strict=True)]
        assert row[2 * n + 2 :] == label


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("digits", [1, 5, 9])
def test_digits_add_up_as_python_integers_do(digits, carry):
    task = Digits(digits, carry, examples=60)
    inputs, labels = sample(task, 3, 400)
    assert inputs.dtype == labels.dtype == np.int32
    assert inputs.shape == (400, task.length) and labels.shape == (400, task.num_answers)
    check_sums(task, inputs, labels)


def test_five_digits_with_carry_are_the_rows_of_the_source():
    task = Digits(examples=700)
    table = task.table()
    assert task.length == 18 == 5 + 1 + 5 + 1 + 6
    assert table.inputs.shape == (700, 18) and table.labels.shape == (700, 6)
    assert table.vocab_size == table.num_classes == 12
    assert table.answer_positions == (11, 12, 13, 14, 15, 16), "the last token is never read"
    for position, answers in zip(table.answer_positions, table.labels.T, strict=True):
        assert (table.inputs[:, position + 1] == answers).all()
    check_sums(task, table.inputs, table.labels)
    assert task.num_examples == table.num_examples and task.name == table.name == "5-digit addition"
    assert Digits(carry=False).length == 17 and Digits(carry=False).name == "5-digit addition without carry"


def test_all_sums_there_are_may_be_a_table():
    table = Digits(1, examples=100).table()
    rows = {(x, 10, y, 11, (x + y) // 10, (x + y) % 10) for x in range(10) for y in range(10)}
    assert {tuple(row) for row in table.inputs.tolist()} == rows
    swapped = {}
    for (x, _, y, *_), pair in zip(table.inputs.tolist(), table.pair.tolist(), strict=True):
        swapped.setdefault(pair, set()).add((min(x, y), max(x, y)))
    assert len(swapped) == 55 and all(len(pair) == 1 for pair in swapped.values())
    with pytest.raises(ConfigError) as error:
        Digits(1, examples=101)
    assert str(error.value) == "examples=101 is more than the 100 sums of digits=1. Try --examples=100."


def test_every_digit_is_equally_likely_at_every_place():
    inputs, _ = sample(Digits(5, examples=60), 5, 20_000)
    for place in [*range(5), *range(6, 11)]:
        assert all(near((inputs[:, place] == digit).sum(), 20_000, 0.1) for digit in range(10))
    for one, other in itertools.combinations([0, 4, 6, 10], 2):
        assert near((inputs[:, one] == inputs[:, other]).sum(), 20_000, 0.1), "independent of each other"


STREAMS = [
    Digits(3, examples=100),
    RepeatedSubsequence(20, 30, 4, 3, examples=100),
    SkipTrigram(4, 12, 6, examples=100),
    SparseParity(20, 3, examples=100),
]


@pytest.mark.parametrize("task", STREAMS, ids=lambda task: task.name)
def test_a_stream_is_a_pure_function_of_its_key(task):
    one, same, other = (sample(task, seed, 1024) for seed in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    assert len(np.unique(np.concatenate([one[0], other[0]]), axis=0)) > 1.5 * len(one[0])


def test_a_stream_draws_the_same_traced_and_not():
    task = STREAMS[0]
    for traced, eager in zip(sample(task, 1, 1024), task.sample(jax.random.key(1), 1024), strict=True):
        np.testing.assert_array_equal(traced, eager)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Tables are drawn by the program that the tests of `sample` compile, too."""
    monkeypatch.setattr(streams, "_drawn", lambda task, key: drawn(task, key, streams.ROWS_AT_ONCE))


def test_what_a_table_is_drawn_by_is_its_stream(monkeypatch):
    monkeypatch.undo()
    task = Digits(1, examples=50)
    first = jax.random.fold_in(jax.random.key(0), 0)
    for own, other in zip(streams._drawn(task, first), drawn(task, first, streams.ROWS_AT_ONCE), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("task", STREAMS, ids=lambda task: task.name)
def test_a_table_has_distinct_rows_and_begins_with_every_smaller_one(task):
    table, smaller = task.table(), dataclasses.replace(task, examples=40).table()
    assert len(np.unique(table.inputs, axis=0)) == len(table.inputs) == task.num_examples == 100
    np.testing.assert_array_equal(table.inputs[:40], smaller.inputs)
    np.testing.assert_array_equal(table.labels[:40], smaller.labels)
    assert task.table() == table
    assert table.inputs.dtype == table.labels.dtype == np.int32
    assert table.inputs.shape == (100, task.length)
    assert dataclasses.replace(task, table_seed=1).table() != table


def test_more_distinct_rows_than_there_are_are_not_waited_for():
    task = SkipTrigram(1, 3, 3, examples=5)  # fillers cannot differ: the place makes two rows
    with pytest.raises(ConfigError) as error:
        streams.distinct_rows(task)
    assert str(error.value) == (
        "examples=5 distinct rows of 1 skip trigram are hard to come by: 2,048 draws held 2. Try --examples=2."
    )


def occurrences(row, task):
    """All places where disjoint equal subsequences may stand: tuples of starts."""
    n = task.subsequence
    places = range(len(row) - n + 1)
    for starts in itertools.combinations(places, task.repeats):
        apart = all(b - a >= n for a, b in itertools.pairwise(starts))
        if apart and len({tuple(row[s : s + n]) for s in starts}) == 1:
            yield starts


def test_a_subsequence_repeats_and_exactly_what_is_predictable_is_scored():
    task = RepeatedSubsequence(50, 24, 4, 3, examples=60)
    table = task.table()
    assert table.answer_positions == tuple(range(23)) and table.labels.shape == (60, 23)
    for row, labels in zip(table.inputs.tolist(), table.labels.tolist(), strict=True):
        scored = {i + 1 for i, label in enumerate(labels) if label >= 0}
        assert all(label in (-1, row[i + 1]) for i, label in enumerate(labels)), "the label is the next token"
        wanted = [{s + i for s in starts[1:] for i in range(1, 4)} for starts in occurrences(row, task)]
        assert scored in wanted and len(scored) == 6
    assert sum(len(list(occurrences(row, task))) == 1 for row in table.inputs.tolist()) > 50


def test_all_disjoint_placements_are_equally_likely():
    task, count = RepeatedSubsequence(2**24, 11, 2, 3, examples=60), 56_000
    rows, _ = sample(task, 2, count)
    apart = [s for s in itertools.combinations(range(10), 3) if s[1] - s[0] >= 2 and s[2] - s[1] >= 2]
    codes = rows[:, :-1].astype(np.int64) * 2**24 + rows[:, 1:]  # of two neighbours, equal by chance hardly ever
    found = [((codes[:, a] == codes[:, b]) & (codes[:, b] == codes[:, c])).sum() for a, b, c in apart]
    assert len(apart) == 56 and sum(found) == count
    assert all(near(times, count, 1 / 56) for times in found)


def test_occurrences_may_fill_the_whole_row():
    task = RepeatedSubsequence(9, 8, 4, 2, examples=60)
    inputs, labels = sample(task, 0, 50)
    assert (inputs[:, :4] == inputs[:, 4:]).all()
    assert ((labels >= 0) == [False] * 4 + [True] * 3).all()


def test_tokens_of_a_repeated_row_are_uniform():
    inputs, _ = sample(RepeatedSubsequence(8, 30, 3, 3, examples=60), 7, 4_000)
    for place in (0, 15, 29):
        assert all(near((inputs[:, place] == token).sum(), 4_000, 1 / 8) for token in range(8))


def test_what_does_not_fit_a_sequence_is_refused():
    with pytest.raises(ConfigError) as error:
        RepeatedSubsequence(sequence_length=40)
    assert str(error.value) == (
        "subsequence=16 times repeats=3 is 48 tokens, more than sequence_length=40. Try --sequence_length=48."
    )
    with pytest.raises(ConfigError, match="vocabulary=11 has no room for num_trigrams=10 first tokens, a filler"):
        SkipTrigram(10, 11)


@pytest.mark.parametrize("exponent", [0.0, 1.5])
def test_a_skip_trigram_is_one_first_token_among_fillers_with_its_own_answer(exponent):
    task, count = SkipTrigram(4, 12, 6, exponent, examples=60), 20_000
    inputs, labels = sample(task, 4, count)
    firsts = inputs[:, :-1] < 4
    assert (firsts.sum(1) == 1).all() and (inputs[:, -1] == 11).all()
    assert set(np.unique(inputs[:, :-1])) == set(range(11))
    places, trigrams = firsts.argmax(1), inputs.min(1)
    answers = {(trigram, label) for trigram, label in zip(trigrams.tolist(), labels[:, 0].tolist(), strict=True)}
    assert len(answers) == len({label for _, label in answers}) == 4
    assert all(near((places == place).sum(), count, 1 / 5) for place in range(5))
    total = sum((i + 1) ** -exponent for i in range(4))
    assert all(near((trigrams == i).sum(), count, (i + 1) ** -exponent / total) for i in range(4))


def test_the_parts_of_a_table_are_its_trigrams():
    task = SkipTrigram(4, 12, 6, examples=100)
    table = task.table()
    assert table.parts == ("trigram 0", "trigram 1", "trigram 2", "trigram 3") and table.part_position is None
    for row, part in zip(table.inputs.tolist(), table.part.tolist(), strict=True):
        assert part in row and sum(token < 4 for token in row) == 1
    assert table.labels[:, 0].tolist() == [task.answers[part] for part in table.part]
    assert table.answer_positions == (5,) and table.vocab_size == table.num_classes == 12


def test_a_sparse_parity_is_that_of_one_set_of_bits_and_of_no_other():
    task = SparseParity(6, 3, examples=64)
    table = task.table()
    rows, labels = table.inputs.tolist(), table.labels[:, 0].tolist()
    assert sorted(row[:6] for row in rows) == [list(row) for row in itertools.product((0, 1), repeat=6)]
    assert all(row[6] == 2 for row in rows) and table.answer_positions == (6,)
    assert (table.vocab_size, table.num_classes, table.name) == (3, 2, "parity of 3 of 6 bits")
    sets = [places for k in range(7) for places in itertools.combinations(range(6), k)]
    agree = {
        places: sum(sum(row[i] for i in places) % 2 == label for row, label in zip(rows, labels, strict=True))
        for places in sets
    }
    assert agree.pop(task.relevant) == 64 and len(task.relevant) == 3
    assert set(agree.values()) == {32}, "any other parity is right for half of the rows"
    assert set(task.relevant) < set(SparseParity(6, 4, examples=64).relevant)


def test_rows_of_forty_bits_are_uniform_and_their_stream_has_the_parity_of_its_table():
    task = SparseParity(40, 3, examples=50)
    inputs, labels = sample(task, 3, 4_000)
    assert all(near(inputs[:, place].sum(), 4_000, 0.5) for place in range(40)) and near(labels.sum(), 4_000, 0.5)
    for rows, answers in ((inputs, labels), (task.table().inputs, task.table().labels)):
        assert [sum(row[i] for i in task.relevant) % 2 for row in rows.tolist()] == answers[:, 0].tolist()
    with pytest.raises(ConfigError, match="parity_bits=5 is more than bits=4. Try --bits=5."):
        SparseParity(4, 5, examples=10)
    with pytest.raises(ConfigError, match="examples=4000 is more than the 16 rows of bits=4. Try --examples=16."):
        SparseParity(4, 2)


def test_any_other_setting_makes_another_table():
    bases = [
        (STREAMS[0], [dict(carry=False), dict(examples=90)]),
        (STREAMS[1], [dict(repeats=2), dict(vocabulary=21)]),
        (STREAMS[2], [dict(num_trigrams=3), dict(exponent=1.0)]),
        (STREAMS[3], [dict(bits=21), dict(parity_bits=4), dict(table_seed=1)]),
    ]
    for base, changes in bases:
        tables = [base.table(), *(dataclasses.replace(base, **changed).table() for changed in changes)]
        assert len({table.fingerprint for table in tables}) == len(tables)
