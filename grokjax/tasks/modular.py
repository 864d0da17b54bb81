"""Operations modulo p on two or more operands.

Source: Power et al. 2022, arXiv:2201.02177, whose ten modular operations are here; sums of K operands and ordered
rows as in the replications that followed; the square and the random labels of Huang et al. 2024.
"""

import dataclasses
import difflib
import functools
import math
import re
import shlex
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from grokjax.config import ConfigError, check_settings, other_value, refusing, setting, unknown_value
from grokjax.tasks import formats
from grokjax.tasks.expression import Expression, parse
from grokjax.tasks.table import Table

NAMED = {
    "add": "x+y",
    "subtract": "x-y",
    "multiply": "x*y",
    "divide": "x/y",
    "divide_if_odd": "x/y if y%2 else x-y",
}
"""Operations with a name of their own, and their formula for two operands; every other formula is its own name."""

REPEATABLE = {"add": "+", "multiply": "*"}
"""Those that go on to more operands."""

RANDOM = {"random": "random labels", "random_symmetric": "symmetric random labels"}
"""Labels that each run draws, for each row or for each set of operands in whatever order, and how they are called."""

MOST_OPERANDS = 6
MOST_ROWS = 2**31 - 1
MOST_COUNTED = 2**26
BLOCK = 2**20
"""Rows that are made at once."""


@refusing
@dataclasses.dataclass(frozen=True)
class Modular:
    """An operation mod p over all rows of operands, the first operand the slowest index.

    Rows where the operation divides by 0 are left out. Token ids: the numbers 0 .. p-1, then the operator (if the
    format has it), '=' and <eos>. `pair` numbers the sets of operands in whatever order.

    The formula of an operation with a name is another spelling of it, and formulas that differ in spaces or needless
    brackets alone are the same; see `grokjax.tasks.expression.parse` for what a formula may hold.

    Power et al.'s: add, subtract, multiply, divide, divide_if_odd, x^2+y^2, x^2+x*y+y^2, x^2+x*y+y^2+x, x^3+x*y and
    x^3+x*y^2+y. Multiplication without zeros is 1/(1/(x*y)).

    Raises:
      ConfigError: for an unknown operation or format, a formula that cannot be read, a modulus that is not prime
        where the operation divides, or a table that is empty or too large.
    """

    operation: str = setting(
        "add",
        f"{', '.join(NAMED)}, {', '.join(RANDOM)} (drawn per run), or a formula such as x^2+3*y",
        names=(*NAMED, *RANDOM),
        label="operation",
    )
    modulus: int = setting(97, "the numbers are 0 .. modulus-1", low=2, high=46_340, label="modulus p")
    tokens: str = formats.tokens_setting()
    output: str = formats.output_setting()
    operands: int = setting(2, "operands of a row; add and multiply go on to any number", low=2, high=MOST_OPERANDS)
    ordered: bool = setting(False, "only rows whose operands do not fall, x1 <= x2 <= ...")
    vocab_size: int | None = formats.vocab_size_setting()

    def __post_init__(self):
        check_settings(self)
        object.__setattr__(self, "operation", canonical(self.operation, self.operands))
        self._check_division()
        formats.check_format(self.tokens, self.output, self.vocab_size, self.modulus)
        if self.operation in RANDOM and self.tokens == formats.ANSWERED:
            raise ConfigError(
                f"tokens={self.tokens} has the answer in the input, and operation={self.operation} draws it anew in "
                f"each run. Try --tokens='a o b ='."
            )
        self._check_rows()

    def _check_division(self):
        factor = least_factor(self.modulus)
        if self.expression is not None and self.expression.divides and factor < self.modulus:
            formula = self.expression.formula(self.operands)
            which = f"{self.operation} ({formula})" if self.operation in NAMED else formula
            raise ConfigError(
                f"modulus={self.modulus} is not prime ({factor} divides it), and {which} "
                f"needs an inverse of every number but 0. Try --modulus={_previous_prime(self.modulus)}."
            )

    def _check_rows(self):
        divides = self.expression is not None and self.expression.divides
        rows = self.modulus**self.operands
        size = f"operands={self.operands} of modulus={self.modulus} make {rows:,} rows"
        if divides and rows > MOST_COUNTED:
            raise ConfigError(
                f"{size}, too many to count those where {self.operation} is defined. Try a smaller --modulus."
            )
        if self.num_examples > MOST_ROWS:
            raise ConfigError(f"{size}, more than {MOST_ROWS:,}. Try a smaller --modulus or fewer --operands.")
        if self.num_examples == 0:
            tries = "/".join(["x", "y"] if self.operands == 2 else [f"x{i}" for i in range(1, self.operands + 1)])
            raise ConfigError(
                f"operation={self.operation} divides by 0 in every row, so there is none to learn. "
                f"Try --operation={tries}."
            )

    @property
    def expression(self) -> Expression | None:
        """The operation as a formula; None for random labels."""
        return None if self.operation in RANDOM else _expression(self.operation, self.operands)

    @property
    def name(self) -> str:
        """E.g. 'x+y mod 97'."""
        if self.expression is None:
            what = RANDOM[self.operation] + (f" of {self.operands} operands" if self.operands > 2 else "")
        else:
            what = self.expression.formula(self.operands)
            what = f"({what})" if self.expression.chooses else what
        return f"{what} mod {self.modulus}{', ordered' if self.ordered else ''}"

    @property
    def random_parts(self) -> tuple[bool, ...]:
        """Whether the labels are random, so that nothing can be validated and all rows may train."""
        return (self.operation in RANDOM,)

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""
        if self.expression is not None and self.expression.divides:
            return _count_defined(self.expression, self.modulus, self.operands, self.ordered)
        if self.ordered:
            return math.comb(self.modulus + self.operands - 1, self.operands)
        return self.modulus**self.operands

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return len(formats.words(self.tokens, self.operands))

    def table(self) -> Table:
        """The full table. Labels that each run draws are 0 in it."""
        p = self.modulus
        if self.expression is None:
            operands = np.concatenate(list(all_rows(p, self.operands, self.ordered)), axis=1)
            answers = np.zeros_like(operands[0])
        else:
            operands, answers = _defined_rows(self.expression, p, self.operands, self.ordered)
        pair = formats.pairs(operands, p)
        random = {}
        if self.operation in RANDOM:
            own = np.arange(len(pair), dtype=np.int32)
            random = dict(label_group=own if self.operation == "random" else pair, random_classes=p)
        written = formats.write(operands, answers, p, self.tokens, self.output, self.vocab_size)
        return Table(**written, name=self.name, pair=pair, **random)


