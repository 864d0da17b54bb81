"""Tasks of your own: from a function of residues, or from a table of inputs and labels, given or in a file."""

import dataclasses
import functools
import inspect
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from grokjax.config import ConfigError, check_settings, setting
from grokjax.tasks import formats
from grokjax.tasks.modular import MOST_COUNTED, all_rows
from grokjax.tasks.table import Table

COMPARED_ROWS = 256
"""Rows of a function called on arrays that are computed again with Python's own integers, which cannot overflow."""


@dataclasses.dataclass(frozen=True)
class FunctionTask:
    """`function(x, y)` over all rows of operands 0 .. modulus-1, x the slowest index; see `from_function`.

    Two are equal if they have the very same function and settings.
    """

    function: Callable
    operands: int
    given_name: str | None
    modulus: int = setting(97, "the numbers are 0 .. modulus-1", low=2, high=46_340, label="modulus p")
    tokens: str = formats.tokens_setting()
    output: str = formats.output_setting()

    def __post_init__(self):
        check_settings(self)
        formats.check_format(self.tokens, self.output, None, self.modulus)
        if self.num_examples > MOST_COUNTED:
            raise ConfigError(
                f"{self.operands} operands of modulus={self.modulus} make {self.num_examples:,} rows, more than "
                f"{MOST_COUNTED:,} to call a function on. Try a smaller --modulus."
            )
        _labels(self.function, self.modulus, self.operands)  # so that a wrong answer is reported at once

    @property
    def name(self) -> str:
        """As given; otherwise e.g. 'f mod 97'."""
        return self.given_name or f"{_title(self.function)} mod {self.modulus}"

    @property
    def identity(self) -> str:
        """The task by the content of its table."""
        return _function_identity(self)

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""
        return self.modulus**self.operands

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return len(formats.words(self.tokens, self.operands))

    def table(self) -> Table:
        """The full table."""
        rows = _rows(self.modulus, self.operands)
        answers = _labels(self.function, self.modulus, self.operands)
        written = formats.write(rows, answers, self.modulus, self.tokens, self.output)
        return Table(**written, name=self.name, pair=formats.pairs(rows, self.modulus))


@functools.lru_cache(maxsize=64)
def _function_identity(task: FunctionTask) -> str:
    return f"{task.name}#{task.table().fingerprint[:16]}"


def forget() -> None:
    """Forgets what functions have answered, since what they refer to may have changed."""
    _function_identity.cache_clear()
    _labels.cache_clear()


def from_function(
    function: Any,
    modulus: int,
    *,
    tokens: str = "a b =",
    output: str = "vocabulary",
    operands: int | None = None,
    name: str | None = None,
) -> FunctionTask:
    """A task whose answers are `function(x, y)`, such as `lambda x, y: (x**2 + 3*y) % 59`.

    Args:
      function: of the operands, to whole numbers 0 .. modulus-1. Called with [rows] int64 arrays; if it cannot take
        them, or their integers overflow, with Python's integers row by row.
      modulus: the operands are 0 .. modulus-1.
      tokens, output: how rows are written, as in `Modular`.
      operands: arguments of the function; default: those of its signature that have no default.
      name: how messages and figures call the task; default: the function's name.

    Returns:
      A task whose modulus, tokens and output can be swept.

    Raises:
      ConfigError: for an answer that is no whole number 0 .. modulus-1, naming the first such row.
    """
    if not callable(function):
        raise ConfigError(f"function={function!r} cannot be called. Try lambda x, y: (x + y) % {modulus}.")
    operands = _num_arguments(function) if operands is None else operands
    if not 1 <= operands <= 6:
        raise ConfigError(f"operands={operands} is out of range: a function may have 1 to 6. Try operands=2.")
    return FunctionTask(function, operands, name, modulus=modulus, tokens=tokens, output=output)


def _title(function: Callable) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def _parameters(function: Callable) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _num_arguments(function: Callable) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in _parameters(function))
    if not count:
        raise ConfigError(
            f"The signature of {_title(function)} does not tell how many operands it takes. Try from_function(..., "
            "operands=2)."
        )
    return count


