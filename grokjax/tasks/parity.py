"""Sparse parity: the parity of a few bits among many.

Source: Barak, Edelman, Goel, Kakade, Malach and Zhang 2022, "Hidden Progress in Deep Learning: SGD Learns Parities Near
the Computational Limit", arXiv:2207.08799.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from grokjax.config import ConfigError, check_settings, refusing, setting
from grokjax.tasks import streams
from grokjax.tasks.table import Table

EQUALS, VOCAB_SIZE = 2, 3


@refusing
@dataclasses.dataclass(frozen=True)
class SparseParity:
    """Rows of uniformly random bits and '='; the label is the parity of k of the bits, the same k in every row.

    Token ids: the bits 0 and 1, '=' 2, at which the answer is read. Which bits count is drawn with `table_seed`
    (more of them only add some), and so are the rows of the finite table, the first distinct ones of a stream; `sample`
    is the stream.

    From the source: uniform bits, a hidden set of k of them, batches that are drawn without end or from a finite
    sample. Ours: '=', and labels 0 and 1 in place of 1 and -1.

    Raises:
      ConfigError: for more bits in the parity than in a row, or more examples than there are rows.
    """

    bits: int = setting(40, "bits in a row", low=1, high=1024, label="bits n")
    parity_bits: int = setting(3, "bits whose parity is the label", low=1, high=1024, label="bits in the parity k")
    examples: int = streams.examples_setting(4000)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)
        if self.parity_bits > self.bits:
            raise ConfigError(
                f"parity_bits={self.parity_bits} is more than bits={self.bits}. Try --bits={self.parity_bits}."
            )
        if self.examples > 2**self.bits:
            raise ConfigError(
                f"examples={self.examples} is more than the {2**self.bits} rows of bits={self.bits}. "
                f"Try --examples={2**self.bits}."
            )

    @property
    def name(self) -> str:
        """E.g. 'parity of 3 of 40 bits'."""
        return f"parity of {self.parity_bits} of {self.bits} bits"

    @property
    def num_examples(self) -> int:
        """Rows of the finite table, without building it."""
        return self.examples

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return self.bits + 1

    @property
    def relevant(self) -> tuple[int, ...]:
        """The places of the bits that count, increasing."""
        order = np.random.RandomState(self.table_seed).permutation(self.bits)  # whose stream no version changes
        return tuple(sorted(order[: self.parity_bits].tolist()))

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Int[Array, "{count} {self.length}"], Int[Array, "{count} 1"]]:
        """Rows with uniform, independent bits; a pure function of `key`, which is consumed.

        Args:
          key: of the rows.
          count: rows to draw; static.

        Returns:
          [count, bits + 1] int32 inputs, [count, 1] int32 labels.
        """
        bits = streams.uniform(key, count, np.full(self.bits, 2, np.int32))
        labels = bits[:, np.array(self.relevant)].sum(1, keepdims=True, dtype=jnp.int32) % 2
        return jnp.concatenate([bits, jnp.full((count, 1), EQUALS, jnp.int32)], axis=1), labels

    def table(self) -> Table:
        """The finite table."""
        inputs, labels = streams.distinct_rows(self)
        return Table(
            inputs=inputs,
            labels=labels,
            answer_positions=(self.bits,),
            vocab_size=VOCAB_SIZE,
            num_classes=2,
            name=self.name,
        )
