"""Attention of rows of a few tokens is differentiated as plain attention is: forward, backward, twice, mapped."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.extend.core import jaxprs_in_params
from jax.flatten_util import ravel_pytree

from grokjax import losses
from grokjax.models import Decoder, EncoderDecoder, attention, fitted
from grokjax.tasks import find_prefixes, modular

TABLE = modular("subtract", 3, "a o b =").table()
SMALL = dict(width=4, num_heads=2, mlp_width=8)  # whose second matrix has more inputs than outputs: see `product`
MODELS = {
    "decoder": Decoder(num_layers=2, **SMALL),
    "gelu decoder": Decoder(num_layers=1, activation="gelu", norm="none", **SMALL),
    "encoder-decoder": EncoderDecoder(num_layers=1, **SMALL),
    "encoder-decoder with padding": EncoderDecoder(num_layers=1, zero_is_padding=True, **SMALL),
}
WAYS = [(name, False) for name in MODELS] + [("decoder", True)]


def quickly(function):
    """`function` compiled in little time, for being called once."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def random_like(tree, seed):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape) * 0.5, jnp.float32), tree)


def loss_and_params(name, shares):
    """The mean loss over the table as a function of the parameters, and parameters."""
    model, tokens = fitted(MODELS[name], TABLE), jnp.asarray(TABLE.inputs)
    params = random_like(jax.eval_shape(model.init, jax.random.key(0), tokens)["params"], 0)
    prefixes, rows = jax.tree.map(jnp.asarray, find_prefixes(TABLE, 9, 4)), jnp.arange(len(tokens))

    def loss(params):
        if shares:
            logits = model.apply({"params": params}, prefixes, rows, method="logits_of_rows")
        else:
            logits = model.apply({"params": params}, tokens)
        return losses.cross_entropy(logits, jnp.asarray(TABLE.labels)).mean()

    return loss, params


def dot(one, other):
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize(("name", "shares"), WAYS)
def test_a_derivative_forward_is_the_gradient_along_its_direction(name, shares):
    loss, params = loss_and_params(name, shares)
    direction = random_like(params, 1)
    value, forward = quickly(lambda p, d: jax.jvp(loss, (p,), (d,)))(params, direction)
    found, gradient = quickly(jax.value_and_grad(loss))(params)
    np.testing.assert_allclose(value, found, rtol=1e-6)
    np.testing.assert_allclose(forward, dot(gradient, direction), rtol=1e-4)


def by_hand(queries, keys, values, visible):
    """Attention of float64 arrays by its definition, a row, head and query at a time."""
    batch, length, heads, features = queries.shape
    result = np.zeros((batch, length, heads, features))
    for row, query, head in np.ndindex(batch, length, heads):
        sees = np.broadcast_to(visible, (batch, *visible.shape[-2:]))[row, query]
        scores = keys[row, :, head] @ queries[row, query, head] / np.sqrt(features)
        weights = np.exp(scores - scores.max()) * sees if sees.any() else np.ones(len(sees))
        result[row, query, head] = weights / weights.sum() @ values[row, :, head]
    return result.reshape(batch, length, heads * features)


def masks(queries, keys):
    """Which query sees which key, in several ways, by name."""
    causal, random = np.tri(keys, dtype=bool)[-queries:], np.random.default_rng(2)
    blind = causal & (np.arange(queries) % 5 != 1)[:, None]
    return {
        "causal": causal,
        "some see nothing": blind,
        "all": np.ones((1, keys), bool).repeat(queries, axis=0),
        "by row": random.random((2, queries, keys)) < 0.3,
        "traced": jnp.asarray(causal),
    }


@pytest.mark.parametrize(("queries", "keys"), [(9, 9), (1, 40), (50, 50), (84, 84), (3, 150), (150, 150)])
def test_attention_of_longer_rows_is_its_definition(queries, keys):
    operands = random_like([jnp.zeros((2, length, 2, 3)) for length in (queries, keys, keys)], 0)
    queries_keys_values = [3 * np.asarray(x, np.float64) for x in operands]
    for name, visible in masks(queries, keys).items():
        found = quickly(lambda q, k, v, seen=visible: attention.attend(q, k, v, seen))(*(3 * x for x in operands))
        expected = by_hand(*queries_keys_values, np.asarray(visible))
        np.testing.assert_allclose(found, expected, atol=2e-5, err_msg=name)


