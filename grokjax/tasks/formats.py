"""How rows of operands are written as tokens: the numbers first, then the symbols that the format has.

Source: 'a o b =' is the lean form of Power et al. 2022, arXiv:2201.02177, and '<eos> a o b = c <eos>' theirs; 'a b ='
is that of Nanda et al. 2023, arXiv:2301.05217; 'a b' that of Melnik et al.
"""

from typing import Any

import numpy as np
from jaxtyping import Int

from grokjax.config import ConfigError, setting

ANSWERED = "<eos> a o b = c <eos>"
TOKEN_FORMATS = ("a o b =", "a b =", "a b", ANSWERED)
SYMBOLS = ("o", "=", "<eos>")
"""The tokens that are no numbers, in the order of their ids."""


def tokens_setting():
    """The setting that names a format; with more operands the pattern goes on: x1 o x2 o x3 =."""
    return setting("a b =", "what a row is written as", choices=TOKEN_FORMATS)


def output_setting():
    """The setting that says what the classes are."""
    return setting(
        "vocabulary", "classes of the output: every token, or the numbers alone", choices=("vocabulary", "numbers")
    )


def vocab_size_setting():
    """The setting of the number of token ids."""
    return setting(
        None,
        "token ids; more than needed leaves some unused (239: Power et al.'s shared vocabulary); default: those needed",
        kind=int,
        low=1,
        high=2**24,
    )


def words(tokens: str, operands: int) -> tuple[str, ...]:
    """The input as words: 'x1', 'x2' ... for the operands, 'c' for the answer, and the symbols themselves."""
    parts = tokens.split()
    between = ["o"] if "o" in parts else []
    row = ["<eos>"] if parts[0] == "<eos>" else []
    for i in range(operands):
        row += [*(between if i else []), f"x{i + 1}"]
    return (*row, *(word for word in parts if word in ("=", "c")))


def symbol_ids(tokens: str, numbers: int) -> dict[str, int]:
    """The id of each symbol that the format has."""
    held = [symbol for symbol in SYMBOLS if symbol in tokens.split()]
    return {symbol: numbers + i for i, symbol in enumerate(held)}


def check_format(tokens: str, output: str, vocab_size: int | None, numbers: int) -> None:
    """Refuses what cannot be written.

    Args:
      tokens, output, vocab_size: the settings.
      numbers: ids that the operands and answers need.

    Raises:
      ConfigError: for a vocabulary that is too small, or an answer <eos> among the numbers.
    """
    needed = numbers + len(symbol_ids(tokens, numbers))
    if vocab_size is not None and vocab_size < needed:
        raise ConfigError(
            f"vocab_size={vocab_size} is too small: {numbers} numbers and the symbols of {tokens!r} need {needed} "
            f"token ids. Try --vocab_size={needed}, or leave it out."
        )
    if tokens == ANSWERED and output == "numbers":
        raise ConfigError(
            f"output=numbers leaves out <eos>, which {tokens!r} has as its second answer. Try --output=vocabulary."
        )


def write(
    operands: Int[np.ndarray, "operands examples"],
    answers: Int[np.ndarray, " examples"],
    numbers: int,
    tokens: str,
    output: str,
    vocab_size: int | None = None,
) -> dict[str, Any]:
    """Writes rows as tokens.

    The answer is read at the last position. In '<eos> a o b = c <eos>' two are: c where '=' stands, the final <eos>
    where c stands; as c is an input there, only causal models can be asked.

    Args:
      operands: [operands, examples], below `numbers`.
      answers: [examples], below `numbers`.
      numbers: ids that are no symbols.
      tokens, output, vocab_size: as in `check_format`.

    Returns:
      The fields of a `Table` that depend on the format: inputs, labels, answer_positions, vocab_size, num_classes.
    """
    row, symbols = words(tokens, len(operands)), symbol_ids(tokens, numbers)
    vocab_size = vocab_size or numbers + len(symbols)
    columns = {f"x{i + 1}": column for i, column in enumerate(operands)} | {"c": answers}
    columns |= {symbol: np.full_like(answers, token) for symbol, token in symbols.items()}
    labels, answer_positions = [answers], (len(row) - 1,)
    if tokens == ANSWERED:
        labels, answer_positions = [answers, columns["<eos>"]], (len(row) - 2, len(row) - 1)
    return dict(
        inputs=np.stack([columns[word] for word in row], axis=1).astype(np.int32),
        labels=np.stack(labels, axis=1).astype(np.int32),
        answer_positions=answer_positions,
        vocab_size=vocab_size,
        num_classes=vocab_size if output == "vocabulary" else numbers,
    )


def pairs(operands: Int[np.ndarray, "operands examples"], numbers: int) -> Int[np.ndarray, " examples"]:
    """[examples] int32: one number for all rows that have the same operands in some order, counted from 0."""
    code = np.zeros(operands.shape[1], np.int64)
    for column in np.sort(operands, axis=0):
        code = code * numbers + column
    return np.unique(code, return_inverse=True)[1].astype(np.int32)
