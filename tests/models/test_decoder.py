import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from grokjax import losses
from grokjax.models import Decoder, fitted
from grokjax.models.layers import INITS, drop, sinusoidal_positions
from grokjax.tasks import Table, find_prefixes, modular

TABLE = modular("add", 5, "a o b =").table()
FORMATS = ("a o b =", "a b =", "a b")
BIASES = (("none", "sinusoidal"), ("all", "learned"), ("mlp", "learned"), ("all", "sinusoidal"))
COMBINATIONS = [
    (norm, 1 + i % 2, tokens, *BIASES[i % len(BIASES)])
    for i, (norm, tokens) in enumerate(itertools.product(("post", "pre", "none"), FORMATS))
] + [("pre", 3, "a o b =", "mlp", "learned")]
"""Every norm with every format, each with one layer and with two."""


def tiny(table, **changed):
    """A decoder of width 8 fitted to a table."""
    defaults = dict(num_layers=2, width=8, num_heads=2, mlp_width=12)
    return fitted(Decoder(**(defaults | changed)), table)


def random_params(model, table, seed=0):
    """Parameters of the model's shapes, biases and norms among them, all away from their initial values."""
    shapes = shapes_of(model, table)
    random = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: (random.normal(size=leaf.shape) * leaf.shape[0] ** -0.5 + (leaf.ndim == 1)).astype(np.float32),
        shapes,
    )


def logits_and_gradient(logits_of, params, labels):
    def loss(params):
        logits = logits_of(params)
        return losses.cross_entropy(logits, labels).mean(), logits

    gradient, logits = jax.grad(loss, has_aux=True)(params)
    return logits, gradient


def check_against_reference(model, table, batch_rows, rows):
    """Logits and gradients of `__call__` and of `logits_of_rows` are those of the reference, to rounding."""
    params, prefixes = random_params(model, table), find_prefixes(table, batch_rows)
    tokens, labels = table.inputs[rows], table.labels[rows]

    @jax.jit
    def both(params, prefixes, rows, tokens, labels):
        plain = functools.partial(model.apply, tokens=tokens)
        shared = functools.partial(model.apply, prefixes=prefixes, rows=rows, method="logits_of_rows")
        return [logits_and_gradient(lambda p, way=way: way({"params": p}), params, labels) for way in (plain, shared)]

    expected = reference.decoder_logits(model, reference.float64(params), tokens)
    found = both(params, prefixes, rows, tokens, labels)
    # A gradient passes the chain forth and back, and sums over the batch.
    relative = 2 * reference.rounding(model, len(rows))
    for way, (logits, gradient) in zip(("__call__", "logits_of_rows"), found, strict=True):
        assert logits.dtype == jnp.float32
        reference.assert_close(logits, expected, reference.rounding(model), way)
        reference.assert_is_gradient(gradient, model, params, tokens, labels, relative)
    reference.assert_trees_close(found[1][1], found[0][1], 2 * relative)
    return prefixes


@pytest.mark.parametrize(("norm", "num_layers", "tokens", "bias", "positions"), COMBINATIONS)
def test_logits_and_gradients_are_those_of_a_plain_decoder(norm, num_layers, tokens, bias, positions):
    table = modular("subtract", 5, tokens).table()
    model = tiny(table, norm=norm, num_layers=num_layers, bias=bias, positions=positions)
    rows = np.array([24, 0, 7, 7, 13, 1, 20, 3], np.int32)
    prefixes = check_against_reference(model, table, len(rows), rows)
    assert len(prefixes.prefix_pair) == {"a o b =": 2, "a b =": 1, "a b": 1}[tokens]


def two_answers(answer_positions):
    """Rows of five tokens; the first two positions have few prefixes, the last is never read."""
    random = np.random.default_rng(1)
    lead = np.array([[0, 1], [0, 2], [3, 1]])
    inputs = np.concatenate([lead[random.integers(0, 3, 12)], random.integers(0, 6, (12, 3))], axis=1)
    labels = random.integers(0, 4, (12, len(answer_positions)))
    return Table(inputs.astype(np.int32), labels.astype(np.int32), answer_positions, 6, 4, "two answers")


@pytest.mark.parametrize(("answer_positions", "num_layers"), [((1, 3), 1), ((2, 3), 1), ((0, 1), 1), ((1, 3), 3)])
def test_answers_may_lie_at_shared_positions_and_at_others(answer_positions, num_layers):
    table = two_answers(answer_positions)
    model = tiny(table, num_layers=num_layers, positions="learned")
    prefixes = check_against_reference(model, table, 5, np.array([11, 3, 3, 0, 8], np.int32))
    assert len(prefixes.prefix_pair) == 2


@pytest.mark.parametrize("num_layers", [1, 3])
def test_every_position_may_be_shared(num_layers):
    table = modular("add", 3, "a b =").table()
    model = tiny(table, num_layers=num_layers)
    prefixes = check_against_reference(model, table, 16, np.array([8, 0, 4, 4, 1, 2], np.int32))
    assert len(prefixes.prefix_pair) == 3


