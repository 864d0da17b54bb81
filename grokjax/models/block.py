"""One layer of a transformer, in pieces: the model decides at which positions each piece is computed."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grokjax.models.layers import ACTIVATIONS, Linear, norm_layer


def plain(norm, x):
    """A norm that needs to know nothing but what it normalises."""
    return norm(x)


class Block(nn.Module):
    """One layer: self-attention, then (unless mlp_width is 0) a network of two matrices, each residual.

    Attributes:
      width, num_heads, mlp_width: sizes.
      norm: 'post' normalises each residual sum, 'pre' the input of each branch, 'none' nothing.
      bias: 'none', 'mlp' or 'all' of the matrix products.
      init_scheme: of `INITS`.
      norm_kind, norm_affine: what the norms are, see `norm_layer`.
      inner_norm: whether the MLP normalises between its first matrix and the activation.
      activation: of `ACTIVATIONS`.
    """

    width: int
    num_heads: int
    mlp_width: int
    norm: str
    bias: str
    init_scheme: str
    norm_kind: str = "layer"
    norm_affine: bool = True
    inner_norm: bool = False
    activation: str = "relu"

    def setup(self):
        everywhere = self.bias == "all"
        self.query, self.key, self.value, self.output = (self._linear(self.width, everywhere) for _ in range(4))
        if self.mlp_width:
            self.mlp_in = self._linear(self.mlp_width, self.bias != "none")
            self.mlp_out = self._linear(self.width, self.bias != "none")
        if self.norm != "none":
            self.norm_attention = self._norm()
            if self.mlp_width:
                self.norm_mlp = self._norm()
        if self.inner_norm:
            self.norm_inner = self._norm()

    def _linear(self, outputs: int, biased: bool) -> Linear:
        return Linear(outputs, self.init_scheme, self.width, biased)

    def _norm(self) -> nn.Module:
        return norm_layer(self.norm_kind, self.norm_affine)

    def heads(self, x: Float[Array, "*nodes width"]) -> Float[Array, "*nodes heads features"]:
        """The features of each head."""
        return x.reshape(*x.shape[:-1], self.num_heads, -1)

    def attention_input(self, x: Float[Array, "*nodes width"], normed=plain) -> Float[Array, "*nodes width"]:
        """What queries, keys and values are made of, where the layer's input is `x`."""
        return normed(self.norm_attention, x) if self.norm == "pre" else x

    def queries(self, x: Float[Array, "*nodes width"]) -> Float[Array, "*nodes heads features"]:
        """The queries of attention inputs."""
        return self.heads(self.query(x))

    def keys_values(
        self, x: Float[Array, "*nodes width"]
    ) -> tuple[Float[Array, "*nodes heads features"], Float[Array, "*nodes heads features"]]:
        """The keys and values of attention inputs."""
        return self.heads(self.key(x)), self.heads(self.value(x))

    def after_attention(self, x: Float[Array, "*nodes width"], mixed: Float[Array, "*nodes width"], dropped, normed):
        """The residual sum where the layer's input was `x` and attention mixed the values to `mixed`."""
        x = x + dropped(self.output(mixed))
        return normed(self.norm_attention, x) if self.norm == "post" else x

    def after_mlp(
        self,
        x: Float[Array, "*nodes width"],
        dropped,
        normed,
        units: Bool[Array, "#batch #positions hidden"] | None = None,
    ):
        """The layer's output where `after_attention` gave `x`, of all hidden units or of those marked in `units`."""
        if not self.mlp_width:
            return x
        hidden = self.mlp_in(normed(self.norm_mlp, x) if self.norm == "pre" else x)
        hidden = ACTIVATIONS[self.activation](normed(self.norm_inner, hidden) if self.inner_norm else hidden)
        if units is not None:
            hidden = jnp.where(units, hidden, jnp.zeros_like(hidden))
        x = x + dropped(self.mlp_out(hidden))
        return normed(self.norm_mlp, x) if self.norm == "post" else x

    def finish(
        self, x: Float[Array, "*nodes width"], mixed: Float[Array, "*nodes width"], dropped, normed=plain, units=None
    ):
        """`after_attention`, then `after_mlp`. `dropped` is applied to each residual branch, `normed` applies norms."""
        return self.after_mlp(self.after_attention(x, mixed, dropped, normed), dropped, normed, units)