def _rows(modulus: int, operands: int) -> Int[np.ndarray, "operands rows"]:
    return np.concatenate(list(all_rows(modulus, operands)), axis=1)


@functools.lru_cache(maxsize=16)
def _labels(function: Callable, modulus: int, operands: int) -> Int[np.ndarray, " rows"]:
    """[rows] int64, read-only: the function's answers, checked."""
    rows = _rows(modulus, operands)
    answers = _called_on_arrays(function, rows)
    if answers is None:
        answers = [_called(function, row) for row in rows.T.tolist()]
    labels = np.array([_label(answer, modulus) for answer in answers], np.int64)
    if (labels < 0).any():
        first = int(np.argmax(labels < 0))
        raise ConfigError(
            f"{_title(function)} gives {answers[first]} at {_call_text(function, rows[:, first].tolist())}, not a "
            f"whole number from 0 to {modulus - 1}. {_answer_hint(answers[first], modulus)}"
        )
    labels.setflags(write=False)
    return labels


def _called_on_arrays(function: Callable, rows: np.ndarray) -> list | None:
    """The answers by one call on arrays; None if the function does not take them as it takes single numbers."""
    try:
        with np.errstate(all="raise"):
            answers = np.asarray(function(*rows.copy()))
            if answers.shape != rows.shape[1:]:
                return None
            compared = np.unique(np.linspace(0, rows.shape[1] - 1, COMPARED_ROWS).astype(int))
            alone = [function(*row) for row in rows[:, compared].T.tolist()]
            agree = all(bool(answers[i] == answer) for i, answer in zip(compared, alone, strict=True))
    except Exception:  # whatever it raises, calling it row by row will tell
        return None
    return answers.tolist() if agree else None


def _called(function: Callable, row: list[int]):
    try:
        return function(*row)
    except Exception as error:
        raise ConfigError(
            f"{_title(function)} raises {type(error).__name__} at {_call_text(function, row)}: {error}. It must have "
            "an answer for every row."
        ) from error


def _label(answer, modulus: int) -> int:
    """The answer as an int; -1 if it is no whole number 0 .. modulus-1."""
    try:
        label = int(answer)
        return label if bool(label == answer) and 0 <= label < modulus else -1
    except (TypeError, ValueError, OverflowError):
        return -1


def _answer_hint(answer, modulus: int) -> str:
    """What to try where a function gives `answer`, which is not a class."""
    try:
        helps = bool(int(answer) == answer)
    except (TypeError, ValueError, OverflowError):
        helps = False
    return f"Try to return the answer % {modulus}." if helps else "Its answers must be classes, as whole numbers."


def _call_text(function: Callable, row: list[int]) -> str:
    names = [p.name for p in _parameters(function)]
    names = names if len(names) >= len(row) else [f"x{i + 1}" for i in range(len(row))]
    return ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=False))


@dataclasses.dataclass(frozen=True)
class TableTask:
    """A given table; see `from_table`. Two are equal if their contents are."""

    given: Table

    @property
    def name(self) -> str:
        """As given."""
        return self.given.name

    @property
    def identity(self) -> str:
        """The table by its content."""
        return f"table:{self.given.fingerprint[:16]}"

    @property
    def num_examples(self) -> int:
        """Rows of the table."""
        return self.given.num_examples

    @property
    def length(self) -> int:
        """Tokens or features in a row."""
        return self.given.inputs.shape[1]

    def table(self) -> Table:
        """The table."""
        return self.given


