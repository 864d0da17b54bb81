"""The LSTM of the PKU study: an encoder and a decoder stack, answering at the decoder's first step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from grokjax.config import DEEPEST, WIDEST, check_settings, refusing, setting
from grokjax.models.layers import INITS, Linear, check_one_answer, embedding_table, product
from grokjax.tasks.table import Prefixes, Table


class Cells(nn.Module):
    """One recurrent layer: at each position the gates i, f, g, o of input and hidden state, each with a bias.

    c <- sigmoid(f) c + sigmoid(i) tanh(g) and h <- sigmoid(o) tanh(c), as PyTorch's LSTM has it.

    Source: Hochreiter and Schmidhuber 1997; forget gates, Gers et al. 2000.
    """

    width: int
    init_scheme: str

    def setup(self):
        scheme, gates = INITS[self.init_scheme], 4 * self.width
        kernel, bias = scheme.linear(self.width), scheme.bias(self.width)
        self.input = self.param("input", kernel, (self.width, gates), jnp.float32)
        self.hidden = self.param("hidden", kernel, (self.width, gates), jnp.float32)
        self.bias_input = self.param("bias_input", bias, (gates,), jnp.float32)
        self.bias_hidden = self.param("bias_hidden", bias, (gates,), jnp.float32)

    def drive(self, x: Float[Array, "*nodes inputs"]) -> Float[Array, "*nodes gates"]:
        """What inputs and biases add to the four gates, side by side in the order i, f, g, o."""
        return product(x, self.input) + (self.bias_input + self.bias_hidden)

    def recurrence(self, hidden: Float[Array, "nodes width"]) -> Float[Array, "nodes gates"]:
        """What the hidden state before a position adds to its gates."""
        return product(hidden, self.hidden)

    def step(self, gates: Float[Array, "nodes gates"], cell: Float[Array, "nodes width"] | None):
        """(h, c) after a position, [nodes, width] each, of its gates and of c before it; None for zeros."""
        into, forget, candidate, out = jnp.split(gates, 4, axis=-1)
        kept = 0.0 if cell is None else jax.nn.sigmoid(forget) * cell
        cell = jax.nn.sigmoid(into) * jnp.tanh(candidate) + kept
        return jax.nn.sigmoid(out) * jnp.tanh(cell), cell


@refusing
class Lstm(nn.Module):
    """Encoder and decoder LSTM: each decoder layer starts from the encoder layer's last state and is fed its tokens.

    The logits are those of the decoder's first step, so no other one is computed. No dropout. The recurrence is
    unrolled, for rows of a few tokens. `logits_of_rows` computes each prefix that rows share once: the same logits for
    fewer products.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 566,499
    parameters.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code.
    """

    num_layers: int = setting(2, "layers of the encoder, and of the decoder", low=1, high=DEEPEST)
    width: int = setting(128, "features of embeddings and hidden states", low=1, high=WIDEST, label="width d")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    @property
    def prefix_length(self) -> int:
        """Positions that `logits_of_rows` reads, and whose prefixes it shares: all."""
        return self.length

    def check_table(self, table: Table) -> None:
        """ConfigError unless a row of `table` is tokens with one answer, for `grokjax.models.fitted`."""
        check_one_answer("lstm", table)

    def setup(self):
        self.embedding_source = embedding_table(self, "embedding_source", self.vocab_size)
        self.embedding_target = embedding_table(self, "embedding_target", self.vocab_size)
        self.encoder = [Cells(self.width, self.init_scheme, name=f"encoder_{i}") for i in range(self.num_layers)]
        self.decoder = [Cells(self.width, self.init_scheme, name=f"decoder_{i}") for i in range(self.num_layers)]
        self.output = Linear(self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def __call__(self, tokens: Int[Array, "batch length"], *, train: bool = False) -> Float[Array, "batch 1 classes"]:
        """The logits of the decoder's first step.

        Args:
          tokens: ids below `vocab_size`.
          train: without effect.

        Returns:
          [batch, 1, classes].
        """
        length = tokens.shape[1]
        drive = self.encoder[0].drive(self.embedding_source[tokens])
        states = self._encoded([drive[:, t] for t in range(length)], [None] * length)
        return self._answered(self.decoder[0].drive(self.embedding_target[tokens[:, 0]]), states)

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch 1 classes"]:
        """The logits of rows of a table: the same numbers as `__call__`, each thing computed once.

        Args:
          prefixes: of all positions of the table, by `find_prefixes`.
          rows: rows of the table.

        Returns:
          [batch, 1, classes].
        """
        pair_tokens, row_pair = jnp.concatenate(prefixes.tokens), prefixes.row_pair[rows]
        drive = self.encoder[0].drive(self.embedding_source[pair_tokens])
        drives = [drive[pairs[:, -1]] for pairs in prefixes.prefix_pair]
        drives += [drive[row_pair[:, t]] for t in range(len(drives), self.length)]
        parents, last = self._parents(prefixes, rows)
        states = self._encoded(drives, parents)
        if last is not None:
            states = [(hidden[last], cell[last]) for hidden, cell in states]
        first = self.decoder[0].drive(self.embedding_target[prefixes.tokens[0]])
        return self._answered(first[row_pair[:, 0]], states)

    def _parents(self, prefixes: Prefixes, rows):
        """Per position, which node of the position before a node continues (None: its own); and the rows' last nodes.

        The nodes of a shared position are its prefixes, those of others, and the last nodes if None, are the rows.
        """
        starts = np.cumsum([0] + [len(pairs) for pairs in prefixes.prefix_pair])
        shared, row_prefix = len(starts) - 1, prefixes.row_prefix[rows]
        parents = [None] + [prefixes.prefix_ancestors[t][:, t - 1] - starts[t - 1] for t in range(1, shared)]
        if shared == self.length:
            return parents, row_prefix[:, -1] - starts[-2]
        if shared:
            parents.append(row_prefix[:, -1] - starts[-2])
        return parents + [None] * (self.length - len(parents)), None

    def _encoded(self, drives, parents):
        """(h, c) of each encoder layer after the last position; `drives` are what the first layer's inputs add."""
        states, hidden = [], []
        for layer in self.encoder:
            if hidden:
                cuts = np.cumsum([len(h) for h in hidden])[:-1]
                drives = jnp.split(layer.drive(jnp.concatenate(hidden)), cuts)  # of all positions as one product
            hidden, cell = [], None
            for gates, parent in zip(drives, parents, strict=True):
                if hidden:
                    recurrence = layer.recurrence(hidden[-1])
                    if parent is not None:
                        recurrence, cell = recurrence[parent], cell[parent]
                    gates = gates + recurrence
                h, cell = layer.step(gates, cell)
                hidden.append(h)
            states.append((hidden[-1], cell))
        return states

    def _answered(self, drive, states):
        """The logits of the decoder's first step, of what its first layer's input adds and the encoder's states."""
        y = None
        for layer, (hidden, cell) in zip(self.decoder, states, strict=True):
            y, _ = layer.step((drive if y is None else layer.drive(y)) + layer.recurrence(hidden), cell)
        return self.output(y)[:, None]

    def operations(self, rows: int, prefixes: Prefixes | None = None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each.

        Args:
          rows: rows of the table that it is for.
          prefixes: what `logits_of_rows` may share; None for `__call__`.

        Returns:
          The count of what is computed: the first step's hidden state is zero, and enters no product.
        """
        nodes, first, answered = [rows] * self.length, rows * self.length, rows
        if prefixes is not None:
            shared = [len(pairs) for pairs in prefixes.prefix_pair]
            nodes[: len(shared)] = shared
            first, answered = sum(map(len, prefixes.tokens)), len(prefixes.tokens[0])
        drives = first + answered + (self.num_layers - 1) * (sum(nodes) + rows)
        recurrences = self.num_layers * (sum(nodes[:-1]) + rows)
        return (drives + recurrences) * 8 * self.width**2 + rows * 2 * self.width * self.num_classes
