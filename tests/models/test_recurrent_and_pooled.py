import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference

from grokjax import losses
from grokjax.models import Lstm, Mlp, ResNet, fitted
from grokjax.models.layers import INITS
from grokjax.tasks import find_prefixes, modular

TABLE = modular("subtract", 5, "a o b =").table()
ROWS = np.array([24, 0, 7, 7, 13, 1, 20, 3])
MODELS = {
    "lstm": (Lstm(num_layers=2, width=8), oracles.lstm_logits),
    "mlp": (Mlp(num_layers=3, width=8), oracles.mlp_logits),
    "resnet": (ResNet(num_layers=3, width=8), oracles.resnet_logits),
    "unshared resnet": (ResNet(num_layers=3, width=8, shared=False), oracles.resnet_logits),
}


def random_params(model, table=TABLE):
    """Parameters of the model's shapes, biases away from zero."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(table.inputs[:1]))["params"]
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: (random.normal(size=leaf.shape) * 0.5).astype(np.float32), shapes)


@functools.partial(jax.jit, static_argnums=(0, 4))
def gradient_and_logits(model, params, tokens, labels, shared=False):
    def loss(params):
        if shared:
            prefixes = jax.tree.map(jnp.asarray, shared())
            logits = model.apply({"params": params}, prefixes, jnp.asarray(ROWS), method="logits_of_rows")
        else:
            logits = model.apply({"params": params}, tokens)
        return losses.cross_entropy(logits, labels).mean(), logits

    return jax.grad(loss, has_aux=True)(params)


def no_prefixes():
    return find_prefixes(TABLE, 1, 4)


def prefixes_of_two_positions():
    return find_prefixes(TABLE, 8, 4)


def prefixes_of_all_positions():
    return find_prefixes(TABLE, 26, 4)


SHARED = no_prefixes, prefixes_of_two_positions, prefixes_of_all_positions


@pytest.mark.parametrize(("name", "shared"), [(name, False) for name in MODELS] + [("lstm", way) for way in SHARED])
def test_logits_and_gradients_are_those_of_the_reference(name, shared):
    model, logits_of = MODELS[name]
    model = fitted(model, TABLE)
    params, tokens, labels = random_params(model), TABLE.inputs[ROWS], TABLE.labels[ROWS]
    gradient, logits = gradient_and_logits(model, params, tokens, labels, shared)
    expected = logits_of(model, reference.float64(params), tokens)
    assert logits.dtype == jnp.float32 and logits.shape == (8, 1, 7)
    # A number passes a dot product over the width, or two and a few elementwise steps, per layer and position.
    passes = model.num_layers * (1 if not isinstance(model, Lstm) else 2 * (tokens.shape[1] + 1)) + 2
    relative = passes * 2 * (model.width + 8) * reference.EPSILON
    reference.assert_close(logits, expected, relative)
    reference.assert_is_gradient(
        gradient, model, params, tokens, labels, 2 * relative + len(ROWS) * reference.EPSILON, logits_of
    )
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", ["mlp", "resnet", "unshared resnet"])
def test_pooled_models_cannot_tell_the_order_of_tokens_to_the_bit(name):
    table = modular("add", 97, "a o b =").table()
    model = fitted(MODELS[name][0], table)
    variables = {"params": random_params(model, table)}
    tokens = jnp.asarray(table.inputs[np.random.default_rng(1).integers(0, table.num_examples, 200)])
    logits = np.asarray(model.apply(variables, tokens))
    assert np.ptp(logits) > 0.1
    for order in ([2, 1, 0, 3], [3, 0, 1, 2]):
        np.testing.assert_array_equal(model.apply(variables, tokens[:, np.array(order)]), logits)


def test_a_recurrent_model_can_tell_the_order_of_tokens():
    model = fitted(MODELS["lstm"][0], TABLE)
    variables = {"params": random_params(model)}
    one, other = (model.apply(variables, jnp.array([row])) for row in ([1, 5, 2, 6], [2, 5, 1, 6]))
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


def test_the_decoder_of_a_recurrent_model_reads_the_first_token_alone():
    model = fitted(MODELS["lstm"][0], TABLE)
    row = np.array([[1, 5, 2, 6]] * len(ROWS), np.int32)
    slopes, _ = gradient_and_logits(model, random_params(model), row, TABLE.labels[ROWS])
    for name, read in (("embedding_source", [1, 2, 5, 6]), ("embedding_target", [1])):
        assert np.flatnonzero(np.any(np.asarray(slopes[name]), axis=1)).tolist() == read


@pytest.mark.parametrize(("kind", "scheme"), list(itertools.product((Lstm, Mlp, ResNet), INITS)))
def test_initial_values_have_the_deviation_of_their_scheme(kind, scheme):
    width = 32
    model = fitted(kind(width=width, init_scheme=scheme), modular("add", 61, "a o b =").table())
    params = model.init(jax.random.key(1), jnp.asarray(TABLE.inputs[:1]))["params"]
    uniform, by_width = (3 * width) ** -0.5, width**-0.5
    linear = uniform if scheme == "pytorch" else by_width
    output = {"pytorch": uniform, "nanda": 63**-0.5}.get(scheme, by_width)
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        name = jax.tree_util.keystr(path)
        if "bias" in name:
            assert np.any(leaf) == (scheme == "pytorch"), name
            assert np.abs(leaf).max() <= by_width, name
            continue
        deviation = linear
        if "embedding" in name:
            deviation = 1.0 if scheme == "pytorch" else by_width
        if "output" in name:
            deviation = output
        assert abs(np.std(leaf) / deviation - 1) < 5 * (2 * leaf.size) ** -0.5, name
        if scheme == "pytorch" and "embedding" not in name:
            assert np.abs(leaf).max() <= by_width, name


def test_operations_are_those_counted_by_hand():
    lstm, mlp, resnet = (fitted(model, TABLE) for model in (Lstm(1, 8), Mlp(3, 8), ResNet(3, 8)))
    gates, logits = 2 * 8 * 32, 2 * 8 * 7
    assert lstm.operations(10) == 10 * ((4 + 3) * gates + 2 * gates + logits), "the first hidden state is zero"
    found = lstm.operations(10, find_prefixes(TABLE, 10, 4))
    assert found == ((12 + 5 + 10 + 5) * gates) + (5 + 10) * gates + 10 * logits, "5 numbers, 12 pairs, 5 prefixes"
    assert mlp.operations(10) == resnet.operations(10) == 10 * (3 * 2 * 8 * 8 + logits)
