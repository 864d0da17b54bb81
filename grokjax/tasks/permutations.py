"""Composition of permutations: the group S_n.

Source: Power et al. 2022, arXiv:2201.02177, whose three operations on S5 are here.
"""

import dataclasses
import functools
import itertools
import math

import numpy as np
from jaxtyping import Int

from grokjax.config import check_settings, refusing, setting
from grokjax.tasks import formats
from grokjax.tasks.table import Table

OPERATIONS = ("xy", "xyx^-1", "xyx")


@functools.lru_cache(maxsize=8)
def elements(degree: int) -> Int[np.ndarray, "elements degree"]:
    """[n!, n] int64: the permutations of 0 .. n-1 in lexicographic order, each as its images of 0, 1 ... Read-only."""
    found = np.array(list(itertools.permutations(range(degree))), np.int64)
    found.setflags(write=False)
    return found


def numbers_of(images: Int[np.ndarray, "*rows degree"]) -> Int[np.ndarray, "*rows"]:
    """The number of each permutation in `elements`, from its images."""
    degree = images.shape[-1]
    places = degree ** np.arange(degree - 1, -1, -1)
    return np.searchsorted(elements(degree) @ places, images @ places)


@functools.lru_cache(maxsize=8)
def products(degree: int) -> Int[np.ndarray, "elements elements"]:
    """[n!, n!] int64: the number of xy for each x (rows) and y, where (xy)(i) = x(y(i)): y acts first. Read-only."""
    group = elements(degree)
    found = numbers_of(group[:, group])
    found.setflags(write=False)
    return found


@functools.lru_cache(maxsize=8)
def inverses(degree: int) -> Int[np.ndarray, " elements"]:
    """[n!] int64: the number of the inverse of each element. Read-only."""
    found = numbers_of(np.argsort(elements(degree), axis=1))
    found.setflags(write=False)
    return found


@refusing
@dataclasses.dataclass(frozen=True)
class Permutations:
    """x o y over all pairs of elements of S_n, x the slower index.

    Elements are numbered in lexicographic order of their images, so 0 is the identity; (xy)(i) = x(y(i)). Token ids:
    the elements, then the operator (if the format has it), '=' and <eos>.

    Raises:
      ConfigError: for an unknown operation or format, or too small a vocabulary.
    """

    operation: str = setting("xy", "the operation", choices=OPERATIONS, label="operation")
    degree: int = setting(5, "n of the group S_n", low=2, high=6, label="degree n")
    tokens: str = formats.tokens_setting()
    output: str = formats.output_setting()
    vocab_size: int | None = formats.vocab_size_setting()

    def __post_init__(self):
        check_settings(self)
        formats.check_format(self.tokens, self.output, self.vocab_size, math.factorial(self.degree))

    @property
    def name(self) -> str:
        """E.g. 'xy in S5'."""
        return f"{self.operation} in S{self.degree}"

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""
        return math.factorial(self.degree) ** 2

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return len(formats.words(self.tokens, 2))

    def table(self) -> Table:
        """The full table."""
        order = math.factorial(self.degree)
        product, inverse = products(self.degree), inverses(self.degree)
        x, y = operands = np.indices((order, order)).reshape(2, -1)
        answers = product[x, y]
        if self.operation != "xy":
            answers = product[answers, x if self.operation == "xyx" else inverse[x]]
        written = formats.write(operands, answers, order, self.tokens, self.output, self.vocab_size)
        return Table(**written, name=self.name, pair=formats.pairs(operands, order))
