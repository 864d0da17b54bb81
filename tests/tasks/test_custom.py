import dataclasses
import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokjax.config import ConfigError
from grokjax.source import source_hash
from grokjax.sweeps.components import component
from grokjax.tasks import Modular, from_file, from_function, from_table


@pytest.mark.parametrize("tokens", ["a o b =", "a b =", "a b", "<eos> a o b = c <eos>"])
@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (lambda x, y: (x**2 + 3 * y) % 59, "x^2+3*y"),
        (lambda x, y: (x - y if y % 2 else x * y) % 59, "x-y if y%2 else x*y"),
    ],
)
def test_a_function_makes_the_table_of_its_formula(function, operation, tokens):
    task, same = from_function(function, 59, tokens=tokens), Modular(operation, 59, tokens)
    assert task.table() == same.table()
    assert (task.num_examples, task.length, task.name) == (same.num_examples, same.length, "function mod 59")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(2, 7), st.data())
def test_labels_are_what_the_function_gives_row_by_row(operands, modulus, data):
    answers = {}

    def looked_up(*row):  # takes no arrays, so it is called row by row
        return answers.setdefault(row, data.draw(st.integers(0, modulus - 1)))

    table = from_function(looked_up, modulus, tokens="a b", operands=operands).table()
    assert table.labels[:, 0].tolist() == [answers[tuple(row)] for row in table.inputs.tolist()]
    assert len(answers) == modulus**operands


def test_operands_are_those_of_the_signature():
    assert from_function(lambda x, y, z: (x + y * z) % 5, 5).table() == Modular("x+y*z", 5, operands=3).table()
    assert from_function(lambda x, y, scale=2: (x + scale * y) % 5, 5).operands == 2
    assert from_function(lambda x: x, 5).length == 2
    assert from_function(lambda *row: sum(row) % 5, 5, operands=4).num_examples == 625
    with pytest.raises(ConfigError, match="does not tell how many operands it takes. Try .* operands=2"):
        from_function(lambda *row: 0, 5)
    with pytest.raises(ConfigError, match="operands=7 is out of range"):
        from_function(lambda *row: 0, 5, operands=7)


def test_integers_do_not_overflow_unnoticed():
    task = from_function(lambda x, y: (x**40 + y) % 97, 97)
    expected = [(pow(x, 40, 97) + y) % 97 for x in range(97) for y in range(97)]
    assert task.table().labels[:, 0].tolist() == expected


def test_a_function_may_not_spoil_its_operands():
    def careless(x, y):
        x += y
        x %= 7
        return x

    assert from_function(careless, 7).table() == Modular("add", 7).table()


def test_whole_numbers_of_any_kind_are_labels():
    for function in (
        lambda x, y: (x + y) % 5 * 1.0,
        lambda x, y: np.int8((x + y) % 5),
        lambda x, y: np.array(int(x + y) % 5),
    ):
        assert from_function(function, 5).table() == Modular("add", 5).table()
    assert set(np.unique(from_function(lambda x, y: x == y, 5).table().labels)) == {0, 1}


def fails(x, y):
    return x // y


