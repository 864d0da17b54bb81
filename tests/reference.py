"""An independent decoder to compare with: every position in every layer, one head and one position at a time.

It shares no code with `grokjax.models`, reads nothing but the parameters, and computes in their dtype: given float64
parameters (under `jax.enable_x64`), in float64.
"""

import jax
import jax.numpy as jnp
import numpy as np


def sinusoid(length, width):
    """[length][width]: a direct loop over the formula of Vaswani et al. 2017."""
    rows = [[0.0] * width for _ in range(length)]
    for t in range(length):
        for column in range(width):
            i = column // 2
            angle = t / 10_000 ** (2 * i / width)
            rows[t][column] = np.sin(angle) if column % 2 == 0 else np.cos(angle)
    return np.array(rows)


def _linear(parameters, x):
    y = jnp.dot(x, parameters["kernel"])
    return y + parameters["bias"] if "bias" in parameters else y


def _layer_norm(parameters, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5) * parameters["scale"] + parameters["bias"]


def _attention(block, x, num_heads):
    """x [rows, length, width] -> what attention adds to the residual stream."""
    query, key, value = (_linear(block[name], x) for name in ("query", "key", "value"))
    features = x.shape[-1] // num_heads
    mixed = []
    for t in range(x.shape[1]):
        heads = []
        for h in range(num_heads):
            own = slice(h * features, (h + 1) * features)
            scores = [(query[:, t, own] * key[:, s, own]).sum(-1) / features**0.5 for s in range(t + 1)]
            top = jnp.stack(scores).max(0)
            powers = [jnp.exp(score - top) for score in scores]
            heads.append(sum(w[:, None] * value[:, s, own] for s, w in enumerate(powers)) / sum(powers)[:, None])
        mixed.append(jnp.concatenate(heads, -1))
    return _linear(block["output"], jnp.stack(mixed, 1))


def _mlp(block, x):
    return _linear(block["mlp_out"], jnp.maximum(_linear(block["mlp_in"], x), 0.0))


def decoder_logits(params, tokens, answer_positions, num_heads, norm):
    """[rows, answers, classes]: the logits of `tokens` [rows, length]."""
    tokens = np.asarray(tokens)
    embedding = params["embedding"]
    position = params.get("position")
    if position is None:
        position = jnp.asarray(sinusoid(tokens.shape[1], embedding.shape[1]), embedding.dtype)
    x = embedding[tokens] + position
    num_layers = sum(name.startswith("block_") for name in params)
    for layer in range(num_layers):
        block = params[f"block_{layer}"]
        if norm == "pre":
            x = x + _attention(block, _layer_norm(block["norm_attention"], x), num_heads)
            if "mlp_in" in block:
                x = x + _mlp(block, _layer_norm(block["norm_mlp"], x))
        elif norm == "post":
            x = _layer_norm(block["norm_attention"], x + _attention(block, x, num_heads))
            if "mlp_in" in block:
                x = _layer_norm(block["norm_mlp"], x + _mlp(block, x))
        else:
            x = x + _attention(block, x, num_heads)
            if "mlp_in" in block:
                x = x + _mlp(block, x)
    if norm == "pre":
        x = _layer_norm(params["norm_output"], x)
    return jnp.dot(x[:, list(answer_positions)], params["output"])


def row_losses(logits, labels):
    """[rows]: the mean over a row's answers of -log p(right class)."""
    labels = np.asarray(labels)
    top = logits.max(-1, keepdims=True)
    log_total = jnp.log(jnp.exp(logits - top).sum(-1)) + top[..., 0]
    rows, answers = np.indices(labels.shape)
    return (log_total - logits[rows, answers, labels]).mean(-1)


def in_float64(function, params, *arguments):
    """`function(params, *arguments)` with float64 parameters, as NumPy arrays."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(jax.tree.map(jnp.asarray, params), *arguments))


def logits_and_gradient(model, params, tokens, labels):
    """The float64 logits, and the gradient in the parameters of the mean loss over the rows."""

    def loss(params):
        logits = decoder_logits(params, tokens, model.answer_positions, model.num_heads, model.norm)
        return row_losses(logits, labels).mean(), logits

    gradient, logits = in_float64(jax.grad(loss, has_aux=True), params)
    return logits, gradient


def rounding(model, sums=0):
    """Bound on the relative rounding error of float32 logits: epsilon times the longest chain of operations.

    A dot product of n terms has relative error at most n * epsilon (Higham 2002, section 3.1). In each layer a number
    passes through dot products over the width (value, output, MLP in), over features and positions (attention) and
    over the hidden units, and through two norms, which each sum over the width twice; then through the output.

    Args:
      model: a fitted decoder.
      sums: terms of further sums, such as over a batch.
    """
    hidden = model.hidden_units
    per_layer = 3 * model.width + model.width // model.num_heads + model.length + hidden + 4 * model.width
    return (model.num_layers * per_layer + model.width + sums) * float(np.finfo(np.float32).eps)


def assert_close(actual, expected, relative, name=""):
    """Every element within `relative` times the largest expected magnitude of the array."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, name
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * scale, err_msg=name)


def assert_trees_close(actual, expected, relative):
    """`assert_close` leaf by leaf, each within `relative` times the largest magnitude of the whole tree."""
    flat, structure = jax.tree_util.tree_flatten_with_path(expected)
    assert jax.tree.structure(actual) == structure
    scale = max(np.abs(np.asarray(leaf)).max() for _, leaf in flat)
    for (path, wanted), got in zip(flat, jax.tree.leaves(actual), strict=True):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=0, atol=relative * scale, err_msg=name)


def assert_trees_identical(actual, expected):
    """Equal to the bit, leaf by leaf."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    paths = jax.tree_util.tree_flatten_with_path(expected)[0]
    for (path, wanted), got in zip(paths, jax.tree.leaves(actual), strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted), jax.tree_util.keystr(path), strict=True)
