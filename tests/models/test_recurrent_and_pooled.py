import collections
import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference
from tiny import tiny, train

import grokjax as gj
from grokjax import losses, sweeps
from grokjax.models import Lstm, Mlp, ResNet, fitted
from grokjax.models.layers import ACTIVATIONS, INITS
from grokjax.models.pooled import highest_unordered_accuracy
from grokjax.sweeps import programs
from grokjax.sweeps.engine import make_groups
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.identity import Run
from grokjax.tasks import Table, find_prefixes, modular

TABLE = modular("subtract", 5, "a o b =").table()
ROWS = np.array([24, 0, 7, 7, 13, 1, 20, 3])
MODELS = {
    "lstm": (Lstm(num_layers=2, width=8), oracles.lstm_logits),
    "mlp": (Mlp(num_layers=3, width=8), oracles.mlp_logits),
    "resnet": (ResNet(num_layers=3, width=8), oracles.resnet_logits),
    "unshared resnet": (ResNet(num_layers=3, width=8, shared=False), oracles.resnet_logits),
    "mlp side by side": (Mlp(num_layers=2, width=8, pool="concat"), oracles.mlp_logits),
    "resnet side by side": (ResNet(num_layers=2, width=8, pool="concat"), oracles.resnet_logits),
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


WAYS = [(name, False) for name in MODELS] + [("lstm", way) for way in SHARED]
WAYS += [(f"{name} side by side", no_prefixes) for name in ("mlp", "resnet")]


@pytest.mark.parametrize(("name", "shared"), WAYS)
def test_logits_and_gradients_are_those_of_the_reference(name, shared):
    check_against_reference(*MODELS[name], shared)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "relu"])
@pytest.mark.parametrize("name", ["mlp side by side", "resnet"])
def test_activations_of_models_that_read_a_row_at_once_are_those_of_their_names(name, activation):
    model, logits_of = MODELS[name]
    check_against_reference(model.clone(activation=activation), logits_of, False)


def check_against_reference(model, logits_of, shared):
    model = fitted(model, TABLE)
    params, tokens, labels = random_params(model), TABLE.inputs[ROWS], TABLE.labels[ROWS]
    gradient, logits = gradient_and_logits(model, params, tokens, labels, shared)
    expected = logits_of(model, reference.float64(params), tokens)
    assert logits.dtype == jnp.float32 and logits.shape == (8, 1, 7)
    # A number passes a dot product over the width, or two and a few elementwise steps, per layer and position.
    passes = model.num_layers * (1 if not isinstance(model, Lstm) else 2 * (tokens.shape[1] + 1)) + 2
    passes += tokens.shape[1] * (getattr(model, "pool", "mean") == "concat")
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


@pytest.mark.parametrize("name", ["lstm", "mlp side by side", "resnet side by side"])
def test_other_models_can_tell_the_order_of_tokens(name):
    model = fitted(MODELS[name][0], TABLE)
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
    mlp, resnet = (fitted(kind(3, 8, pool="concat"), TABLE) for kind in (Mlp, ResNet))
    square = 2 * 8 * 8
    assert mlp.operations(10) == 10 * ((4 + 2) * square + logits), "the first matrix has four times the inputs"
    assert resnet.operations(10) == 10 * ((4 + 3) * square + logits)
    pairs = 5 + 1 + 5 + 1
    shared = find_prefixes(TABLE, 10, 4)
    assert mlp.operations(10, shared) == pairs * square + 10 * (2 * square + logits)
    assert resnet.operations(10, shared) == pairs * square + 10 * (3 * square + logits)


@pytest.mark.parametrize("kind", [Mlp, ResNet])
def test_a_run_shares_the_products_of_embeddings_side_by_side_and_counts_them(kind):
    config = dataclasses.replace(tiny(), model=kind(2, 8, pool="concat"))
    (group,) = make_groups([Run((), config)])
    assert group.arrays.prefixes is not None
    assert programs.forward_operations(group.program, group.arrays, 32) == group.program.model.operations(
        32, group.arrays.prefixes
    )
    (group,) = make_groups([Run((), dataclasses.replace(config, model=kind(2, 8)))])
    assert group.arrays.prefixes is None