def test_attention_of_longer_rows_does_not_overflow_and_attends_to_what_is_far_above_all_else():
    operands = [jnp.full((1, 70, 1, 2), size) for size in (40.0, 40.0)] + [jnp.arange(140.0).reshape(1, 70, 1, 2)]
    keys = operands[1].at[0, 5].multiply(2)
    mixed = attention.attend(operands[0], keys, operands[2], np.tri(70, dtype=bool))
    np.testing.assert_allclose(mixed[0, 5:], np.broadcast_to([10.0, 11.0], (65, 2)), rtol=1e-6)
    np.testing.assert_allclose(mixed[0, 4], [4.0, 5.0], rtol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_of_longer_rows_is_differentiated_as_its_definition_is(causal):
    shapes = [jnp.zeros((1, 40, 2, 3))] * 3
    visible = np.tri(40, dtype=bool) if causal else jnp.ones((40, 40), bool)
    operands, along = random_like(shapes, 0), random_like([jnp.zeros((2, *x.shape)) for x in shapes], 1)

    def plain(queries, keys, values, _):
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys) / np.sqrt(3)
        weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, values).reshape(1, 40, 6)

    found, expected = products(visible, operands, along), products(visible, operands, along, plain)
    assert all(np.abs(leaf).max() > 0.01 for leaf in jax.tree.leaves(expected))
    for ours, theirs in zip(found, expected, strict=True):
        reference.assert_trees_close(ours, theirs, 1e-5)


def products(visible, operands, along, attend=attention.attend):
    """Hessian-vector products along [directions, ...]: forward over backward, backward over backward, and mapped."""

    def slope(operands):
        return jax.grad(lambda o: jnp.sin(attend(*o, visible)).sum())(operands)

    one = jax.tree.map(lambda leaf: leaf[0], along)
    return quickly(
        lambda o: (
            jax.jvp(slope, (o,), (one,))[1],
            jax.grad(lambda o: dot(slope(o), one))(o),
            jax.vmap(lambda d: jax.jvp(slope, (o,), (d,))[1])(along),
        )
    )(operands)


@pytest.mark.parametrize("queries", [1, 3])
def test_products_with_the_hessian_are_those_of_plain_attention(queries, monkeypatch):
    visible = np.tri(3, dtype=bool)[-queries:]
    shapes = [jnp.zeros((5, length, 2, 4)) for length in (queries, 3, 3)]
    operands, along = random_like(shapes, 0), random_like([jnp.zeros((2, *x.shape)) for x in shapes], 1)
    found = products(visible, operands, along)
    monkeypatch.setattr(attention, "MOST_UNROLLED", 0)
    expected = products(visible, operands, along)
    assert all(np.abs(leaf).max() > 0.01 for leaf in jax.tree.leaves(expected))
    for ours, plain in zip(found, expected, strict=True):
        reference.assert_trees_close(ours, plain, 1e-5)


def test_the_hessian_is_symmetric_and_the_same_in_whatever_order_it_is_differentiated():
    loss, params = loss_and_params("gelu decoder", False)
    flat, unravel = ravel_pytree(params)

    def of_flat(x):
        return loss(unravel(x))

    hessian, forward, backward = quickly(
        lambda x: (jax.hessian(of_flat)(x), jax.jacfwd(jax.jacfwd(of_flat))(x), jax.jacrev(jax.jacrev(of_flat))(x))
    )(flat)
    assert hessian.shape == (len(flat), len(flat)) and np.abs(hessian).max() > 0.1
    for other in (hessian.T, forward, backward):
        np.testing.assert_allclose(other, hessian, atol=1e-5)


def test_a_gradient_of_lanes_is_that_of_each():
    loss, params = loss_and_params("decoder", False)
    lanes = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    inside = quickly(jax.vmap(jax.grad(loss)))(lanes)
    outside = quickly(jax.grad(lambda p: jax.vmap(loss)(p).sum()))(lanes)
    reference.assert_trees_close(outside, inside, 1e-6)


def equations(jaxpr):
    """The primitives of a program and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


def test_a_gradient_has_no_form_of_attention_but_the_two_fast_ones():
    shapes = [jax.ShapeDtypeStruct((5, 3, 2, 4), jnp.float32)] * 3
    visible = np.tri(3, dtype=bool)
    slope = jax.make_jaxpr(jax.grad(lambda *qkv: attention.attend(*qkv, visible).sum(), argnums=(0, 1, 2)))(*shapes)
    counts = collections.Counter(equation.primitive.name for equation in equations(slope.jaxpr))
    assert counts["pair_scores"] == 2, "of queries and keys; of the result's cotangent and the values"
    assert counts["mix"] == 4, "of the values; and for the cotangents of queries, keys and values"
    assert not counts["dot_general"]


@pytest.mark.parametrize(("precision", "written"), [("float32", "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_products_of_attention_have_the_precision_of_where_they_were_asked_for(precision, written):
    shapes = [jax.ShapeDtypeStruct((5, 3, 2, 4), jnp.float32)] * 2
    with jax.default_matmul_precision(precision):
        traced = jax.jit(jax.grad(lambda q, k: (attention.pair_scores(q, k) ** 2).sum())).trace(*shapes)
        weighed = jax.jit(jax.grad(lambda w, v: (attention.mix(w, v) ** 2).sum())).trace(
            jax.ShapeDtypeStruct((5, 3, 3, 2), jnp.float32), shapes[0]
        )
    for text in (traced.lower().as_text(), weighed.lower().as_text()):
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert products and all(f"[{written}, {written}]" in line for line in products)
