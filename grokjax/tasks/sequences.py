"""Two tasks on sequences of random tokens: a subsequence that repeats, and skip trigrams.

Source: the appendix of Nanda et al. 2023, arXiv:2301.05217, on phase changes in other tasks. It leaves much of the
data unsaid; what is our choice is marked so.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from grokjax.config import ConfigError, check_settings, refusing, setting
from grokjax.tasks import streams
from grokjax.tasks.table import Table

LARGEST_VOCABULARY, LONGEST_ROW = 2**24, 2**16


@refusing
@dataclasses.dataclass(frozen=True)
class RepeatedSubsequence:
    """Uniformly random tokens in which one random subsequence stands several times.

    The next token is asked for at every position, and scored where it can be known: at the second and later tokens of
    each occurrence after the first; or everywhere, to see how the loss falls along a row. The last token is never read.

    From the source: the sizes, and that a subsequence repeats among random tokens. Ours: that all disjoint placements
    are equally likely, that neither the tokens around nor the subsequence avoid one another's tokens, and which tokens
    are scored.

    Raises:
      ConfigError: if the occurrences do not fit the sequence.
    """

    vocabulary: int = setting(128, "token ids", low=2, high=LARGEST_VOCABULARY)
    sequence_length: int = setting(85, "tokens in a row", low=4, high=LONGEST_ROW)
    subsequence: int = setting(16, "tokens of the subsequence that repeats", low=2)
    repeats: int = setting(3, "times that the subsequence stands in a row", low=2)
    scored: str = setting("repeats", "tokens that are scored: those that repeat, or all", choices=("repeats", "all"))
    examples: int = streams.examples_setting(1024)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)
        if (taken := self.subsequence * self.repeats) > self.sequence_length:
            raise ConfigError(
                f"subsequence={self.subsequence} times repeats={self.repeats} is {taken} tokens, more than "
                f"sequence_length={self.sequence_length}. "
                f"Try {f'--sequence_length={taken}' if taken <= LONGEST_ROW else 'fewer of them'}."
            )

    @property
    def name(self) -> str:
        """E.g. '16 tokens repeated 3 times in 85'."""
        return f"{self.subsequence} tokens repeated {self.repeats} times in {self.sequence_length}"

    @property
    def num_examples(self) -> int:
        """Rows of the finite table, without building it."""
        return self.examples

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return self.sequence_length

    @property
    def _bounds(self) -> Int[np.ndarray, " draws"]:
        """Of each number that a row is made of, how many values it may have: tokens, the subsequence, its places."""
        tokens = np.full(self.length + self.subsequence, self.vocabulary, np.int32)
        places = self.sequence_length - self.repeats * self.subsequence + 1
        return np.concatenate([tokens, np.arange(places, places + self.repeats, dtype=np.int32)])

    def starts(self, draws: Int[Array, "rows {self.repeats}"]) -> Int[Array, "rows {self.repeats}"]:
        """Where the occurrences begin, increasing; all disjoint placements are equally likely.

        Shrunk to one token each, disjoint occurrences are any `repeats` of the places that are left: a random subset,
        which Floyd's method makes of one draw for each (Bentley and Floyd 1987, "A Sample of Brilliance").

        Args:
          draws: [rows, repeats] int32, uniform below the last of the `_bounds`.
        """
        chosen = []
        for i, bound in enumerate(self._bounds[-self.repeats :]):
            taken = jnp.zeros(len(draws), bool)
            for other in chosen:
                taken |= draws[:, i] == other
            chosen.append(jnp.where(taken, bound - 1, draws[:, i]))
        spread = jnp.arange(self.repeats, dtype=jnp.int32) * (self.subsequence - 1)
        return jnp.sort(jnp.stack(chosen, axis=1), axis=1) + spread

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Int[Array, "{count} {self.length}"], Int[Array, "{count} {self.length}-1"]]:
        """Rows of the stream; a pure function of `key`, which is consumed.

        Args:
          key: of the rows.
          count: rows to draw; static.

        Returns:
          [count, length] int32 inputs; [count, length - 1] int32 labels, -1 where the next token is not scored.
        """
        draws = streams.uniform(key, count, self._bounds)
        tokens, own, places = jnp.split(draws, [self.length, self.length + self.subsequence], axis=1)
        starts = self.starts(places)
        predictable = jnp.full((count, self.length), self.scored == "all")
        for i in range(self.repeats):
            place = jnp.arange(self.length, dtype=jnp.int32) - starts[:, i : i + 1]
            inside = (place >= 0) & (place < self.subsequence)
            copied = jnp.take_along_axis(own, jnp.clip(place, 0, self.subsequence - 1), axis=1)
            tokens = jnp.where(inside, copied, tokens)
            if i:
                predictable |= inside & (place > 0)
        return tokens, jnp.where(predictable[:, 1:], tokens[:, 1:], -1)

    def table(self) -> Table:
        """The finite table."""
        inputs, labels = streams.distinct_rows(self)
        return Table(
            inputs=inputs,
            labels=labels,
            answer_positions=tuple(range(self.length - 1)),
            vocab_size=self.vocabulary,
            num_classes=self.vocabulary,
            name=self.name,
        )


@refusing
@dataclasses.dataclass(frozen=True)
class SkipTrigram:
    """A first token A_i somewhere among fillers, then '=': the answer is C_i, whatever lies between.

    Token ids: the first tokens 0 .. num_trigrams-1, the fillers, and '=' as the last. The answers C_i are different
    token ids, drawn with `table_seed`. Each row holds exactly one first token, at a uniformly random place; trigram i
    is drawn with a probability proportional to (i+1)^-exponent. The parts of the table are the trigrams.

    From the source: that several skip trigrams are learned, each in a phase change of its own. Ours: all the rest.

    Raises:
      ConfigError: if no id is left for a filler.
    """

    num_trigrams: int = setting(10, "trigrams to learn", low=1)
    vocabulary: int = setting(128, "token ids", low=2, high=LARGEST_VOCABULARY)
    sequence_length: int = setting(16, "tokens in a row, '=' included", low=2, high=LONGEST_ROW)
    exponent: float = setting(0.0, "trigram i occurs in proportion to (i+1)^-exponent", low=0.0, high=100.0)
    examples: int = streams.examples_setting(1024)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)
        if (needed := self.num_trigrams + 2) > self.vocabulary:
            raise ConfigError(
                f"vocabulary={self.vocabulary} has no room for num_trigrams={self.num_trigrams} first tokens, a filler "
                f"and '='. Try {f'--vocabulary={needed}' if needed <= LARGEST_VOCABULARY else 'fewer trigrams'}."
            )

    @property
    def name(self) -> str:
        """E.g. '10 skip trigrams'."""
        return f"{self.num_trigrams} skip trigram{'' if self.num_trigrams == 1 else 's'}"

    @property
    def num_examples(self) -> int:
        """Rows of the finite table, without building it."""
        return self.examples

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return self.sequence_length

    @property
    def answers(self) -> Int[np.ndarray, " trigrams"]:
        """[trigrams] int32: the answer C_i to each first token."""
        ids = np.random.default_rng(self.table_seed).permutation(self.vocabulary)
        return ids[: self.num_trigrams].astype(np.int32)

    @property
    def probabilities(self) -> np.ndarray:
        """[trigrams] float64: how often each trigram occurs."""
        weights = np.arange(1, self.num_trigrams + 1, dtype=np.float64) ** -self.exponent
        return weights / weights.sum()

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Int[Array, "{count} {self.length}"], Int[Array, "{count} 1"]]:
        """Rows of the stream; a pure function of `key`, which is consumed.

        Args:
          key: of the rows.
          count: rows to draw; static.

        Returns:
          [count, length] int32 inputs, [count, 1] int32 labels.
        """
        fine = np.iinfo(np.int32).max
        bounds = np.full(self.length + 2, self.vocabulary - 1 - self.num_trigrams, np.int32)
        bounds[-2:] = self.length - 1, fine
        draws = streams.uniform(key, count, bounds)
        fillers, place, which = draws[:, :-2] + self.num_trigrams, draws[:, -2:-1], draws[:, -1:]
        # Compared as integers, so that every device draws the same trigram.
        trigram = (which >= (np.cumsum(self.probabilities)[:-1] * fine).astype(np.int32)).sum(1, dtype=jnp.int32)
        position = jnp.arange(self.length, dtype=jnp.int32)
        inputs = jnp.where(position == place, trigram[:, None], fillers)
        inputs = jnp.where(position == self.length - 1, self.vocabulary - 1, inputs)
        return inputs, jnp.asarray(self.answers)[trigram][:, None]

    def table(self) -> Table:
        """The finite table."""
        inputs, labels = streams.distinct_rows(self)
        return Table(
            inputs=inputs,
            labels=labels,
            answer_positions=(self.length - 1,),
            vocab_size=self.vocabulary,
            num_classes=self.vocabulary,
            name=self.name,
            part=inputs.min(1).astype(np.int32),
            parts=tuple(f"trigram {i}" for i in range(self.num_trigrams)),
        )
