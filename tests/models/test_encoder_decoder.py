import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference

from grokjax import losses
from grokjax.config import ConfigError
from grokjax.models import EncoderDecoder, fitted
from grokjax.models.layers import INITS
from grokjax.tasks import find_prefixes, modular

TABLE = modular("subtract", 5, "a o b =").table()
ROWS = np.array([24, 0, 7, 13, 1, 20, 3, 5])  # with zeros in the first place, in the third, in both and in none


def tiny(**changed):
    return fitted(EncoderDecoder(**dict(num_layers=2, width=8, num_heads=2, mlp_width=12) | changed), TABLE)


def random_params(model):
    """Parameters of the model's shapes, all away from their initial values."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(TABLE.inputs[:1]))["params"]
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: (random.normal(size=leaf.shape) * leaf.shape[0] ** -0.5 + (leaf.ndim == 1)).astype(np.float32),
        shapes,
    )


def relative_error(model, sums=0):
    """The bound of `reference.rounding`, for chains through both stacks."""
    per_layer = 11 * model.width + 2 * model.width // model.num_heads + 2 * model.length + model.hidden_units
    return (2 * model.num_layers * per_layer + model.width + sums) * reference.EPSILON


def at_each_row(model, params, rows):
    return model.apply(params, jnp.asarray(TABLE.inputs)[rows])


def of_distinct_tokens(model, params, rows):
    prefixes = jax.tree.map(jnp.asarray, find_prefixes(TABLE, len(ROWS), 4))
    return model.apply(params, prefixes, rows, method="logits_of_rows")


def loss_and_gradient(model, params, tokens, labels, logits_of=None):
    params, tokens, labels = jax.tree.map(jnp.asarray, (params, tokens, labels))

    def loss(params):
        logits = (logits_of or EncoderDecoder.apply)(model, {"params": params}, tokens)
        return losses.cross_entropy(logits, labels).mean(), logits

    return jax.grad(loss, has_aux=True)(params)


@pytest.mark.parametrize("logits_of", [at_each_row, of_distinct_tokens])
@pytest.mark.parametrize(
    "changed",
    [{}, {"num_layers": 1}, *({"zero_is_padding": True, "num_layers": layers} for layers in (1, 2, 3))],
)
def test_logits_and_gradients_are_those_of_a_decoder_computed_at_every_position(changed, logits_of):
    model = tiny(**changed)
    params, tokens, labels = random_params(model), TABLE.inputs[ROWS], TABLE.labels[ROWS]
    gradient, logits = loss_and_gradient(model, params, ROWS, labels, logits_of)
    expected = oracles.encoder_decoder_logits(model, reference.float64(params), tokens)
    reference.assert_close(logits, expected, relative_error(model))
    reference.assert_is_gradient(
        gradient, model, params, tokens, labels, 2 * relative_error(model, len(ROWS)), oracles.encoder_decoder_logits
    )
    asked = [gradient[f"decoder_{i}"][name]["kernel"] for i in range(model.num_layers) for name in ("query", "key")]
    first_position_alone = not model.zero_is_padding or model.num_layers == 1
    assert not any(np.any(leaf) for leaf in asked[-2:]), "the first position sees itself alone, or all alike"
    assert any(np.any(leaf) for leaf in asked[:2]) != first_position_alone


def read_tokens(model, params, row, name):
    """The tokens whose embedding in one of the tables decides the logits of a row: those with a derivative."""
    rows = np.array([row] * len(ROWS), np.int32)
    slopes, _ = loss_and_gradient(model, params, rows, TABLE.labels[ROWS])
    return np.flatnonzero(np.any(np.asarray(slopes[name]), axis=1)).tolist()


def test_the_decoder_sees_no_later_token():
    model = tiny()
    params = random_params(model)
    assert read_tokens(model, params, [1, 5, 2, 6], "embedding_target") == [1]
    assert read_tokens(model, params, [1, 5, 2, 6], "embedding_source") == [1, 2, 5, 6], "the encoder sees all"


@pytest.mark.parametrize("row", [[0, 5, 2, 6], [1, 5, 0, 6]])
def test_a_padded_zero_is_seen_by_no_key_of_the_encoder(row):
    model = tiny(zero_is_padding=True)
    params = random_params(model)
    assert read_tokens(model, params, row, "embedding_source") == sorted(token for token in row if token)
    assert read_tokens(tiny(), params, row, "embedding_source") == sorted(row)


def test_a_decoder_position_that_holds_zero_attends_to_later_ones_too():
    model = tiny(zero_is_padding=True)
    params = random_params(model)
    assert read_tokens(model, params, [0, 5, 2, 6], "embedding_target") == [0, 2, 5, 6]
    assert read_tokens(model, params, [1, 5, 0, 6], "embedding_target") == [1]


def test_rows_without_zeros_have_the_same_logits_with_padding_and_without():
    tokens, labels = TABLE.inputs[ROWS], TABLE.labels[ROWS]
    model, padded = tiny(), tiny(zero_is_padding=True)
    params = random_params(model)
    plain, masked = (np.asarray(loss_and_gradient(m, params, tokens, labels)[1]) for m in (model, padded))
    without = np.all(tokens != 0, axis=1)
    assert 0 < without.sum() < len(ROWS)
    np.testing.assert_allclose(masked[without], plain[without], atol=2 * relative_error(model) * np.abs(plain).max())
    assert np.all(np.abs(masked - plain)[~without].max(axis=(1, 2)) > 1e-3)


def test_dropout_falls_on_both_embeddings_and_every_branch_in_train_mode_alone(monkeypatch):
    shapes, model = [], tiny()
    monkeypatch.setattr("grokjax.models.layers.drop", lambda key, x, rate: shapes.append(x.shape) or x)
    params = {"params": random_params(model)}
    tokens = jnp.asarray(TABLE.inputs[:3])

    def trace(**switches):
        jax.eval_shape(functools.partial(model.apply, **switches), params, tokens)

    trace(dropout=0.5)
    trace(train=True, dropout=0.0)
    assert not shapes
    trace(train=True, dropout=0.5, rngs={"dropout": jax.random.key(0)})
    assert shapes == [(3, 4, 8)] * (1 + 2 * 2) + [(3, 1, 8)] * (1 + 2 * 3)


@pytest.mark.parametrize("scheme", INITS)
def test_initial_values_have_the_deviation_of_their_scheme(scheme):
    model = EncoderDecoder(num_layers=1, width=32, mlp_width=32, init_scheme=scheme)
    model = fitted(model, modular("add", 61, "a o b =").table())
    params = model.init(jax.random.key(1), jnp.asarray(TABLE.inputs[:1]))["params"]
    uniform, by_width = (3 * 32) ** -0.5, 32**-0.5
    embedding = 1.0 if scheme == "pytorch" else by_width
    linear = uniform if scheme == "pytorch" else by_width
    output = {"pytorch": uniform, "nanda": 63**-0.5}.get(scheme, by_width)
    expected = {"embedding_source": embedding, "embedding_target": embedding}
    for name, deviation in expected.items():
        assert abs(np.std(params[name]) / deviation - 1) < 5 * (2 * params[name].size) ** -0.5
    for layer, names in (("encoder_0", ("query", "mlp_in")), ("decoder_0", ("key", "cross_key", "cross_output"))):
        for name in names:
            kernel, bias = params[layer][name]["kernel"], params[layer][name]["bias"]
            assert abs(np.std(kernel) / linear - 1) < 5 * (2 * kernel.size) ** -0.5
            assert np.any(bias) == (scheme == "pytorch")
    kernel, bias = params["output"]["kernel"], params["output"]["bias"]
    assert abs(np.std(kernel) / output - 1) < 5 * (2 * kernel.size) ** -0.5
    assert np.any(bias) == (scheme == "pytorch")
    assert np.abs(bias).max() <= by_width


def test_operations_are_those_counted_by_hand():
    model, d, hidden, length = tiny(num_layers=1), 8, 12, 4
    encoder = length * (4 * 2 * d * d + 2 * 2 * d * hidden) + 2 * 2 * length * length * d
    decoder = 2 * 2 * d * d  # value and output of the first position
    cross = 2 * length * 2 * d * d + 2 * 2 * d * d + 2 * 2 * length * d
    by_hand = encoder + decoder + cross + 2 * 2 * d * hidden + 2 * d * 7
    assert model.operations(10) == 10 * by_hand
    padded = tiny(num_layers=1, zero_is_padding=True)
    assert padded.operations(10) - 10 * by_hand == 10 * (2 * length * 2 * d * d + 2 * 2 * length * d)
    prefixes, pairs, numbers = find_prefixes(TABLE, 10, length), 5 + 1 + 5 + 1, 5
    spared = (10 * length - pairs) * 3 * 2 * d * d  # queries, keys and values of the first encoder layer
    of_first_decoder_layer = (10 - numbers) * 3 * 2 * d * d  # value and output, then the query of cross-attention
    assert model.operations(10, prefixes) == 10 * by_hand - spared - of_first_decoder_layer
    assert padded.operations(10, prefixes) == padded.operations(10) - 2 * spared


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match="num_heads=3 does not divide width=8. Try --num_heads=1,2,4"):
        EncoderDecoder(width=8, num_heads=3)