# ------------------------------------------------------------------------------------ what cannot be seen without order


def unordered_accuracy_by_hand(table):
    """The commonest label of each multiset of tokens, counted row by row."""
    labels = collections.defaultdict(collections.Counter)
    for row, (label,) in zip(table.inputs.tolist(), table.labels.tolist(), strict=True):
        labels[tuple(sorted(row))][label] += 1
    return sum(counts.most_common(1)[0][1] for counts in labels.values()) / table.num_examples


@pytest.mark.parametrize("operation", ["add", "subtract", "x^2+y", "x*y^2", "divide", "divide_if_odd", "x^2+y^2"])
@pytest.mark.parametrize("tokens", ["a b", "a o b ="])
def test_the_accuracy_without_order_is_bounded_by_the_commonest_label_of_each_multiset(operation, tokens):
    table = modular(operation, 11, tokens).table()
    assert highest_unordered_accuracy(table) == pytest.approx(unordered_accuracy_by_hand(table), rel=1e-12)


@pytest.mark.parametrize("modulus", [5, 23, 97])
def test_without_order_a_difference_of_odd_modulus_is_right_on_p_plus_1_of_2p_rows(modulus):
    table = modular("subtract", modulus).table()
    assert highest_unordered_accuracy(table) == pytest.approx((modulus + 1) / (2 * modulus), rel=1e-12)


def test_no_model_of_the_mean_is_right_more_often_than_the_bound_and_one_of_them_side_by_side_is():
    found = train(dataclasses.replace(tiny(steps=400), **SUBTRACTION), pool=["mean", "concat"])
    last = found.isel(step=-1)
    right = 120 * last.train_accuracy + last.val_accuracy
    bound = 121 * highest_unordered_accuracy(SUBTRACTION["task"].table())
    assert 50 < right.sel(pool="mean") <= bound + 1e-3 and bound < 70 < 115 < right.sel(pool="concat")


SUBTRACTION = dict(
    task=modular("subtract", 11, "a b"), model=Mlp(2, 64), train_rows=120, batch_rule="full", eval_at="every:200"
)


def test_rows_with_random_labels_and_rows_not_scored_are_counted_as_they_are():
    shared, own = (modular(name, 7, "a b").table() for name in ("random_symmetric", "random"))
    assert highest_unordered_accuracy(shared) == 1
    assert highest_unordered_accuracy(own) == pytest.approx((7 + 1) / (2 * 7), rel=1e-12)
    half = Table(*(np.array(x, np.int32) for x in ([[0, 1], [1, 0]], [[0], [-1]])), (1,), 2, 2, "half")
    assert highest_unordered_accuracy(half) == 1


def caveat(**values):
    config = dataclasses.replace(tiny(steps=1), model=Mlp(2, 8), task=modular("subtract", 23))
    return sweeps._caveat(make_groups(make_grid(config, values).runs()))


SAID = (
    "model=mlp reads the mean of a row's embeddings and cannot see their order, which decides the answers of x-y "
    "mod 23: its accuracy over all rows is at most 52.2 %. Try --pool=concat."
)


def test_where_order_decides_and_is_not_seen_it_is_said_once():
    assert caveat(seed=range(2)) == SAID
    more = " (The same holds for 1 more of this sweep's models and tasks.)"
    assert caveat(operation=["subtract", "add", "x^2+y"]) == SAID + more
    assert caveat(model=["decoder", "resnet"]) == SAID.replace("mlp", "resnet")


@pytest.mark.parametrize("values", [dict(operation="add"), dict(pool="concat"), dict(model="decoder")])
def test_where_order_decides_nothing_or_is_seen_there_is_nothing_to_say(values):
    assert caveat(**values) is None


@pytest.mark.parametrize("quiet", [False, True])
def test_it_is_said_before_training_unless_nothing_is_to_be_said(quiet, capsys):
    config = dataclasses.replace(tiny(steps=1), model=Mlp(1, 4), task=modular("subtract", 23))
    gj.sweep(config, num_devices=1, progress=not quiet)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:1] == ([] if quiet else [SAID])