REFUSED = {
    "too large": (lambda x, y: x + y, "function gives 5 at x=1, y=4, not a whole number from 0 to 4. Try to "),
    "negative": (lambda x, y: x - y, "function gives -1 at x=0, y=1, not a whole number from 0 to 4."),
    "fraction": (
        lambda x, y: x / 2,
        "function gives 0.5 at x=1, y=0, not a whole number from 0 to 4. Its answers must be classes, as whole ",
    ),
    "nothing": (
        lambda x, y: None,
        "function gives None at x=0, y=0, not a whole number from 0 to 4. Its answers",
    ),
    "text": (lambda x, y: "1", "function gives 1 at x=0, y=0, not a whole number"),
    "nan": (lambda x, y: float("nan"), "function gives nan at x=0, y=0, not a whole number"),
    "complex": (lambda x, y: 1j, "function gives 1j at x=0, y=0, not a whole number"),
    "raises": (fails, "fails raises ZeroDivisionError at x=0, y=0: "),
    "no function": (7, "function=7 cannot be called. Try lambda x, y: (x + y) % 5."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_answers_that_are_no_classes_are_refused_with_the_first_such_row(case):
    function, message = REFUSED[case]
    with pytest.raises(ConfigError) as error:
        from_function(function, 5)
    assert str(error.value).startswith(message)


def test_modulus_tokens_and_output_of_a_function_can_be_changed():
    task = from_function(lambda x, y: x * y % 5, 5, name="mine")
    other = dataclasses.replace(task, modulus="7", tokens="a o b =", output="numbers")
    assert other.num_examples == 49 and other.length == 4 and other.table().num_classes == 7
    assert other.name == other.table().name == "mine"
    with pytest.raises(ConfigError, match="function gives 4 at x=2, y=2, not a whole number from 0 to 2"):
        dataclasses.replace(task, modulus=3)
    with pytest.raises(ConfigError, match="make 100,000,000 rows, more than 67,108,864"):
        dataclasses.replace(task, modulus=10_000)
    with pytest.raises(ConfigError, match="tokens=x y is not known"):
        from_function(lambda x, y: 0, 5, tokens="x y")


def test_tasks_of_the_same_function_are_equal():
    def function(x, y):
        return x

    one, same, other = from_function(function, 5), from_function(function, 5), from_function(lambda x, y: x, 5)
    assert one == same and hash(one) == hash(same)
    assert one != other and one != from_function(function, 7)
    assert one.identity == same.identity == f"function mod 5#{one.table().fingerprint[:16]}" == other.identity
    assert one.identity != from_function(lambda x, y: y, 5).identity


def scaled(scale, shift=0):
    return lambda x, y, shift=shift: (scale * x + y + shift) % 5


def test_a_source_hash_tells_code_and_what_it_holds_apart():
    two_of_a_line = [lambda x, y: x, lambda x, y: y]
    made = [scaled(1), scaled(2), scaled(1, 1), scaled(np.arange(2)), scaled(np.arange(3)), *two_of_a_line]
    made += [operator.add, operator.mul, functools.partial(operator.add, 1), functools.partial(operator.add, 2)]
    made += [Adder(1), Adder(2), Adder, Adder(1).add, Adder(2).add, eval("lambda x: x"), eval("lambda x: x + 1")]
    hashes = [source_hash(function) for function in made]
    assert len(set(hashes)) == len(hashes)
    assert all(len(found) == 12 and int(found, 16) >= 0 for found in hashes)
    assert source_hash(scaled(2)) == source_hash(scaled(2)) and source_hash(Adder(2)) == source_hash(Adder(2))


class Adder:
    def __init__(self, shift):
        self.shift = shift
        self.me = self

    def add(self, x, y):
        return (x + y + self.shift) % 5

    __call__ = add


def test_any_callable_is_a_function():
    expected = from_function(lambda x, y: (x + y + 2) % 5, 5).table()
    assert from_function(Adder(2), 5).table() == expected
    assert from_function(Adder(2).add, 5).table() == expected
    assert from_function(Adder(2), 5).identity.startswith("Adder mod 5#")


INPUTS, LABELS = [[0, 1], [2, 3], [4, 0]], [1, 0, 2]


def test_a_table_is_what_is_given():
    task = from_table(INPUTS, LABELS, name="mine")
    table = task.table()
    assert table.inputs.tolist() == INPUTS and table.labels.tolist() == [[1], [0], [2]]
    assert table.inputs.dtype == table.labels.dtype == np.int32
    assert (table.vocab_size, table.num_classes, table.answer_positions, table.pair) == (5, 5, (1,), None)
    assert (task.name, task.num_examples, task.length) == ("mine", 3, 2)
    assert task.identity == f"table:{table.fingerprint[:16]}"


def test_a_table_may_have_several_answers_some_unscored_and_pairs():
    table = from_table(
        np.array(INPUTS, np.uint8), [[1, -1], [0, 9], [2, 2]], vocab_size=7, num_classes=12, pair=[7, 3, 7]
    ).table()
    assert table.labels.tolist() == [[1, -1], [0, 9], [2, 2]] and table.answer_positions == (0, 1)
    assert (table.vocab_size, table.num_classes) == (7, 12)
    assert table.pair.tolist() == [1, 0, 1] and table.pair.dtype == np.int32
    assert from_table(INPUTS, LABELS, answer_positions=[0]).table().answer_positions == (0,)


def test_tables_of_the_same_content_are_the_same_task():
    one, same = from_table(INPUTS, LABELS), from_table(np.array(INPUTS), np.array(LABELS))
    assert one == same and hash(one) == hash(same) and one.identity == same.identity
    others = [
        from_table([[0, 1], [2, 3], [4, 1]], LABELS),
        from_table(INPUTS, [1, 0, 3]),
        from_table(INPUTS, LABELS, vocab_size=6),
        from_table(INPUTS, LABELS, num_classes=3),
        from_table(INPUTS, LABELS, answer_positions=(0,)),
        from_table(INPUTS, LABELS, pair=[0, 1, 1]),
    ]
    assert len({task.identity for task in (one, *others)}) == len(set((one, *others))) == 7


BAD_TABLES = {
    "one row": (dict(inputs=[[1, 2]], labels=[0]), "inputs has 1 rows. It must have at least 2"),
    "flat": (dict(inputs=[1, 2, 3]), "inputs has the shape [3]. It must be [examples, length], and not be empty."),
    "ragged": (dict(inputs=[[1], [2, 3]]), "inputs has rows of different lengths. It must be [examples, length]."),
    "empty": (dict(inputs=np.zeros((0, 2), int)), "inputs has the shape [0, 2]."),
    "deep labels": (dict(labels=np.zeros((3, 1, 1), int)), "labels has the shape [3, 1, 1]. It must be [examples] or"),
    "images": (
        dict(inputs=np.zeros((3, 2, 2))),
        "inputs has the shape [3, 2, 2]. It must be [examples, length], and not be empty. Try inputs.reshape(",
    ),
    "text": (
        dict(labels=["a", "b", "c"]),
        "labels has the dtype <U1. It must hold whole numbers, classes, or floats, targets.",
    ),
    "digits as text": (
        dict(labels=["0", "1", "2"]),
        "labels has the dtype <U1. It must hold whole numbers; try labels.",
    ),
    "infinite": (
        dict(inputs=[[0.0, np.inf]] * 3),
        "inputs holds inf at [0, 1]. Its numbers must be finite in float32.",
    ),
    "no number": (dict(labels=[0.0, np.nan, 1.0]), "labels holds nan at [1]. Its numbers must be finite in float32."),
    "too large": (dict(labels=[0.0, 1e300, 1.0]), "labels holds inf at [1]. Its numbers must be finite in float32."),
    "vocabulary of features": (
        dict(inputs=np.zeros((3, 2)), vocab_size=3),
        "vocab_size has no meaning where the inputs are features. Leave it out.",
    ),
    "positions of features": (
        dict(inputs=np.zeros((3, 2)), answer_positions=[0]),
        "answer_positions has no meaning where the inputs are features. Leave it out.",
    ),
    "classes of targets": (
        dict(labels=np.zeros(3), num_classes=3),
        "num_classes has no meaning where the labels are targets. Leave it out.",
    ),
    "complex": (dict(inputs=[[1j, 1.0]] * 3), "inputs has the dtype complex128. It must hold whole numbers, token ids"),
    "objects": (dict(inputs=[[None, 1]] * 3), "inputs has the dtype object. It must hold whole numbers, token ids"),
    "half a position": (dict(answer_positions=[0.5]), "answer_positions has the dtype float64. It must hold whole "),
    "one position": (dict(answer_positions=1), "answer_positions has the shape []. It must be [answers]"),
    "bools": (dict(labels=[True, False, True]), "labels has the dtype bool. It must hold whole numbers"),
    "rows": (dict(labels=[1, 2]), "labels has 2 rows and inputs has 3. They must have as many."),
    "negative token": (
        dict(inputs=[[0, 1], [2, -3], [4, 0]]),
        "inputs holds -3 at [1, 1]. It must be from 0 to 4, vocab_size being 5.",
    ),
    "large token": (dict(vocab_size=4), "inputs holds 4 at [2, 0]. It must be from 0 to 3, vocab_size being 4."),
    "large label": (dict(num_classes=2), "labels holds 2 at [2, 0]. It must be from -1 to 1, num_classes being 2."),
    "negative label": (dict(labels=[0, -2, 1]), "labels holds -2 at [1, 0]. It must be from -1 to 4"),
    "unscored": (dict(labels=[-1, -1, -1]), "labels is -1 in all of row 0. Leave out rows that are not scored."),
    "vocabulary": (dict(vocab_size=2.5), "vocab_size=2.5 is not a whole number. Leave it out for 5."),
    "no classes": (dict(num_classes=0), "num_classes=0 is out of range: it must be from 1 to 16777216."),
    "huge token": (dict(inputs=[[0, 2**40]] * 3), "vocab_size=1099511627777 is out of range"),
    "answers": (dict(labels=[[0, 0, 0]] * 3), "labels has 3 answers in a row, and inputs only 2 tokens to ask at."),
    "positions": (
        dict(answer_positions=(0, 1)),
        "answer_positions=(0, 1) does not fit: it must hold 1 rising positions from 0 to 1, one for each answer",
    ),
    "position": (dict(answer_positions=(2,)), "answer_positions=(2,) does not fit"),
    "falling": (dict(labels=[[0, 0]] * 3, answer_positions=(1, 0)), "answer_positions=(1, 0) does not fit"),
    "pair": (dict(pair=[0, 1]), "pair has 2 rows and inputs has 3. They must have as many."),
    "pair shape": (dict(pair=[[0], [1], [1]]), "pair has the shape [3, 1]. It must be [examples]"),
}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 300).map(str), st.text("01.a ", max_size=2)), min_size=4, max_size=4))
def test_a_conversion_is_advised_only_where_it_loses_nothing(values):
    inputs = np.array(values).reshape(2, 2)
    with pytest.raises(ConfigError) as error:
        from_table(inputs, [0, 1])
    if "try inputs.astype(int)" in str(error.value):
        assert (inputs.astype(int).astype(inputs.dtype) == inputs).all()


