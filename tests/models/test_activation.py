"""The activation of a transformer is that of its name, with the same savings as ReLU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference

from grokjax import losses
from grokjax.config import ConfigError
from grokjax.models import Decoder, EncoderDecoder, Mlp, ResNet, fitted
from grokjax.models.layers import ACTIVATIONS
from grokjax.tasks import find_prefixes, modular

TABLE = modular("subtract", 5, "a o b =").table()
ROWS = np.array([24, 0, 7, 13, 1, 20, 3, 5])
SMALL = dict(width=8, num_heads=2, mlp_width=12)
MODELS = {
    "decoder": (Decoder(num_layers=1, bias="mlp", **SMALL), reference.decoder_logits),
    "decoder with an inner norm": (Decoder(num_layers=1, inner_norm=True, **SMALL), reference.decoder_logits),
    "encoder-decoder": (EncoderDecoder(num_layers=1, **SMALL), oracles.encoder_decoder_logits),
}
CASES = [("decoder", name) for name in ACTIVATIONS]
CASES += [(model, name) for model in list(MODELS)[1:] for name in ("gelu", "quadratic")]


@pytest.mark.parametrize(("kind", "activation"), CASES)
def test_logits_and_gradients_are_those_of_the_reference_in_both_ways(kind, activation):
    model, logits_of = MODELS[kind]
    model = fitted(model.clone(activation=activation), TABLE)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(TABLE.inputs[:1]))["params"]
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32) / 2, shapes)
    tokens, labels = TABLE.inputs[ROWS], jnp.asarray(TABLE.labels[ROWS])
    prefixes = find_prefixes(TABLE, len(ROWS), 4)
    assert model.operations(len(ROWS), prefixes) < model.operations(len(ROWS), None)

    def logits_and_gradient(logits):
        def loss(params):
            z = logits(params)
            return losses.cross_entropy(z, labels).mean(), z

        gradient, z = jax.grad(loss, has_aux=True)(params)
        return z, gradient

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(params, prefixes):
        return [
            logits_and_gradient(lambda p: model.apply({"params": p}, jnp.asarray(tokens))),
            logits_and_gradient(
                lambda p: model.apply({"params": p}, prefixes, jnp.asarray(ROWS), method="logits_of_rows")
            ),
        ]

    expected = logits_of(model, reference.float64(params), tokens)
    for logits, gradient in both(params, jax.tree.map(jnp.asarray, prefixes)):
        reference.assert_close(logits, expected, 1e-5)
        reference.assert_is_gradient(gradient, model, params, tokens, TABLE.labels[ROWS], 1e-5, logits_of)


@pytest.mark.parametrize("model", [Decoder, EncoderDecoder, Mlp, ResNet])
def test_an_unknown_activation_is_answered_with_the_known_ones(model):
    with pytest.raises(ConfigError, match="activation=relu6 is not known. Did you mean relu.*quadratic"):
        model(activation="relu6")


def test_gelu_is_the_exact_one_and_every_activation_of_ours_has_an_oracle():
    x = jnp.linspace(-3, 3, 7)
    assert ACTIVATIONS.keys() == reference.ACTIVATIONS.keys()
    for name, activation in ACTIVATIONS.items():
        expected = reference.ACTIVATIONS[name](np.linspace(-3, 3, 7))
        np.testing.assert_allclose(activation(x), expected, rtol=1e-6, atol=1e-7, err_msg=name)