@functools.lru_cache(maxsize=1024)
def canonical(operation: str, operands: int) -> str:
    """The one spelling of an operation: its name if it has one, otherwise its formula.

    Raises:
      ConfigError: if it cannot be read, or does not fit the number of operands.
    """
    if ours := other_value("operation", operation):
        canonical(ours, operands)  # which says why, if that would not do either
        raise unknown_value("operation", operation, (ours,))
    if operation in RANDOM:
        return operation
    if operation in NAMED:
        if operands > 2 and operation not in REPEATABLE:
            sign = NAMED[operation][1]
            tries = sign.join(f"x{i}" for i in range(1, operands + 1))
            raise ConfigError(
                f"operation={operation} has two operands, not operands={operands}. Try --operation={tries}."
            )
        return operation
    if re.fullmatch(r"[A-Za-z_]+", operation) and not re.fullmatch(r"[xyz]+", operation):
        close = difflib.get_close_matches(operation, (*NAMED, *RANDOM), n=1)
        mean = f"Did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"operation={operation} is not known. {mean}Known: {', '.join((*NAMED, *RANDOM))}, or a formula such as "
            "x^2+3*y."
        )
    expression = parse(operation)
    _check_variables(expression, operation, operands)
    for name in NAMED if operands == 2 else REPEATABLE:
        if expression == _expression(name, operands):
            return name
    return expression.formula(operands)


def _check_variables(expression: Expression, text: str, operands: int) -> None:
    names = ["x", "y"] if operands == 2 else [f"x{i}" for i in range(1, operands + 1)]
    if beyond := [place for place in sorted(expression.variables) if place >= operands]:
        needed = max(beyond) + 1
        unnamed = [f"x{place + 1}" for place in range(needed) if place not in expression.variables]
        tries = f"Try --operands={needed}" if needed <= MOST_OPERANDS else "Leave it out"
        if unnamed and needed <= MOST_OPERANDS:
            tries += f" --operation={shlex.quote('+'.join([f'({text})', *(f'0*{name}' for name in unnamed)]))}"
        raise ConfigError(
            f"operation={text} names {'xyz'[beyond[0]] if beyond[0] < 3 else f'x{beyond[0] + 1}'}, but "
            f"operands={operands} are {', '.join(names)}. {tries}."
        )
    if missing := [name for place, name in enumerate(names) if place not in expression.variables]:
        raise ConfigError(
            f"operation={text} does not name {', '.join(missing)}, and operands={operands}. If the answer is not to "
            f"depend on it, add 0*{missing[0]}."
        )


@functools.lru_cache(maxsize=1024)
def _expression(operation: str, operands: int) -> Expression:
    """The formula of a canonical operation."""
    if operation in REPEATABLE and operands > 2:
        return parse(REPEATABLE[operation].join(f"x{i}" for i in range(1, operands + 1)))
    return parse(NAMED.get(operation, operation))


def all_rows(modulus: int, operands: int, ordered: bool = False) -> Iterator[Int[np.ndarray, "operands rows"]]:
    """All rows of operands 0 .. modulus-1, the first the slowest, in blocks of [operands, rows] int64.

    Args:
      modulus: numbers an operand may be.
      operands: of a row.
      ordered: only rows x1 <= x2 <= ...
    """
    places = modulus ** np.arange(operands - 1, -1, -1, dtype=np.int64)[:, None]
    for start in range(0, modulus**operands, BLOCK):
        row = np.arange(start, min(start + BLOCK, modulus**operands), dtype=np.int64)
        block = row // places % modulus
        yield block[:, (np.diff(block, axis=0) >= 0).all(0)] if ordered else block


@functools.lru_cache(maxsize=256)
def _count_defined(expression: Expression, modulus: int, operands: int, ordered: bool) -> int:
    return sum(
        int(np.count_nonzero(expression.evaluate(rows, modulus)[1])) for rows in all_rows(modulus, operands, ordered)
    )


def _defined_rows(expression: Expression, modulus: int, operands: int, ordered: bool):
    """[operands, examples] and [examples]: the rows where a formula is defined, and its values there."""
    rows, answers = [], []
    for block in all_rows(modulus, operands, ordered):
        values, defined = expression.evaluate(block, modulus)
        rows.append(block[:, defined])
        answers.append(values[defined])
    return np.concatenate(rows, axis=1), np.concatenate(answers)


def least_factor(number: int) -> int:
    """The least factor above 1 of a number above 1; the number itself if that is prime."""
    return next((f for f in range(2, math.isqrt(number) + 1) if number % f == 0), number)


def _previous_prime(number: int) -> int:
    return next(n for n in range(number, 1, -1) if least_factor(n) == n)
