"""The encoder-decoder transformer of the PKU study, whose answer is read at the decoder's first position."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grokjax.config import check_settings, setting
from grokjax.models.block import Block, plain
from grokjax.models.layers import (
    INITS,
    Linear,
    attend,
    check_heads,
    check_one_answer,
    dropper,
    embedding_table,
    sinusoidal_positions,
)
from grokjax.tasks.table import Table


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
        x: Float[Array, "batch q width"],
        memory: Float[Array, "batch k width"],
        visible: Bool[Array | np.ndarray, "*rows #q k"],
        dropped,
    ) -> Float[Array, "batch q width"]:
        """The normalised residual sum where `after_attention` gave `x` and the encoder's output is `memory`."""
        keys, values = self.heads(self.cross_key(memory)), self.heads(self.cross_value(memory))
        mixed = attend(self.heads(self.cross_query(x)), keys, values, visible)
        return self.norm_cross(x + dropped(self.cross_output(mixed)))


class EncoderDecoder(nn.Module):
    """Encoder-decoder transformer: LayerNorm after each residual sum, biases everywhere, ReLU, sinusoidal positions.

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

    num_layers: int = setting(2, "layers of the encoder, and of the decoder", low=1)
    width: int = setting(128, "features of the residual stream", low=1, label="width d")
    num_heads: int = setting(4, "attention heads", low=1)
    mlp_width: int | None = setting(None, "hidden units of the MLP; default: 4 x width", kind=int, low=1)
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    zero_is_padding: bool = setting(False, "mask token id 0 as padding, as the original does")
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

    def check_table(self, table: Table) -> None:
        """ConfigError if a row of `table` has several answers, for `grokjax.models.fitted`."""
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
        memory = self._encoded(tokens, dropped)
        decoded = self._decoded_with_padding if self.zero_is_padding else self._decoded_first
        return self.output(decoded(tokens, memory, dropped))

    def _key_visible(self, tokens, queries: int):
        """Which of the encoder's positions are seen as keys."""
        if self.zero_is_padding:
            return (tokens != 0)[:, None]
        return np.ones((queries, self.length), bool)

    def _encoded(self, tokens, dropped) -> Float[Array, "batch length width"]:
        x = dropped(self.embedding_source[tokens] + self.position)
        for block in self.encoder:
            keys, values = block.keys_values(x)
            mixed = attend(block.queries(x), keys, values, self._key_visible(tokens, self.length))
            x = block.finish(x, mixed, dropped)
        return x

    def _decoded_first(self, tokens, memory, dropped) -> Float[Array, "batch 1 width"]:
        x = dropped(self.embedding_target[tokens[:, :1]] + self.position[:1])
        for block in self.decoder:
            x = block.after_attention(x, block.values_alone(x), dropped, plain)
            x = block.after_cross(x, memory, self._key_visible(tokens, 1), dropped)
            x = block.after_mlp(x, dropped, plain)
        return x

    def _decoded_with_padding(self, tokens, memory, dropped) -> Float[Array, "batch 1 width"]:
        x = dropped(self.embedding_target[tokens] + self.position)
        causal = np.tri(self.length, dtype=bool)
        visible = (tokens != 0)[:, :, None] & causal  # a query that sees nothing attends to all alike
        for layer, block in enumerate(self.decoder):
            outputs = self._decoder_outputs(layer)
            keys, values = block.keys_values(x)
            mixed = attend(block.queries(x[:, :outputs]), keys, values, visible[:, :outputs])
            x = block.after_attention(x[:, :outputs], mixed, dropped, plain)
            x = block.after_cross(x, memory, self._key_visible(tokens, outputs), dropped)
            x = block.after_mlp(x, dropped, plain)
        return x

    def _decoder_outputs(self, layer: int) -> int:
        """How many positions of a decoder layer are computed, from the first."""
        return self.length if self.zero_is_padding and layer < self.num_layers - 1 else 1

    def operations(self, rows: int, prefixes: None = None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each, attention included.

        Args:
          rows: rows of the table that it is for.
          prefixes: None; nothing is shared.

        Returns:
          The count of what is computed.
        """
        square, mixing = 2 * self.width**2, 4 * self.width * self.length
        mlp = 4 * self.width * self.hidden_units
        total = self.num_layers * self.length * (4 * square + mixing + mlp)
        for layer in range(self.num_layers):
            outputs = self._decoder_outputs(layer)
            total += 2 * self.length * square + outputs * (2 * square + mixing + mlp)  # cross-attention and MLP
            if self.zero_is_padding:
                total += 2 * self.length * square + outputs * (2 * square + mixing)
            else:
                total += 2 * square
        return rows * (total + 2 * self.width * self.num_classes)
