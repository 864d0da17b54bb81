"""The encoder-decoder transformer of the PKU study, whose answer is read at the decoder's first position."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grokjax.config import DEEPEST, WIDEST, check_settings, refusing, setting
from grokjax.models.attention import attend
from grokjax.models.block import Block, plain
from grokjax.models.layers import (
    INITS,
    Linear,
    activation_setting,
    check_heads,
    check_one_answer,
    dropper,
    embedding_table,
    sinusoidal_positions,
)
from grokjax.tasks.table import Prefixes, Table


class CrossBlock(Block):
    """A post-norm layer that, between self-attention and MLP, attends to the encoder's output."""

    def setup(self):
        super().setup()
        self.cross_query, self.cross_key, self.cross_value, self.cross_output = (
            self._linear(self.width, self.bias == "all") for _ in range(4)
        )
        self.norm_cross = self._norm()

    def values_alone(self, x: Float[Array, "batch q width"]) -> Float[Array, "batch q width"]:
        """What self-attention mixes at positions that see themselves alone: their values, whatever was asked."""
        if self.is_initializing():  # such queries and keys have parameters all the same, with gradients of zero
            self.query(x), self.key(x)
        return self.value(x)

    def after_cross(
        self,
        x: Float[Array, "*nodes q width"],
        memory: Float[Array, "batch k width"],
        visible: Bool[Array | np.ndarray, "*rows #q k"],
        dropped,
        spread,
    ) -> Float[Array, "batch q width"]:
        """The normalised residual sum where `after_attention` gave `x` and the encoder's output is `memory`.

        `spread` gives each row of the batch its own of what is computed for nodes.
        """
        queries = spread(self.heads(self.cross_query(x)))
        keys, values = self.heads(self.cross_key(memory)), self.heads(self.cross_value(memory))
        mixed = attend(queries, keys, values, visible)
        return self.norm_cross(spread(x) + dropped(self.cross_output(mixed)))