def test_the_advice_to_convert_works():
    inputs = np.array(INPUTS, str)
    with pytest.raises(ConfigError, match=r"try inputs\.astype\(int\)"):
        from_table(inputs, LABELS)
    assert from_table(inputs.astype(int), LABELS) == from_table(INPUTS, LABELS)


def test_floats_are_features_and_targets():
    pixels = np.arange(6).reshape(3, 2) / 255
    table = from_table(pixels, LABELS, pair=[0, 1, 0]).table()
    assert table.has_features and not table.has_targets and table.inputs.dtype == np.float32
    np.testing.assert_allclose(table.inputs, pixels, rtol=1e-7)
    assert (table.vocab_size, table.num_classes, table.answer_positions, table.num_answers) == (0, 3, (), 1)
    assert from_table(pixels, LABELS, num_classes=10).table().num_classes == 10
    table = from_table(pixels.astype(np.float16), [[0.5, -1.0], [1.0, 2.0], [0.0, 3.0]]).table()
    assert table.has_targets and table.labels.tolist() == [[0.5, -1.0], [1.0, 2.0], [0.0, 3.0]]
    assert (table.num_classes, table.num_answers) == (1, 2)
    table = from_table(INPUTS, [0.5, 1.0, 2.0]).table()
    assert not table.has_features and table.has_targets and table.answer_positions == (1,)
    assert from_table(pixels, LABELS) == from_table(pixels.astype(np.float32), LABELS)
    assert from_table(pixels, LABELS) != from_table(-pixels, LABELS) != from_table(pixels, np.array(LABELS) * 1.0)


