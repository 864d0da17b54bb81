"""The one type for what is learned: a full table of examples, and what a causal model may share between them."""

import dataclasses
import functools
import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Real


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Every example of a task, in order.

    Attributes:
      inputs: [examples, length] int32, token ids below `vocab_size`; or float32, features.
      labels: [examples, answers] int32, classes below `num_classes`; -1 where an answer is not scored in that row. Or
        float32, targets: real numbers, all of them scored.
      answer_positions: the input position whose output is scored against each label, increasing; empty where the
        inputs are features, which have no positions.
      vocab_size: number of token ids; 0 where the inputs are features.
      num_classes: number of output classes; 1 where the labels are targets: the output itself.
      name: how messages and figures call the task, e.g. 'x+y mod 97'.
      pair: [examples] int32, one number per set of rows that have the same operands in some order; None where a
        task has no such rows.
      label_group: [examples] int32: rows of the same non-negative group share a label that each run draws at random
        from the first `random_classes`; -1 keeps its own. None: all keep theirs. Rows with random labels never
        validate.
      random_classes: see `label_group`.
      part: [examples] int32, which of the `parts` a row belongs to; None where there is one part.
      parts: names of the parts.
      part_position: the input position whose token tells the part; None where no token does.
      part_tokens: the token there, per part.

    Two tables are equal when their contents are.
    """

    inputs: Real[np.ndarray, "examples length"]
    labels: Real[np.ndarray, "examples answers"]
    answer_positions: tuple[int, ...]
    vocab_size: int
    num_classes: int
    name: str
    pair: Int[np.ndarray, " examples"] | None = None
    label_group: Int[np.ndarray, " examples"] | None = None
    random_classes: int = 0
    part: Int[np.ndarray, " examples"] | None = None
    parts: tuple[str, ...] = ()
    part_position: int | None = None
    part_tokens: tuple[int, ...] = ()

    @property
    def num_examples(self) -> int:
        """Rows of the table."""
        return len(self.inputs)

    @property
    def num_answers(self) -> int:
        """Labels of a row."""
        return self.labels.shape[1]

    @property
    def has_features(self) -> bool:
        """Whether the inputs are features and not token ids."""
        return np.issubdtype(self.inputs.dtype, np.floating)

    @property
    def has_targets(self) -> bool:
        """Whether the labels are targets and not classes."""
        return np.issubdtype(self.labels.dtype, np.floating)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Identifies the table by content."""
        digest = hashlib.sha256()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(repr((field.name, value.shape, value.dtype.str)).encode() + value.tobytes())
            elif field.name != "name":
                digest.update(repr((field.name, value)).encode())
        return digest.hexdigest()

    def __eq__(self, other):
        return isinstance(other, Table) and self.fingerprint == other.fingerprint

    def __hash__(self):
        return hash(self.fingerprint)


class Prefixes(NamedTuple):
    """What the rows of a table have in common, for a model that computes each distinct thing once.

    In a transformer the first layer's projections at a position depend on the token there alone, and in a causal model
    every layer's output at a position on the tokens up to it alone. `x + y =` over 97 numbers has 9,409 rows, but 97
    distinct tokens per number's position and 97 distinct prefixes of length 1. Positions that the model never reads,
    such as those after a decoder's last answer, are left out. A position is *shared* when it has fewer distinct
    prefixes than a batch has rows; the shared positions lead.

    All arrays are int32; counts are static in their shapes.

    Attributes:
      tokens: per position, [distinct tokens there]: the token ids.
      row_pair: [examples, length], which (position, token) pair a row has at a position, counted over all positions.
      prefix_pair: per shared position i, [prefixes, i + 1]: the pairs a prefix is made of.
      prefix_ancestors: per shared position i, [prefixes, i + 1]: the prefix at each position up to i (itself last),
        counted over all shared positions.
      row_prefix: [examples, shared positions], the prefix of a row at each shared position, counted likewise.
    """

    tokens: tuple[np.ndarray, ...]
    row_pair: Int[np.ndarray, "examples length"]
    prefix_pair: tuple[np.ndarray, ...]
    prefix_ancestors: tuple[np.ndarray, ...]
    row_prefix: Int[np.ndarray, "examples shared"]


def find_prefixes(table: Table, batch_rows: int, length: int | None = None) -> Prefixes:
    """Finds the distinct tokens and the shared prefixes of a table.

    Args:
      table: the examples.
      batch_rows: rows of a training batch; a position with as many prefixes or more is not shared.
      length: positions that are read; None: those up to the last answer.

    Returns:
      The `Prefixes` of the table, as NumPy arrays.
    """
    length = table.answer_positions[-1] + 1 if length is None else length
    inputs = table.inputs[:, :length]
    tokens, row_pair, first_pair = [], [], 0
    for position in range(length):
        distinct, index = np.unique(inputs[:, position], return_inverse=True)
        tokens.append(distinct.astype(np.int32))
        row_pair.append(index + first_pair)
        first_pair += len(distinct)
    row_pair = np.stack(row_pair, axis=1).astype(np.int32)

    prefix_pair, prefix_ancestors, row_prefix, first_prefix = [], [], [], 0
    prefix = np.zeros(table.num_examples, np.int64)
    for position in range(length):
        extended = prefix * first_pair + row_pair[:, position]
        _, example, prefix = np.unique(extended, return_index=True, return_inverse=True)
        if len(example) >= batch_rows:
            break
        row_prefix.append(prefix + first_prefix)
        prefix_pair.append(row_pair[example, : position + 1])
        prefix_ancestors.append(np.stack([column[example] for column in row_prefix], axis=1).astype(np.int32))
        first_prefix += len(example)
    shared = np.stack(row_prefix, axis=1) if row_prefix else np.zeros((table.num_examples, 0))
    return Prefixes(tuple(tokens), row_pair, tuple(prefix_pair), tuple(prefix_ancestors), shared.astype(np.int32))