@refusing
class EncoderDecoder(nn.Module):
    """Encoder-decoder transformer: LayerNorm after each residual sum, biases everywhere, sinusoidal positions.

    The decoder is fed the encoder's own tokens under a causal mask, and its first position gives the logits. That
    position sees itself alone, so no other one is computed and its self-attention is its value: an identity, which
    leaves the self-attention's queries and keys with parameters whose gradient is zero.

    With `zero_is_padding` token id 0, which is the number zero, is taken for padding as in the original: the encoder's
    self-attention and the cross-attention see no such token, and a decoder position which itself holds one attends to
    all positions alike, later ones included. Then every decoder position is computed.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 963,811
    parameters.

    Raises:
      ConfigError: for settings out of range, or heads that do not divide the width.

    Source: the PKU study's published code; Vaswani et al. 2017, arXiv:1706.03762.
    """

    num_layers: int = setting(2, "layers of the encoder, and of the decoder", low=1, high=DEEPEST)
    width: int = setting(128, "features of the residual stream", low=1, high=WIDEST, label="width d")
    num_heads: int = setting(4, "attention heads", low=1)
    mlp_width: int | None = setting(None, "hidden units of the MLP; default: 4 x width", kind=int, low=1, high=WIDEST)
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    zero_is_padding: bool = setting(False, "mask token id 0 as padding, as the original does")
    activation: str = activation_setting()
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None

    def __post_init__(self):
        check_settings(self)
        check_heads(self.width, self.num_heads)
        super().__post_init__()

    @property
    def hidden_units(self) -> int:
        """Hidden units of each layer's MLP."""
        return 4 * self.width if self.mlp_width is None else self.mlp_width

    @property
    def prefix_length(self) -> int:
        """Positions that `logits_of_rows` reads: all. Of what rows share, it uses their tokens alone."""
        return self.length

    def check_table(self, table: Table) -> None:
        """ConfigError unless a row of `table` is tokens with one answer, for `grokjax.models.fitted`."""
        check_one_answer("encoder_decoder", table)

    def setup(self):
        self.embedding_source = embedding_table(self, "embedding_source", self.vocab_size)
        self.embedding_target = embedding_table(self, "embedding_target", self.vocab_size)
        self.position = jnp.asarray(sinusoidal_positions(self.length, self.width))
        layer = dict(
            width=self.width,
            num_heads=self.num_heads,
            mlp_width=self.hidden_units,
            norm="post",
            bias="all",
            init_scheme=self.init_scheme,
            activation=self.activation,
        )
        self.encoder = [Block(**layer, name=f"encoder_{i}") for i in range(self.num_layers)]
        self.decoder = [CrossBlock(**layer, name=f"decoder_{i}") for i in range(self.num_layers)]
        self.output = Linear(self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        *,
        train: bool = False,
        dropout: Float[Array, ""] | float = 0.0,
    ) -> Float[Array, "batch 1 classes"]:
        """The logits of the decoder's first position.

        Args:
          tokens: ids below `vocab_size`.
          train: whether to drop; static.
          dropout: rate, on embeddings and residual branches; may be traced. Uses the 'dropout' stream of random
            numbers, which is not needed at a rate that is 0 and not traced.

        Returns:
          [batch, 1, classes].
        """
        dropped = dropper(self, train, dropout)
        source = dropped(self.embedding_source[tokens] + self.position)
        memory = self._encoded(tokens, source, itself, dropped)
        first = tokens if self.zero_is_padding else tokens[:, :1]
        target = dropped(self.embedding_target[first] + self.position[: first.shape[1]])
        return self._decoded(tokens, target, itself, memory, dropped)

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch 1 classes"]:
        """The logits of rows of a table, without dropout: the same numbers as `__call__`, each thing computed once.

        Args:
          prefixes: of all positions of the table, by `find_prefixes`.
          rows: rows of the table.

        Returns:
          [batch, 1, classes].
        """
        source, target = (
            jnp.concatenate([embedding[ids] + self.position[i] for i, ids in enumerate(prefixes.tokens)])
            for embedding in (self.embedding_source, self.embedding_target)
        )
        row_pair = prefixes.row_pair[rows]
        tokens = jnp.concatenate(prefixes.tokens)[row_pair]

        def spread(states):
            return states[row_pair]

        memory = self._encoded(tokens, source, spread, itself)
        if self.zero_is_padding:
            return self._decoded(tokens, target, spread, memory, itself)
        first = target[: len(prefixes.tokens[0]), None]
        return self._decoded(tokens, first, lambda states: states[row_pair[:, 0]], memory, itself)

    def _decoded(self, tokens, target, spread, memory, dropped):
        """The logits of tokens whose decoder states before the first layer are `spread` from those of nodes."""
        decoded = self._decoded_with_padding if self.zero_is_padding else self._decoded_first
        return self.output(decoded(tokens, target, spread, memory, dropped))

    def _key_visible(self, tokens, queries: int):
        """Which of the encoder's positions are seen as keys."""
        if self.zero_is_padding:
            return (tokens != 0)[:, None]
        return np.ones((queries, self.length), bool)

    def _encoded(self, tokens, x, spread, dropped) -> Float[Array, "batch length width"]:
        for block in self.encoder:
            keys, values = map(spread, block.keys_values(x))
            mixed = attend(spread(block.queries(x)), keys, values, self._key_visible(tokens, self.length))
            x, spread = block.finish(spread(x), mixed, dropped), itself
        return x

    def _decoded_first(self, tokens, x, spread, memory, dropped) -> Float[Array, "batch 1 width"]:
        for block in self.decoder:
            x = block.after_attention(x, block.values_alone(x), dropped, plain)
            x = block.after_cross(x, memory, self._key_visible(tokens, 1), dropped, spread)
            x, spread = block.after_mlp(x, dropped, plain), itself
        return x

    def _decoded_with_padding(self, tokens, x, spread, memory, dropped) -> Float[Array, "batch 1 width"]:
        causal = np.tri(self.length, dtype=bool)
        visible = (tokens != 0)[:, :, None] & causal  # a query that sees nothing attends to all alike
        for layer, block in enumerate(self.decoder):
            outputs = self._decoder_outputs(layer)
            queries = spread(block.queries(x[:, :outputs] if layer else x))[:, :outputs]
            keys, values = map(spread, block.keys_values(x))
            mixed = attend(queries, keys, values, visible[:, :outputs])
            x = block.after_attention(spread(x)[:, :outputs], mixed, dropped, plain)
            x = block.after_cross(x, memory, self._key_visible(tokens, outputs), dropped, itself)
            x, spread = block.after_mlp(x, dropped, plain), itself
        return x

    def _decoder_outputs(self, layer: int) -> int:
        """How many positions of a decoder layer are computed, from the first."""
        return self.length if self.zero_is_padding and layer < self.num_layers - 1 else 1

    def operations(self, rows: int, prefixes: Prefixes | None = None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each, attention included.

        Args:
          rows: rows of the table that it is for.
          prefixes: what `logits_of_rows` may share; None for `__call__`.

        Returns:
          The count of what is needed.
        """
        square, mixing = 2 * self.width**2, 4 * self.width * self.length
        mlp, states = 4 * self.width * self.hidden_units, rows * self.length
        total = self.num_layers * states * (4 * square + mixing + mlp)  # encoder
        total += self.num_layers * 2 * states * square  # what cross-attention sees of it
        for layer in range(self.num_layers):
            outputs = rows * self._decoder_outputs(layer)
            total += outputs * (2 * square + mixing + mlp)  # cross-attention and MLP
            total += (
                2 * states * square + outputs * (2 * square + mixing) if self.zero_is_padding else 2 * rows * square
            )
        if prefixes is not None:
            pairs, first = sum(map(len, prefixes.tokens)), len(prefixes.tokens[0])
            total -= 3 * (states - pairs) * square
            total -= 3 * ((states - pairs) if self.zero_is_padding else (rows - first)) * square
        return total + rows * 2 * self.width * self.num_classes


def itself(states):
    """What is computed for each row of a batch, or not to be dropped, as it is."""
    return states
