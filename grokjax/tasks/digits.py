"""Addition of decimal numbers, digit by digit.

Source: 5-digit addition in the appendix of Nanda et al. 2023, arXiv:2301.05217; without carry, as their slides word it.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from grokjax.config import ConfigError, check_settings, refusing, setting
from grokjax.tasks import streams
from grokjax.tasks.table import Table

PLUS, EQUALS = 10, 11
VOCAB_SIZE = 12


@refusing
@dataclasses.dataclass(frozen=True)
class Digits:
    """Sums of two n-digit numbers: n digits, '+', n digits, '=', then the answer's, most significant first.

    With carry the answer has n+1 digits; without, digit i is the sum of both digits i mod 10. Leading zeros are
    written. Token ids: the digits, '+' 10, '=' 11. The input is the whole row, 18 tokens for 5 digits with carry as in
    the source; each answer digit is read one position before it stands, so the last token is never read, and models
    must be causal.

    The finite table holds the first distinct sums of a stream; `sample` is the stream.

    Raises:
      ConfigError: for more examples than there are sums.
    """

    digits: int = setting(5, "digits of each number", low=1, high=9)
    carry: bool = setting(True, "whether a digit's sum carries into the next")
    examples: int = streams.examples_setting(4000)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)
        if self.examples > 100**self.digits:
            raise ConfigError(
                f"examples={self.examples} is more than the {100**self.digits} sums of digits={self.digits}. "
                f"Try --examples={100**self.digits}."
            )

    @property
    def name(self) -> str:
        """E.g. '5-digit addition'."""
        return f"{self.digits}-digit addition{'' if self.carry else ' without carry'}"

    @property
    def num_examples(self) -> int:
        """Rows of the finite table, without building it."""
        return self.examples

    @property
    def num_answers(self) -> int:
        """Digits of the answer."""
        return self.digits + self.carry

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return 2 * self.digits + 2 + self.num_answers

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Int[Array, "{count} {self.length}"], Int[Array, "{count} {self.num_answers}"]]:
        """Rows with uniform, independent digits; a pure function of `key`, which is consumed.

        Args:
          key: of the rows.
          count: rows to draw; static.

        Returns:
          [count, length] int32 inputs, [count, answers] int32 labels.
        """
        x, y = jnp.split(streams.uniform(key, count, np.full(2 * self.digits, 10, np.int32)), 2, axis=1)
        answers, carried = [], jnp.zeros(count, jnp.int32)
        for i in reversed(range(self.digits)):
            total = x[:, i] + y[:, i] + carried
            answers.insert(0, total % 10)
            carried = total // 10 if self.carry else carried
        labels = jnp.stack([carried, *answers] if self.carry else answers, axis=1)
        plus, equals = (jnp.full((count, 1), token, jnp.int32) for token in (PLUS, EQUALS))
        return jnp.concatenate([x, plus, y, equals, labels], axis=1), labels

    def table(self) -> Table:
        """The finite table."""
        inputs, labels = streams.distinct_rows(self)
        first = 2 * self.digits + 1
        return Table(
            inputs=inputs,
            labels=labels,
            answer_positions=tuple(range(first, first + self.num_answers)),
            vocab_size=VOCAB_SIZE,
            num_classes=VOCAB_SIZE,
            name=self.name,
            pair=self._pairs(inputs),
        )

    def _pairs(self, inputs: Int[np.ndarray, "examples length"]) -> Int[np.ndarray, " examples"]:
        """One number for x + y and y + x."""
        places = 10 ** np.arange(self.digits - 1, -1, -1, dtype=np.int64)
        x, y = inputs[:, : self.digits] @ places, inputs[:, self.digits + 1 : 2 * self.digits + 1] @ places
        code = np.minimum(x, y) * 10**self.digits + np.maximum(x, y)
        return np.unique(code, return_inverse=True)[1].astype(np.int32)