def from_table(
    inputs: Any,
    labels: Any,
    *,
    name: str = "table",
    vocab_size: Any = None,
    num_classes: Any = None,
    answer_positions: Any = None,
    pair: Any = None,
) -> TableTask:
    """A task from a table of your own. What an array holds follows from its dtype.

    Args:
      inputs: [examples, length] whole numbers, token ids; or [examples, features] floats, such as pixels.
      labels: [examples] or [examples, answers] whole numbers, classes, -1 where an answer is not scored; or floats, the
        targets of a regression. Floats are kept as float32, and must be finite.
      name: how messages and figures call the task.
      vocab_size: token ids; default: the largest in the inputs plus 1. Features have none.
      num_classes: default: the larger of `vocab_size` and the largest label plus 1. Targets have none.
      answer_positions: the input position at which each answer is read, rising; default: the last ones. Features have
        none.
      pair: [examples] whole numbers, the same for rows with the same operands in some order; default: unknown.

    Returns:
      The task.

    Raises:
      ConfigError: for arrays that do not fit each other or their ranges.
    """
    inputs = _numbers(inputs, "inputs", (2,), "[examples, length]")
    labels = _numbers(labels, "labels", (1, 2), "[examples] or [examples, answers]")
    labels = labels[:, None] if labels.ndim == 1 else labels
    if len(labels) != len(inputs):
        raise ConfigError(f"labels has {len(labels)} rows and inputs has {len(inputs)}. They must have as many.")
    if len(inputs) < 2:
        raise ConfigError(f"inputs has {len(inputs)} rows. It must have at least 2, one to train and one to validate.")
    if inputs.dtype == np.float32:
        _check_absent("inputs are features", vocab_size=vocab_size, answer_positions=answer_positions)
        vocab_size, positions = 0, ()
    else:
        vocab_size = _checked_range(inputs, "inputs", 0, "vocab_size", vocab_size, int(inputs.max()) + 1)
        positions = _positions(answer_positions, labels.shape[1], inputs.shape[1])
    if labels.dtype == np.float32:
        _check_absent("labels are targets", num_classes=num_classes)
        num_classes = 1
    else:
        default = max(vocab_size, int(labels.max()) + 1)
        num_classes = _checked_range(labels, "labels", -1, "num_classes", num_classes, default)
        if (unscored := (labels < 0).all(axis=1)).any():
            row = int(np.argmax(unscored))
            raise ConfigError(f"labels is -1 in all of row {row}. Leave out rows that are not scored.")
    if pair is not None:
        pair = _whole(pair, "pair", (1,), "[examples]")
        if len(pair) != len(inputs):
            raise ConfigError(f"pair has {len(pair)} rows and inputs has {len(inputs)}. They must have as many.")
        pair = np.unique(pair, return_inverse=True)[1].astype(np.int32)
    kept = (array if array.dtype == np.float32 else array.astype(np.int32) for array in (inputs, labels))
    return TableTask(Table(*kept, positions, vocab_size, num_classes, name, pair=pair))


def from_file(path: str | os.PathLike) -> TableTask:
    """A task from a table in a file, as `numpy.savez("mine.npz", inputs=..., labels=...)` writes it.

    On the command line: `--task=mine.npz`.

    Args:
      path: of an .npz with the arrays `inputs` and `labels`, and perhaps others of what `from_table` takes, under
        their names. The task's name is by default that of the file.

    Raises:
      ConfigError: for a file that holds no table, or as `from_table`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            given = {name: file[name] for name in file.files}
    except (OSError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ConfigError(f"{path} cannot be read as a table ({reason}). {_SAVE}") from None
    known = tuple(inspect.signature(from_table).parameters)
    if missing := [name for name in ("inputs", "labels") if name not in given]:
        raise ConfigError(f"{path} holds {', '.join(given) or 'nothing'}, and no {' and no '.join(missing)}. {_SAVE}")
    if unknown := [name for name in given if name not in known]:
        raise ConfigError(f"{path} holds {unknown[0]}, which is no part of a table. It may hold {', '.join(known)}.")
    plain = {name: array if array.ndim else array[()] for name, array in given.items()}
    return from_table(**plain | {"name": str(plain.get("name", Path(path).stem))})


_SAVE = "Save one by numpy.savez('mine.npz', inputs=inputs, labels=labels)."


def _check_absent(reason: str, **given) -> None:
    """ConfigError for an argument that has no meaning for such a table."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"{name} has no meaning where the {reason}. Leave it out.")


