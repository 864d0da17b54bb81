"""Parameters under the names other libraries read them by."""

import flax.linen as nn
import numpy as np

from grokjax.config import ConfigError
from grokjax.models.decoder import Decoder
from grokjax.models.layers import sinusoidal_positions

ACTIVATIONS = ("relu", "gelu", "silu")
"""Activations that TransformerLens has under the same names."""


def to_transformer_lens(model: nn.Module, params) -> dict[str, np.ndarray]:
    """A decoder's parameters as the state dict of a TransformerLens `HookedTransformer`.

    The matching configuration is n_layers, d_model, n_heads, d_head = width / num_heads, d_mlp = `hidden_units`
    (attn_only=True where that is 0), d_vocab, d_vocab_out = classes, n_ctx = length, act_fn = `activation`, and
    normalization_type 'LN' where norm is 'pre', None where it is 'none'. As PyTorch tensors, load them with
    `load_state_dict(..., strict=False)`, since its buffers (causal masks) are no parameters.

    Args:
      model: a fitted decoder, `norm` 'pre' or 'none'.
      params: its parameters, as `init(...)["params"]` returns them.

    Returns:
      By name: embed.W_E [tokens, width], pos_embed.W_pos [length, width] (sinusoids written out),
      blocks.{l}.attn.W_Q, W_K, W_V [heads, width, features] and b_Q, b_K, b_V [heads, features], attn.W_O
      [heads, features, width] and b_O [width], mlp.W_in [width, hidden], b_in, W_out [hidden, width], b_out, ln1, ln2
      and ln_final .w and .b [width], unembed.W_U [width, classes] and b_U. Float32; biases that the model has not are
      zero, norms without scale have ones.

    Raises:
      ConfigError: for what TransformerLens cannot express (norms after the residual sum or inside the MLP, a final norm
        or its lack against its rule, BatchNorm, a split MLP, activations other than relu, gelu and silu), and for a
        model that is not a fitted decoder.

    Source: the naming of TransformerLens, https://github.com/TransformerLensOrg/TransformerLens.
    """
    _check(model)
    learned = model.positions == "learned"
    positions = params["position"] if learned else sinusoidal_positions(model.length, model.width)
    state = {"embed.W_E": params["embedding"], "pos_embed.W_pos": positions}
    for layer in range(model.num_layers):
        state |= {f"blocks.{layer}.{name}": value for name, value in _block(model, params[f"block_{layer}"]).items()}
    if model.norm == "pre":
        state |= _norm("ln_final", params.get("norm_output", {}), model.width)
    state |= {"unembed.W_U": params["output"], "unembed.b_U": np.zeros(model.num_classes)}
    return {name: np.asarray(value, np.float32) for name, value in state.items()}


def _check(model) -> None:
    """ConfigError for a model TransformerLens has no like of."""
    if not isinstance(model, Decoder):
        raise ConfigError(f"Only a Decoder can be written for TransformerLens, not a {type(model).__name__}.")
    if model.length is None or model.num_classes is None:
        raise ConfigError("The decoder is not fitted to a table. Try fitted(model, table), of grokjax.models.")
    if model.hidden_units and model.activation not in ACTIVATIONS:
        raise ConfigError(
            f"TransformerLens has no activation={model.activation}; it has {', '.join(ACTIVATIONS)}. "
            "Try a model with one of these."
        )
    refused = dict(
        norm=model.norm == "post",
        norm_kind=model.counts_batch,
        inner_norm=model.inner_norm,
        final_norm=model.normalises_output != (model.norm == "pre"),
        split_mlp=model.split_mlp,
    )
    for name, is_refused in refused.items():
        if is_refused:
            raise ConfigError(
                f"TransformerLens cannot express {name}={getattr(model, name)}: its norms are LayerNorms before each "
                "branch and the output or nowhere, and its MLP is whole. Try a model with norm='pre' or norm='none'."
            )


def _block(model: Decoder, block) -> dict[str, np.ndarray]:
    """The arrays of one layer, by name."""
    heads, width = model.num_heads, model.width
    features, hidden = width // heads, model.hidden_units
    state = {}
    for letter, name in (("Q", "query"), ("K", "key"), ("V", "value")):
        kernel = np.asarray(block[name]["kernel"]).reshape(width, heads, features)
        state[f"attn.W_{letter}"] = kernel.swapaxes(0, 1)
        state[f"attn.b_{letter}"] = _bias(block[name], width).reshape(heads, features)
    state["attn.W_O"] = np.asarray(block["output"]["kernel"]).reshape(heads, features, width)
    state["attn.b_O"] = _bias(block["output"], width)
    if hidden:
        for letters, name, outputs in (("in", "mlp_in", hidden), ("out", "mlp_out", width)):
            state[f"mlp.W_{letters}"] = block[name]["kernel"]
            state[f"mlp.b_{letters}"] = _bias(block[name], outputs)
    if model.norm == "pre":
        state |= _norm("ln1", block.get("norm_attention", {}), width)
        if hidden:
            state |= _norm("ln2", block.get("norm_mlp", {}), width)
    return state


def _bias(linear, outputs: int) -> np.ndarray:
    return np.asarray(linear["bias"]) if "bias" in linear else np.zeros(outputs)


def _norm(name: str, norm, width: int) -> dict[str, np.ndarray]:
    """A norm's scale and bias; those of the identity where it has none."""
    return {f"{name}.w": norm.get("scale", np.ones(width)), f"{name}.b": norm.get("bias", np.zeros(width))}
