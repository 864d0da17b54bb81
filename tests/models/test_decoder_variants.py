"""The decoder's norms of other kinds and in other places, and its split MLP."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from grokjax import losses
from grokjax.config import ConfigError
from grokjax.models import Decoder, fitted
from grokjax.tasks import find_prefixes, modular

TABLE = modular("subtract", 5, "a o b =").table()
MIXED = dataclasses.replace(TABLE, part_position=0, part_tokens=(3, 0, 4, 2, 1), name="by the first number")
ROWS = np.array([24, 0, 7, 7, 13, 1, 20, 3], np.int32)
PERIODIC = dict(norm="pre", inner_norm=True, norm_affine=False)
BATCH = dict(norm_kind="batch", norm="pre", inner_norm=True)


def tiny(table=TABLE, **changed):
    return fitted(Decoder(**(dict(num_layers=2, width=8, num_heads=2, mlp_width=12) | changed)), table)


def random_tree(shapes, seed=0):
    """Leaves away from their initial values; those that are no matrix are positive, for they may be variances."""
    random = np.random.default_rng(seed)

    def drawn(leaf):
        if leaf.ndim == 1:
            return random.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (random.normal(size=leaf.shape) * leaf.shape[0] ** -0.5).astype(np.float32)

    return jax.tree.map(drawn, shapes)


def random_variables(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(TABLE.inputs[:1]))
    return jax.tree.map(jnp.asarray, random_tree(shapes))


def with_gradient(logits_of, params, labels):
    def loss(params):
        logits = logits_of(params)
        return losses.cross_entropy(logits, labels).mean(), logits

    return jax.grad(loss, has_aux=True)(params)


VARIANTS = [
    (TABLE, PERIODIC),
    (TABLE, dict(norm="post", inner_norm=True, final_norm=True, bias="mlp")),
    (TABLE, dict(norm="none", inner_norm=True, num_layers=1)),
    (TABLE, dict(norm="pre", final_norm=False, norm_affine=False, num_layers=1)),
    (MIXED, dict(split_mlp=True, norm="pre", mlp_width=15)),
]


@pytest.mark.parametrize(("table", "changed"), VARIANTS)
def test_logits_and_gradients_are_those_of_a_plain_decoder_shared_or_not(table, changed):
    model = tiny(table, **changed)
    params, tokens, labels = random_variables(model)["params"], TABLE.inputs[ROWS], TABLE.labels[ROWS]
    prefixes = find_prefixes(table, len(ROWS))
    assert len(prefixes.prefix_pair) == 2
    assert bool(model.prefix_length) != model.split_mlp

    @jax.jit
    def found(params, prefixes, rows, tokens, labels):
        ways = [functools.partial(model.apply, tokens=tokens)]
        if model.prefix_length:
            ways.append(functools.partial(model.apply, prefixes=prefixes, rows=rows, method="logits_of_rows"))
        return [with_gradient(lambda p, way=way: way({"params": p}), params, labels) for way in ways]

    expected = reference.decoder_logits(model, reference.float64(params), tokens)
    # The two more norms, one of them over the hidden units.
    relative = reference.rounding(model, 2 * model.num_layers * (model.hidden_units + model.width))
    for gradient, logits in found(params, prefixes, ROWS, tokens, labels):
        reference.assert_close(logits, expected, relative)
        reference.assert_is_gradient(gradient, model, params, tokens, labels, 2 * relative)


def trained(model, variables, tokens, counts=None):
    """Logits in train mode, and the running averages after them."""
    logits, moved = model.apply(variables, tokens, train=True, counts=counts, mutable=["batch_stats"])
    return logits, moved["batch_stats"]


@pytest.mark.parametrize("changed", [BATCH, dict(norm_kind="batch", norm="post", norm_affine=False, num_layers=1)])
def test_batch_norm_takes_the_statistics_of_the_rows_that_count(changed):
    model = tiny(**changed)
    variables, tokens = random_variables(model), jnp.asarray(TABLE.inputs[ROWS])
    counts = np.arange(8) < 5
    labels = TABLE.labels[ROWS]

    @jax.jit
    def found(params, tokens, counts, labels):
        def loss(params):
            logits, moved = trained(model, variables | {"params": params}, tokens, counts)
            return losses.cross_entropy(logits, labels)[:5].mean(), (logits, moved)

        return jax.grad(loss, has_aux=True)(params)

    gradient, (logits, moved) = found(variables["params"], tokens, counts, labels)

    def logits_of(model, params, tokens):
        return reference.decoder_logits(model, params, tokens, counts=counts)[:5]

    params = reference.float64(variables["params"])
    # Statistics are further sums over the batch's positions; small variances magnify what precedes them.
    relative = 4 * reference.rounding(model, 4 * model.num_layers * ROWS.size * model.length)
    reference.assert_close(logits[:5], logits_of(model, params, np.asarray(tokens)), relative)
    reference.assert_is_gradient(gradient, model, params, np.asarray(tokens), labels[:5], 4 * relative, logits_of)
    other = np.where(counts[:, None], tokens, 1)
    _, (same, same_moved) = found(variables["params"], other, counts, labels)
    assert np.any(other != np.asarray(tokens))
    np.testing.assert_array_equal(same[:5], logits[:5])
    reference.assert_trees_identical(same_moved, moved)


def test_running_averages_move_by_a_tenth_and_serve_in_eval_mode():
    model = tiny(**BATCH, num_layers=1)
    variables, tokens = random_variables(model), jnp.asarray(TABLE.inputs[ROWS])
    _, moved = trained(model, variables, tokens)
    x = reference.float64(variables["params"])["embedding"][TABLE.inputs[ROWS]] + reference.sinusoid(4, 8)
    before = reference.float64(variables["batch_stats"])["block_0"]["norm_attention"]
    after = reference.float64(moved)["block_0"]["norm_attention"]
    np.testing.assert_allclose(after["mean"], 0.9 * before["mean"] + 0.1 * x.mean((0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["var"], 0.9 * before["var"] + 0.1 * x.var((0, 1)), rtol=1e-4)

    logits = model.apply(variables, tokens)
    averages = reference.float64(variables["batch_stats"])
    expected = reference.decoder_logits(
        model, reference.float64(variables["params"]), TABLE.inputs[ROWS], averages=averages
    )
    reference.assert_close(logits, expected, 2 * reference.rounding(model, 2 * model.hidden_units))
    alone = model.apply(variables, tokens[:1])
    reference.assert_close(alone, expected[:1], 2 * reference.rounding(model, 2 * model.hidden_units))


def test_every_position_is_counted_by_a_batch_norm_and_none_shared():
    model, layer_norm = tiny(**BATCH), tiny(**BATCH | dict(norm_kind="layer"))
    assert not model.prefix_length and layer_norm.prefix_length
    more_positions = 3
    queries_and_outputs, mlp = 2 * 2 * 8 * 8, 2 * 2 * 8 * 12
    attention = (1 + 2 + 3) * 2 * 2 * 8
    expected = more_positions * (queries_and_outputs + mlp) + attention
    assert model.operations(10, None) - layer_norm.operations(10, None) == 10 * expected
    assert tiny(norm="none", norm_kind="batch").prefix_length, "it has no norm at all"


@pytest.mark.parametrize("changed", [PERIODIC, dict(norm="post", inner_norm=True, final_norm=True)])
def test_an_answer_does_not_depend_on_later_tokens(changed):
    table = dataclasses.replace(TABLE, answer_positions=(1,))
    model = tiny(table, **changed)
    params, tokens = random_variables(model)["params"], jnp.array([[1, 5, 2, 6]])

    @jax.jit
    @jax.grad
    def slopes(embedding):
        return (model.apply({"params": params | {"embedding": embedding}}, tokens) ** 2).sum()

    read = np.flatnonzero(np.any(np.asarray(slopes(params["embedding"])), axis=1))
    assert read.tolist() == [1, 5]


def scaled(params, factor, *path):
    """`params` with the leaf at `path` times `factor`."""
    if not path:
        return params * factor
    return params | {path[0]: scaled(params[path[0]], factor, *path[1:])}


def test_the_periodic_model_does_not_feel_the_scale_of_the_matrix_before_its_inner_norm():
    model = tiny(**PERIODIC)
    # Epsilon 1e-5 beside a variance breaks the invariance, by half of it relative to the variance: large weights.
    params = jax.tree.map(lambda leaf: 100 * leaf, random_variables(model)["params"])
    tokens = jnp.asarray(TABLE.inputs[ROWS])
    logits = np.asarray(model.apply({"params": params}, tokens), np.float64)
    louder = scaled(scaled(params, 8.0, "block_0", "mlp_in", "kernel"), 0.5, "block_1", "mlp_in", "kernel")
    found = np.asarray(model.apply({"params": louder}, tokens))
    reference.assert_close(found, logits, reference.rounding(model, 24))
    without = tiny(**PERIODIC | dict(inner_norm=False))
    one, other = (np.asarray(without.apply({"params": p}, tokens)) for p in (params, louder))
    assert np.abs(one - other).max() > 0.01 * np.abs(one).max()


def test_a_row_of_a_split_mlp_depends_on_the_hidden_units_of_its_part_alone():
    model = tiny(MIXED, split_mlp=True, bias="mlp", norm="none", mlp_width=40)
    params = random_variables(model)["params"]
    tokens = jnp.array([[3, 5, 2, 6], [4, 5, 2, 6], [1, 5, 1, 6]])

    @jax.jit
    @jax.jacrev
    def slopes(bias):
        block = params["block_0"] | {"mlp_in": params["block_0"]["mlp_in"] | {"bias": bias}}
        return (model.apply({"params": params | {"block_0": block}}, tokens) ** 2).sum((1, 2))

    found = np.asarray(slopes(params["block_0"]["mlp_in"]["bias"]))
    for used, own in zip(found, (range(8), range(16, 24), range(32, 40)), strict=True):
        used = np.flatnonzero(used)
        assert len(used) and set(used) <= set(own)


def test_the_part_may_be_told_by_a_token_after_the_answer():
    table = dataclasses.replace(MIXED, part_position=3, part_tokens=(6, 2), answer_positions=(1,))
    model = tiny(table, split_mlp=True, num_layers=1)
    params = random_variables(model)
    one, other = model.apply(params, jnp.array([[1, 5, 2, 6], [1, 5, 2, 2]]))
    assert np.abs(np.asarray(one) - np.asarray(other)).max() > 1e-3


def test_dropout_leaves_the_mean_of_a_linear_model_s_logits():
    model = tiny(norm="none", num_layers=1, mlp_width=0)
    params = random_variables(model)["params"]
    block = params["block_0"]
    # With no queries attention is uniform, and the logits linear in what is dropped.
    block = block | {"query": {"kernel": jnp.zeros((8, 8))}}
    params, tokens = params | {"block_0": block}, jnp.array([[1, 5, 2, 6]])

    @jax.jit
    def dropped(keys):
        def logits(key):
            return model.apply({"params": params}, tokens, train=True, dropout=jnp.float32(0.4), rngs={"dropout": key})

        return jax.vmap(logits)(keys)

    drawn = np.asarray(dropped(jax.random.split(jax.random.key(0), 4000)), np.float64)
    expected = np.asarray(model.apply({"params": params}, tokens))
    assert np.all(drawn.std(0) > 0)
    assert np.all(np.abs(drawn.mean(0) - expected) < 5 * drawn.std(0) / 4000**0.5)
    np.testing.assert_array_equal(model.apply({"params": params}, tokens, dropout=0.4), expected)


@pytest.mark.parametrize("name", ["inner_norm", "split_mlp"])
def test_a_switch_of_an_mlp_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} needs an MLP, and mlp_width=0 leaves none. Try --mlp_width=512"):
        Decoder(mlp_width=0, **{name: True})


def test_a_norm_over_the_hidden_units_of_several_parts_is_refused():
    with pytest.raises(ConfigError, match="inner_norm would mix them. Try --inner_norm=false"):
        Decoder(inner_norm=True, split_mlp=True)