def test_a_table_comes_from_a_file(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, inputs=INPUTS, labels=LABELS, vocab_size=7)
    assert from_file(path) == from_table(INPUTS, LABELS, vocab_size=7) and from_file(path).name == "mine"
    np.savez(path, inputs=np.array(INPUTS, float), labels=[0.5, 1.0, 2.0], name="other")
    assert from_file(path) == from_table(np.array(INPUTS, float), [0.5, 1.0, 2.0]) and from_file(path).name == "other"
    assert component("task", str(path)) == from_file(path)


BAD_FILES = {
    "absent": (None, "cannot be read as a table (FileNotFoundError"),
    "no zip": (b"inputs", "cannot be read as a table ("),
    "no labels": (dict(inputs=INPUTS, label=LABELS), "holds inputs, label, and no labels. Save one by numpy.savez("),
    "more": (
        dict(inputs=INPUTS, labels=LABELS, x_test=LABELS),
        "holds x_test, which is no part of a table. It may hold",
    ),
    "objects": (dict(inputs=np.array([None, 1]), labels=LABELS), "cannot be read as a table (ValueError"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_holds_no_table_is_refused(tmp_path, case):
    path, (content, message) = tmp_path / "mine.npz", BAD_FILES[case]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        np.savez(path, **content)
    with pytest.raises(ConfigError) as error:
        from_file(path)
    assert str(error.value).startswith(f"{path} {message}") and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("case", BAD_TABLES)
def test_arrays_that_do_not_fit_are_refused(case):
    changed, message = BAD_TABLES[case]
    with pytest.raises(ConfigError) as error:
        from_table(**dict(inputs=INPUTS, labels=LABELS) | changed)
    assert str(error.value).startswith(message)
