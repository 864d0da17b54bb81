"""The LSTM of the PKU study: an encoder and a decoder stack, answering at the decoder's first step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from grokjax.config import check_settings, setting
from grokjax.models.layers import INITS, Linear, check_one_answer, embedding_table
from grokjax.tasks.table import Table


class Cells(nn.Module):
    """One recurrent layer: at each position the gates i, f, g, o of input and hidden state, each with a bias.

    c <- sigmoid(f) c + sigmoid(i) tanh(g) and h <- sigmoid(o) tanh(c), as PyTorch's LSTM has it.

    Source: Hochreiter and Schmidhuber 1997; forget gates, Gers et al. 2000.
    """

    width: int
    init_scheme: str

    @nn.compact
    def __call__(self, x: Float[Array, "batch length inputs"], state: tuple | None = None):
        """The hidden states and the last state.

        Args:
          x: inputs of all positions.
          state: (h, c), [batch, width] each, before the first; None for zeros.

        Returns:
          [batch, length, width], and (h, c) after the last position.
        """
        scheme, gates = INITS[self.init_scheme], 4 * self.width
        kernel, bias = scheme.linear(self.width), scheme.bias(self.width)
        of_input = self.param("input", kernel, (x.shape[-1], gates), jnp.float32)
        of_hidden = self.param("hidden", kernel, (self.width, gates), jnp.float32)
        biases = sum(self.param(f"bias_{name}", bias, (gates,), jnp.float32) for name in ("input", "hidden"))
        drive = x @ of_input + biases  # of all positions as one product
        hidden = []
        for t in range(x.shape[1]):
            state = _stepped(drive[:, t], state, of_hidden)
            hidden.append(state[0])
        return jnp.stack(hidden, axis=1), state


def _stepped(drive, state, of_hidden):
    """(h, c) after a position whose input and biases give the gates `drive`."""
    into, forget, candidate, out = jnp.split(drive if state is None else drive + state[0] @ of_hidden, 4, axis=-1)
    cell = jax.nn.sigmoid(into) * jnp.tanh(candidate)
    if state is not None:
        cell = cell + jax.nn.sigmoid(forget) * state[1]
    return jax.nn.sigmoid(out) * jnp.tanh(cell), cell


class Lstm(nn.Module):
    """Encoder and decoder LSTM: each decoder layer starts from the encoder layer's last state and is fed its tokens.

    The logits are those of the decoder's first step, so no other one is computed. No dropout. The recurrence is
    unrolled, for rows of a few tokens.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 566,499
    parameters.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code.
    """

    num_layers: int = setting(2, "layers of the encoder, and of the decoder", low=1)
    width: int = setting(128, "features of embeddings and hidden states", low=1, label="width d")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    def check_table(self, table: Table) -> None:
        """ConfigError if a row of `table` has several answers, for `grokjax.models.fitted`."""
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
        x, states = self.embedding_source[tokens], []
        for layer in self.encoder:
            x, state = layer(x)
            states.append(state)
        y = self.embedding_target[tokens[:, :1]]
        for layer, state in zip(self.decoder, states, strict=True):
            y, _ = layer(y, state)
        return self.output(y)

    def operations(self, rows: int, prefixes: None = None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each.

        Args:
          rows: rows of the table that it is for.
          prefixes: None; nothing is shared.

        Returns:
          The count of what is computed: the first step's hidden state is zero, and enters no product.
        """
        product = 2 * self.width * 4 * self.width
        encoder, decoder = (2 * self.length - 1) * product, 2 * product
        return rows * (self.num_layers * (encoder + decoder) + 2 * self.width * self.num_classes)