@pytest.mark.parametrize("num_layers", [1, 2])
def test_no_position_need_be_shared(num_layers):
    table = modular("add", 3, "a b").table()
    model = tiny(table, num_layers=num_layers, norm="pre")
    prefixes = check_against_reference(model, table, 2, np.array([8, 0], np.int32))
    assert len(prefixes.prefix_pair) == 0


def test_a_decoder_may_be_attention_alone():
    table = modular("add", 5).table()
    model = tiny(table, mlp_width=0, norm="pre")
    check_against_reference(model, table, 8, np.array([24, 0, 7, 13], np.int32))
    assert not any("mlp" in name for name in random_params(model, table)["block_0"])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("norm", ["post", "pre", "none"])
def test_an_answer_does_not_depend_on_later_tokens(norm, num_layers):
    answer_positions = (0, 2, 3)
    inputs = np.arange(5, dtype=np.int32)[None]
    table = Table(inputs, np.zeros((1, 3), np.int32), answer_positions, 5, 4, "five different tokens")
    model = tiny(table, norm=norm, num_layers=num_layers)
    weights = np.array([1.0, -2.0, 0.5, 3.0], np.float32)

    @jax.jit
    @jax.jacrev
    def slopes(params, inputs):
        return (model.apply({"params": params}, inputs)[0] * weights).sum(-1)

    of_answers = np.abs(slopes(random_params(model, table), inputs)["embedding"]).max(-1)
    for of_token, position in zip(of_answers, answer_positions, strict=True):
        assert (of_token[: position + 1] > 1e-4).all()
        assert (of_token[position + 1 :] == 0).all()


def shapes_of(model, table):
    model = fitted(model, table)
    return jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(table.inputs[:1]))["params"]


@pytest.mark.parametrize("bias", ["none", "mlp", "all"])
def test_biases_are_where_they_are_asked_for(bias):
    block = shapes_of(tiny(TABLE, bias=bias), TABLE)["block_1"]
    attention, mlp = ("query", "key", "value", "output"), ("mlp_in", "mlp_out")
    assert all(("bias" in block[name]) == (bias == "all") for name in attention)
    assert all(("bias" in block[name]) == (bias != "none") for name in mlp)


WIDTH, HIDDEN = 32, 96


@pytest.fixture(scope="module", params=list(INITS))
def initial(request):
    """The name of a scheme, and parameters drawn by it."""
    random = np.random.default_rng(0)
    inputs = random.integers(0, 200, (1, 40)).astype(np.int32)
    table = Table(inputs, np.zeros((1, 1), np.int32), (39,), 200, 50, "many tokens")
    model = Decoder(
        num_layers=1, width=WIDTH, mlp_width=HIDDEN, bias="all", positions="learned", init_scheme=request.param
    )
    init = jax.jit(fitted(model, table).init)
    return request.param, init(jax.random.key(0), inputs)["params"]


def check_uniform(x, bound):
    x = np.asarray(x, np.float64)
    assert np.abs(x).max() <= bound
    assert np.abs(x).max() > bound * (1 - 20 / x.size)
    deviation = bound / 3**0.5
    assert abs(x.mean()) < 5 * deviation / x.size**0.5
    assert abs((x**2).mean() / deviation**2 - 1) < 5 * (0.8 / x.size) ** 0.5  # x^2/sigma^2 has variance 4/5


def check_normal(x, deviation, variance_of_square=2.0):
    x = np.asarray(x, np.float64)
    assert abs(x.mean()) < 5 * deviation / x.size**0.5
    assert abs((x**2).mean() / deviation**2 - 1) < 5 * (variance_of_square / x.size) ** 0.5
    assert np.abs(x).max() > 2 * deviation, "a uniform distribution ends at 1.73 deviations"


def test_initial_matrices_have_the_distribution_of_their_scheme(initial):
    scheme, params = initial
    block = params["block_0"]
    kernels = {name: block[name]["kernel"] for name in ("query", "key", "value", "output", "mlp_in", "mlp_out")}
    for name, kernel in kernels.items():
        inputs = HIDDEN if name == "mlp_out" else WIDTH
        assert kernel.shape[0] == inputs
        if scheme == "pytorch":
            check_uniform(kernel, inputs**-0.5)
        elif scheme in ("nanda", "normal"):
            check_normal(kernel, WIDTH**-0.5)
        else:
            check_normal(kernel, inputs**-0.5)
            assert np.abs(kernel).max() < 2.28 * inputs**-0.5, "Flax cuts its normal off at two deviations"


def test_initial_embeddings_and_outputs_have_the_distribution_of_their_scheme(initial):
    scheme, params = initial
    deviation = 1.0 if scheme == "pytorch" else WIDTH**-0.5
    check_normal(params["embedding"], deviation)
    check_normal(params["position"], deviation)
    if scheme == "pytorch":
        check_uniform(params["output"], WIDTH**-0.5)
    elif scheme == "nanda":
        check_normal(params["output"], 50**-0.5)
    else:
        check_normal(params["output"], WIDTH**-0.5)


