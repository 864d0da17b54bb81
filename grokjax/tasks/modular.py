"""Binary operations modulo p.

Source: Power et al. 2022, arXiv:2201.02177; the token formats of Nanda et al. 2023 and Melnik et al.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from grokjax.config import ConfigError, check_settings, setting
from grokjax.tasks.table import Table


class Operation(NamedTuple):
    """A binary operation mod p: its formula, its values, and whether it divides by its second operand."""

    formula: str
    compute: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    divides: bool = False


def inverses(modulus: int) -> np.ndarray:
    """[modulus] int64: the multiplicative inverse of each residue of a prime modulus; 0 stays 0."""
    return np.array([pow(x, -1, modulus) if x else 0 for x in range(modulus)], np.int64)


OPERATIONS = {
    "add": Operation("x+y", lambda x, y, p: (x + y) % p),
    "subtract": Operation("x-y", lambda x, y, p: (x - y) % p),
    "multiply": Operation("x*y", lambda x, y, p: x * y % p),
    "divide": Operation("x/y", lambda x, y, p: x * inverses(p)[y] % p, divides=True),
}
FORMULAS = {operation.formula: name for name, operation in OPERATIONS.items()}

TOKEN_FORMATS = ("a o b =", "a b =", "a b")


@dataclasses.dataclass(frozen=True)
class Modular:
    """x o y mod p over all pairs (x, y), x the slower index; for division the pairs with y != 0.

    Token ids: the numbers 0 .. p-1, then the operator (if the format has it), then '='. The answer is read at the
    last position.

    Raises:
      ConfigError: for an unknown operation or format, or a modulus that is not prime where the operation divides.
    """

    operation: str = setting("add", "the operation", choices=(*OPERATIONS, *FORMULAS), label="operation")
    modulus: int = setting(97, "the numbers are 0 .. modulus-1", low=2, high=46_340, label="modulus p")
    tokens: str = setting("a b =", "what a row is written as", choices=TOKEN_FORMATS)
    output: str = setting(
        "vocabulary", "classes of the output: every token, or the numbers alone", choices=("vocabulary", "numbers")
    )

    def __post_init__(self):
        check_settings(self)
        object.__setattr__(self, "operation", FORMULAS.get(self.operation, self.operation))
        if OPERATIONS[self.operation].divides and (factor := _least_factor(self.modulus)) < self.modulus:
            raise ConfigError(
                f"modulus={self.modulus} is not prime ({factor} divides it), and {self.operation} ({self._formula}) "
                f"needs an inverse of every number but 0. Try --modulus={_previous_prime(self.modulus)}."
            )

    @property
    def _formula(self) -> str:
        return OPERATIONS[self.operation].formula

    @property
    def name(self) -> str:
        """E.g. 'x+y mod 97'."""
        return f"{self._formula} mod {self.modulus}"

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""
        return self.modulus * (self.modulus - OPERATIONS[self.operation].divides)

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return len(self.tokens.split())

    def table(self) -> Table:
        """The full table."""
        p, operation, words = self.modulus, OPERATIONS[self.operation], self.tokens.split()
        x, y = (column.ravel() for column in np.mgrid[0:p, int(operation.divides) : p])
        symbols = {word: p + i for i, word in enumerate(word for word in words if word in ("o", "="))}
        columns = {"a": x, "b": y, **{word: np.full_like(x, token) for word, token in symbols.items()}}
        vocab_size = p + len(symbols)
        return Table(
            inputs=np.stack([columns[word] for word in words], axis=1).astype(np.int32),
            labels=operation.compute(x, y, p)[:, None].astype(np.int32),
            answer_positions=(len(words) - 1,),
            vocab_size=vocab_size,
            num_classes=vocab_size if self.output == "vocabulary" else p,
            name=self.name,
        )


def _least_factor(number: int) -> int:
    return next((f for f in range(2, int(number**0.5) + 1) if number % f == 0), number)


def _previous_prime(number: int) -> int:
    return next(n for n in range(number, 1, -1) if _least_factor(n) == n)
