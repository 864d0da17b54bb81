import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from grokjax.config import ConfigError
from grokjax.models import Decoder, Mlp, fitted, to_transformer_lens
from grokjax.tasks import modular

TABLE = modular("add", 5, "a b =", output="numbers").table()
MIXED = dataclasses.replace(TABLE, part_position=0, part_tokens=(1, 3))
SMALL = dict(num_layers=2, width=8, num_heads=2, mlp_width=12)


def with_random_params(**settings):
    model = fitted(Decoder(**SMALL | settings), TABLE)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(TABLE.inputs[:1]))["params"]
    random = np.random.default_rng(0)
    return model, jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes)


def hooked_logits(state, tokens, num_layers, normalises):
    """[rows, length, classes]: what a HookedTransformer computes of its state dict, as its documentation has it."""

    def norm(x, name):
        if not normalises:
            return x
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * state[f"{name}.w"] + state[f"{name}.b"]

    length = tokens.shape[1]
    x = state["embed.W_E"][tokens] + state["pos_embed.W_pos"][:length]
    for layer in range(num_layers):
        block = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in state.items()
            if name.startswith(f"blocks.{layer}.")
        }
        y = norm(x, f"blocks.{layer}.ln1")
        q, k, v = (np.einsum("btd,hdf->bthf", y, block[f"attn.W_{c}"]) + block[f"attn.b_{c}"] for c in "QKV")
        scores = np.einsum("bqhf,bkhf->bhqk", q, k) / q.shape[-1] ** 0.5
        scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        z = np.einsum("bhqk,bkhf->bqhf", weights / weights.sum(-1, keepdims=True), v)
        x = x + np.einsum("bqhf,hfd->bqd", z, block["attn.W_O"]) + block["attn.b_O"]
        if "mlp.W_in" in block:
            y = norm(x, f"blocks.{layer}.ln2")
            x = x + np.maximum(y @ block["mlp.W_in"] + block["mlp.b_in"], 0) @ block["mlp.W_out"] + block["mlp.b_out"]
    return norm(x, "ln_final") @ state["unembed.W_U"] + state["unembed.b_U"]


@pytest.mark.parametrize(
    "settings",
    [
        dict(norm="none", bias="mlp", positions="learned"),
        dict(norm="pre", bias="all"),
        dict(norm="pre", norm_affine=False, mlp_width=0),
    ],
)
def test_the_exported_arrays_give_the_model_s_logits(settings):
    model, params = with_random_params(**settings)
    state = {name: value.astype(np.float64) for name, value in to_transformer_lens(model, params).items()}
    found = hooked_logits(state, TABLE.inputs, 2, model.norm == "pre")[:, -1:]
    expected = reference.decoder_logits(model, reference.float64(params), TABLE.inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())  # float32 sinusoids


def test_the_exported_arrays_have_the_names_and_shapes_of_a_hooked_transformer():
    model, params = with_random_params(norm="pre")
    state = to_transformer_lens(model, params)
    attention = dict(W_Q=(2, 8, 4), W_K=(2, 8, 4), W_V=(2, 8, 4), W_O=(2, 4, 8))
    attention |= dict(b_Q=(2, 4), b_K=(2, 4), b_V=(2, 4), b_O=(8,))
    mlp = dict(W_in=(8, 12), b_in=(12,), W_out=(12, 8), b_out=(8,))
    expected = {"embed.W_E": (6, 8), "pos_embed.W_pos": (3, 8), "unembed.W_U": (8, 5), "unembed.b_U": (5,)}
    expected |= {"ln_final.w": (8,), "ln_final.b": (8,)}
    for layer in ("blocks.0", "blocks.1"):
        expected |= {f"{layer}.attn.{name}": shape for name, shape in attention.items()}
        expected |= {f"{layer}.mlp.{name}": shape for name, shape in mlp.items()}
        expected |= {f"{layer}.{norm}.{name}": (8,) for norm in ("ln1", "ln2") for name in "wb"}
    assert {name: value.shape for name, value in state.items()} == expected
    assert all(value.dtype == np.float32 for value in state.values())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (dict(norm="post"), "norm=post"),
        (dict(norm="pre", norm_kind="batch"), "norm_kind=batch"),
        (dict(norm="pre", inner_norm=True), "inner_norm=True"),
        (dict(norm="pre", final_norm=False), "final_norm=False"),
        (dict(norm="none", final_norm=True), "final_norm=True"),
        (dict(norm="none", split_mlp=True), "split_mlp=True"),
    ],
)
def test_what_transformer_lens_cannot_express_is_refused(settings, name):
    with pytest.raises(ConfigError, match=f"TransformerLens cannot express {name}.*Try"):
        to_transformer_lens(fitted(Decoder(**SMALL | settings), MIXED), {})


@pytest.mark.parametrize("activation", ["quadratic", "tanh", "identity"])
def test_an_activation_that_transformer_lens_has_not_is_refused(activation):
    with pytest.raises(ConfigError, match=f"TransformerLens has no activation={activation}; it has relu, gelu, silu"):
        to_transformer_lens(fitted(Decoder(norm="pre", activation=activation, **SMALL), TABLE), {})
    model, params = with_random_params(norm="pre", activation=activation, mlp_width=0)
    assert to_transformer_lens(model, params), "where there is no MLP there is no activation"
    model, params = with_random_params(norm="pre", activation="gelu")
    assert "blocks.0.mlp.W_in" in to_transformer_lens(model, params)


def test_only_a_fitted_decoder_can_be_exported():
    with pytest.raises(ConfigError, match="Only a Decoder.*not a Mlp"):
        to_transformer_lens(fitted(Mlp(), TABLE), {})
    with pytest.raises(ConfigError, match="not fitted to a table. Try fitted"):
        to_transformer_lens(Decoder(norm="pre"), {})