def test_initial_biases_are_zero_but_in_pytorch(initial):
    scheme, params = initial
    for name in ("query", "key", "value", "output", "mlp_in", "mlp_out"):
        bias, inputs = params["block_0"][name]["bias"], params["block_0"][name]["kernel"].shape[0]
        if scheme == "pytorch":
            assert np.abs(bias).max() <= inputs**-0.5
            assert np.std(bias) > 0.3 * inputs**-0.5
        else:
            assert not np.any(bias)


def test_norms_begin_as_the_identity(initial):
    _, params = initial
    for name in ("norm_attention", "norm_mlp"):
        assert np.all(params["block_0"][name]["scale"] == 1)
        assert not np.any(params["block_0"][name]["bias"])


@pytest.mark.parametrize(("length", "width"), [(1, 2), (4, 8), (7, 5), (40, 128)])
def test_sinusoidal_positions_follow_the_formula(length, width):
    found = sinusoidal_positions(length, width)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference.sinusoid(length, width), atol=2e-7)


@functools.partial(jax.jit, static_argnums=0)
def dropped_logits(model, params, tokens, rate, key):
    return model.apply({"params": params}, tokens, train=True, dropout=rate, rngs={"dropout": key})


def test_dropping_nothing_changes_nothing():
    x = jax.random.normal(jax.random.key(0), (50, 8))
    np.testing.assert_array_equal(drop(jax.random.key(1), x, jnp.float32(0)), x)
    model = tiny(TABLE)
    params = random_params(model, TABLE)
    found = dropped_logits(model, params, TABLE.inputs, jnp.float32(0), jax.random.key(1))
    expected = reference.decoder_logits(model, reference.float64(params), TABLE.inputs)
    reference.assert_close(found, expected, reference.rounding(model))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_at_its_rate_and_keeps_the_mean(rate):
    size = 100_000
    dropped = np.asarray(drop(jax.random.key(2), jnp.ones(size), jnp.float32(rate)), np.float64)
    np.testing.assert_allclose(dropped[dropped > 0], 1 / (1 - rate), rtol=1e-6)
    deviation = (rate * (1 - rate) / size) ** 0.5
    assert abs((dropped == 0).mean() - rate) < 5 * deviation
    assert abs(dropped.mean() - 1) < 5 * deviation / (1 - rate)


def test_different_keys_drop_differently():
    model = tiny(TABLE)
    params = random_params(model, TABLE)
    one, same, other = (
        np.asarray(dropped_logits(model, params, TABLE.inputs, jnp.float32(0.3), jax.random.key(seed)))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.isclose(one, other).all(-1).any()


def test_dropout_falls_on_the_embeddings_and_both_branches_of_every_layer(monkeypatch):
    model, dropped = tiny(TABLE, num_layers=2), []

    def noted(key, x, rate):
        dropped.append((tuple(jax.random.key_data(key).tolist()), x.shape))
        return x

    monkeypatch.setattr("grokjax.models.layers.drop", noted)
    params = {"params": random_params(model, TABLE)}
    rngs = {"dropout": jax.random.key(1)}
    model.apply(params, jnp.asarray(TABLE.inputs), train=True, dropout=0.3, rngs=rngs)
    everywhere, answer = (25, 4, 8), (25, 1, 8)
    assert [shape for _, shape in dropped] == [everywhere] * 3 + [answer] * 2
    assert len({key for key, _ in dropped}) == 5, "a mask of its own each time"


def test_operations_of_one_layer_are_those_counted_by_hand():
    table = modular("add", 97, "a b =").table()
    model = fitted(Decoder(num_layers=1, width=128, mlp_width=512), table)
    rows, d, hidden, classes = 512, 128, 512, 98
    keys_values = 2 * (97 + 97 + 1) * 2 * d * d  # once per number at each place, and for '='
    queries = 1 * 2 * d * d  # '=' alone asks
    attention = rows * 3 * 2 * (2 * d)  # scores and mixing, over three positions
    output, mlp = rows * 2 * d * d, rows * 2 * (2 * d * hidden)
    logits = rows * 2 * d * classes
    by_hand = keys_values + queries + attention + output + mlp + logits
    assert model.operations(rows, find_prefixes(table, rows)) == by_hand
    plain = by_hand - keys_values - queries + 2 * (3 * rows) * 2 * d * d + rows * 2 * d * d
    assert model.operations(rows, None) == plain


@pytest.mark.parametrize("tokens", FORMATS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("modulus", [5, 11])
def test_sharing_never_costs_operations_where_a_batch_has_more_rows_than_there_are_numbers(tokens, num_layers, modulus):
    table = modular("add", modulus, tokens).table()
    model = tiny(table, num_layers=num_layers)
    for rows in (modulus, modulus + 1, 2 * modulus, modulus**2, 2 * modulus**2):
        assert model.operations(rows, find_prefixes(table, rows)) <= model.operations(rows, None)
