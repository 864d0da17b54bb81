"""The scale-invariant weights of models are found without naming them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.analysis.invariance import invariant_subset, scaling
from grokjax.metrics import paths
from grokjax.models import Decoder, fitted
from grokjax.tasks import modular

TABLE = modular("add", 5, "a b").table()
MELNIK = dict(norm="pre", inner_norm=True, norm_affine=False)


def model(**settings):
    """The logits as a function of parameters, and initial parameters."""
    decoder = fitted(Decoder(width=8, num_heads=2, **settings), TABLE)
    tokens = jnp.asarray(TABLE.inputs)
    params = jax.jit(decoder.init)(jax.random.key(0), tokens)["params"]
    return lambda params: decoder.apply({"params": params}, tokens), params


def test_in_melniks_decoder_the_first_matrix_of_each_mlp_is_found():
    found = invariant_subset(*model(num_layers=2, **MELNIK))
    assert found == ("block_0.mlp_in.kernel", "block_1.mlp_in.kernel")


def test_what_adds_to_a_normalised_residual_stream_is_invariant_together():
    logits_of, params = model(num_layers=1, positions="learned", **MELNIK)
    stream = ("block_0.mlp_out.kernel", "block_0.output.kernel", "embedding", "position")
    assert invariant_subset(logits_of, params) == ("block_0.mlp_in.kernel", *stream)
    alone = scaling(logits_of, params)
    assert alone["group"].values[alone["invariant"].values].tolist() == ["block_0.mlp_in.kernel"]
    together = scaling(logits_of, params, {"stream": stream, "all": tuple(paths(params))}, factors=[0.1, 3.0])
    assert together["invariant"].values.tolist() == [True, False]


@pytest.mark.parametrize(
    "settings",
    [
        MELNIK | dict(positions="learned", num_layers=2),
        MELNIK | dict(positions="learned", inner_norm=False, activation="gelu"),
        MELNIK | dict(bias="mlp", init_scheme="nanda"),
        MELNIK | dict(norm="post", positions="learned"),
        dict(norm="none"),
    ],
    ids=["melnik", "no inner norm", "biases", "post", "none"],
)
def test_what_a_decoder_declares_scale_invariant_is_what_is_found(settings):
    settings = dict(num_layers=1) | settings
    logits_of, params = model(**settings)
    assert invariant_subset(logits_of, params) == Decoder(**settings).scale_invariant


def test_of_a_decoder_with_affine_norms_the_declared_weights_are_invariant_together():
    settings = MELNIK | dict(num_layers=1, positions="learned", norm_affine=True)
    logits_of, params = model(**settings)
    declared = Decoder(**settings).scale_invariant
    assert scaling(logits_of, params, {"declared": declared})["invariant"].all()
    assert set(declared) < set(invariant_subset(logits_of, params))


@pytest.mark.parametrize("sharper", [20, 30], ids=["weak", "only rounding"])
def test_attention_so_sharp_that_its_weights_hardly_matter_hides_nothing(sharper):
    logits_of, params = model(num_layers=1, positions="learned", **MELNIK)
    for name in ("query", "key"):
        params["block_0"][name] = {"kernel": sharper * params["block_0"][name]["kernel"]}
    stream = ("block_0.mlp_out.kernel", "block_0.output.kernel", "embedding", "position")
    found = set(invariant_subset(logits_of, params))
    # Attention that only picks a token is nearly invariant itself.
    assert {"block_0.mlp_in.kernel", *stream} <= found <= {"block_0.mlp_in.kernel", *stream, "block_0.query.kernel"}


def test_a_decoder_without_norms_has_no_invariant_weights():
    assert invariant_subset(*model(num_layers=1, norm="none")) == ()


def test_a_bias_that_starts_at_zero_is_scaled_with_its_matrix():
    settings = MELNIK | dict(bias="mlp", init_scheme="nanda", num_layers=1)
    assert invariant_subset(*model(**settings)) == ("block_0.mlp_in.bias", "block_0.mlp_in.kernel")


def test_a_function_of_the_direction_alone_is_wholly_invariant_and_weights_without_effect_are_left_out():
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((6, 5)), jnp.float32)

    def logits_of(params):
        direction = params["used"] / jnp.linalg.norm(params["used"])
        faint = params["faint"] / jnp.linalg.norm(params["faint"])
        return matrix * direction * (1 + 1e-13 * faint[0])  # which only moves what is rounded

    params = {"faint": jnp.arange(1.0, 4.0), "unused": jnp.ones(3), "used": jnp.arange(1.0, 6.0)}
    assert invariant_subset(logits_of, params) == ("used",)
    table = scaling(logits_of, params).sel(factor=2.0)
    assert table["change"].values == pytest.approx([0, 0, 0], abs=1e-12)
    assert table["invariant"].values.tolist() == [False, False, True]
    assert invariant_subset(lambda params: jnp.ones((6, 5)) * params["used"].sum(), params) == ()  # of equal logits


def test_of_two_factors_the_larger_one_is_scaled():
    rng = np.random.default_rng(0)
    shapes = {"a": (5,), "b": (5, 5), "c": (5,)}
    params = {name: jnp.asarray(rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}

    def logits_of(params):
        stream = params["b"] @ params["a"] + params["c"]
        return jnp.outer(jnp.arange(6.0), stream / jnp.linalg.norm(stream))

    assert invariant_subset(logits_of, params) == ("b", "c")


def test_the_change_is_that_of_the_log_probabilities_in_nats():
    rng = np.random.default_rng(0)
    params = {"weights": jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)}

    def log_p(z):
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    z = np.asarray(params["weights"], np.float64)
    expected = np.sqrt(np.mean((log_p(2 * z) - log_p(z)) ** 2))
    found = scaling(lambda p: p["weights"], params, factors=[2.0])
    assert found["change"].item() == pytest.approx(expected, rel=1e-6)


def test_an_unknown_tensor_is_named():
    with pytest.raises(ValueError, match="no tensor 'output.kernel' among the parameters"):
        scaling(*model(num_layers=1), {"last": ["output.kernel"]})