def _numbers(values, what: str, ranks: tuple[int, ...], shape: str) -> np.ndarray:
    """`values` as an array of whole numbers, or of finite float32, of one of these ranks, not empty."""
    array = _array(values, what, ranks, shape)
    if not np.issubdtype(array.dtype, np.floating):
        return _checked_whole(array, what)
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ConfigError(f"{what} holds {array[tuple(place)]} at {place}. Its numbers must be finite in float32.")
    return array


def _whole(values, what: str, ranks: tuple[int, ...], shape: str) -> np.ndarray:
    """`values` as an array of whole numbers of one of these ranks, not empty."""
    return _checked_whole(_array(values, what, ranks, shape), what)


def _array(values, what: str, ranks: tuple[int, ...], shape: str) -> np.ndarray:
    """`values` as an array of one of these ranks, not empty."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ConfigError(f"{what} has rows of different lengths. It must be {shape}.") from None
    if array.ndim not in ranks or array.size == 0:
        flat = f" Try {what}.reshape(len({what}), -1)." if array.ndim > max(ranks) and array.size else ""
        raise ConfigError(f"{what} has the shape {list(array.shape)}. It must be {shape}, and not be empty.{flat}")
    return array


def _checked_whole(array: np.ndarray, what: str) -> np.ndarray:
    """The array; ConfigError unless it holds whole numbers."""
    if not np.issubdtype(array.dtype, np.integer):
        raise ConfigError(f"{what} has the dtype {array.dtype}. {_dtype_hint(array, what)}")
    return array


MEANINGS = {
    "inputs": "token ids, or floats, features",
    "labels": "classes, or floats, targets",
    "pair": "one per unordered pair",
    "answer_positions": "positions in a row",
}
"""What the whole numbers of a table's arrays are."""


def _dtype_hint(array: np.ndarray, what: str) -> str:
    """How to convert an array of another dtype where that loses nothing; otherwise what is wanted."""
    try:
        with np.errstate(all="ignore"):
            if np.iscomplexobj(array):
                array = array.astype(object)  # which refuses where complex numbers would warn
            lossless = bool((array.astype(int).astype(array.dtype) == array).all())
    except (TypeError, ValueError, OverflowError):
        lossless = False
    if lossless:
        return f"It must hold whole numbers; try {what}.astype(int)."
    return f"It must hold whole numbers, {MEANINGS[what]}."


def _checked_range(array, what: str, low: int, bound_name: str, bound, default: int) -> int:
    """The bound, once every number of the array lies in low .. bound-1."""
    if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | np.integer)):
        raise ConfigError(f"{bound_name}={bound} is not a whole number. Leave it out for {default}.")
    bound = default if bound is None else int(bound)
    if not 1 <= bound <= 2**24:
        raise ConfigError(f"{bound_name}={bound} is out of range: it must be from 1 to {2**24}.")
    outside = (array < low) | (array >= bound)
    if outside.any():
        place = [int(i) for i in np.argwhere(outside)[0]]
        raise ConfigError(
            f"{what} holds {array[tuple(place)]} at {place}. It must be from {low} to {bound - 1}, "
            f"{bound_name} being {bound}."
        )
    return bound


def _positions(positions: Any, num_answers: int, length: int) -> tuple[int, ...]:
    if positions is None:
        if num_answers > length:
            raise ConfigError(f"labels has {num_answers} answers in a row, and inputs only {length} tokens to ask at.")
        return tuple(range(length - num_answers, length))
    positions = tuple(_whole(positions, "answer_positions", (1,), "[answers]").tolist())
    rising = all(a < b for a, b in zip(positions, positions[1:], strict=False))
    if len(positions) != num_answers or not rising or positions[0] < 0 or positions[-1] >= length:
        raise ConfigError(
            f"answer_positions={positions} does not fit: it must hold {num_answers} rising positions from 0 to "
            f"{length - 1}, one for each answer of a row."
        )
    return positions
