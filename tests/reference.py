"""An independent decoder to compare with, in NumPy float64: all positions in all layers, one head at a time.

It shares no code with `grokjax.models` and reads nothing but the parameters. Its derivatives need no chain rule: a
function that also takes complex numbers has the derivative Im f(x + i h d)/h along d, exact for a small enough h
(Squire and Trapp 1998, "Using Complex Variables to Estimate Derivatives of Real Functions").
"""

import jax
import numpy as np
import scipy.special

EPSILON = float(np.finfo(np.float32).eps)


def sinusoid(length, width):
    """[length, width]: a direct loop over the formula of Vaswani et al. 2017."""
    rows = np.zeros((length, width))
    for t in range(length):
        for column in range(width):
            angle = t / 10_000 ** (2 * (column // 2) / width)
            rows[t, column] = np.sin(angle) if column % 2 == 0 else np.cos(angle)
    return rows


def linear(parameters, x):
    """x times the kernel, and the bias if there is one."""
    y = x @ parameters["kernel"]
    return y + parameters["bias"] if "bias" in parameters else y


def relu(x):
    """The positive part, by the sign of the real part."""
    return np.where(x.real > 0, x, 0.0)


ACTIVATIONS = {
    "relu": relu,
    "gelu": lambda x: x * (1 + scipy.special.erf(x / 2**0.5)) / 2,
    "quadratic": lambda x: x * x,
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


def _affine(parameters, x):
    return x * parameters["scale"] + parameters["bias"] if parameters else x


def layer_norm(parameters, x):
    """Normalised over the last axis, with epsilon 1e-5; scaled and moved if there are such parameters."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return _affine(parameters, centred / np.sqrt(variance + 1e-5))


def _batch_norm(parameters, x, counts, averages):
    """Normalised by the mean and variance of the counted rows' features at all positions, or by running averages."""
    if averages is None:
        counted = x[counts].reshape(-1, x.shape[-1])
        mean = counted.mean(0)
        variance = ((counted - mean) * (counted - mean)).mean(0)
    else:
        mean, variance = averages["mean"], averages["var"]
    return _affine(parameters, (x - mean) / np.sqrt(variance + 1e-5))


def _attention(block, x, num_heads):
    """What attention adds to the residual stream x [rows, length, width]."""
    query, key, value = (linear(block[name], x) for name in ("query", "key", "value"))
    length, features = x.shape[1], x.shape[2] // num_heads
    mixed = np.zeros(query.shape, np.result_type(query, key, value))
    for h in range(num_heads):
        own = slice(h * features, (h + 1) * features)
        for t in range(length):
            seen = slice(0, t + 1)
            scores = (query[:, t : t + 1, own] * key[:, seen, own]).sum(-1) / features**0.5
            powers = np.exp(scores - scores.real.max(-1, keepdims=True))
            weights = powers / powers.sum(-1, keepdims=True)
            mixed[:, t, own] = (weights[:, :, None] * value[:, seen, own]).sum(1)
    return linear(block["output"], mixed)


def _mlp(block, x, activation, inner_norm, units):
    """What the MLP adds, of the hidden units marked in [rows, 1, hidden]."""
    return linear(block["mlp_out"], activation(inner_norm(linear(block["mlp_in"], x))) * units)


def _own_units(model, tokens, hidden):
    """[rows, 1, hidden] 1 where a row may use a hidden unit: the k-th stretch of them belongs to the k-th part."""
    units = np.ones((len(tokens), 1, hidden))
    if model.split_mlp:
        each = hidden // len(model.part_tokens)
        for row, token in enumerate(tokens[:, model.part_position]):
            part = model.part_tokens.index(token)
            units[row, :, : part * each] = units[row, :, (part + 1) * each :] = 0
    return units


def decoder_logits(model, params, tokens, counts=None, averages=None):
    """[rows, answers, classes]: the logits of `tokens` [rows, length].

    A BatchNorm takes the statistics of the rows marked in `counts`, or those in `averages` if given.
    """
    length = model.answer_positions[-1] + 1
    counts = np.ones(len(tokens), bool) if counts is None else counts
    embedding = params["embedding"]
    position = params["position"] if "position" in params else sinusoid(length, embedding.shape[1])

    def norm(block, name):
        parameters = (params[block] if block else params).get(name, {})
        if model.norm_kind == "layer":
            return lambda x: layer_norm(parameters, x)
        kept = None if averages is None else (averages[block] if block else averages)[name]
        return lambda x: _batch_norm(parameters, x, counts, kept)

    x = embedding[tokens[:, :length]] + position[:length]
    for layer in range(sum(name.startswith("block_") for name in params)):
        own, block = f"block_{layer}", params[f"block_{layer}"]
        branches = [("norm_attention", lambda x, block=block: _attention(block, x, model.num_heads))]
        if "mlp_in" in block:
            inner = norm(own, "norm_inner") if model.inner_norm else lambda hidden: hidden
            units = _own_units(model, tokens, block["mlp_in"]["kernel"].shape[1])
            told = ACTIVATIONS[model.activation], inner, units
            branches.append(("norm_mlp", lambda x, block=block, told=told: _mlp(block, x, *told)))
        for name, branch in branches:
            if model.norm == "pre":
                x = x + branch(norm(own, name)(x))
            elif model.norm == "post":
                x = norm(own, name)(x + branch(x))
            else:
                x = x + branch(x)
    if model.norm == "pre" if model.final_norm is None else model.final_norm:
        x = norm("", "norm_output")(x)
    return x[:, list(model.answer_positions)] @ params["output"]


def row_losses(logits, labels):
    """[rows]: the mean over a row's answers of -log p(right class)."""
    top = logits.real.max(-1, keepdims=True)
    log_total = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    rows, answers = np.indices(labels.shape)
    return (log_total - logits[rows, answers, labels]).mean(-1)


def float64(params):
    """`params` as NumPy float64."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def rounding(model, sums=0):
    """Bound on the relative rounding error of float32 logits: epsilon times the longest chain of operations.

    A sum of n terms has a relative error of at most n * epsilon (Higham 2002, section 3.1). In each layer a number
    passes through dot products over the width (value, output, MLP in), over features and positions (attention) and
    over the hidden units, and through two norms, which each sum over the width twice; then through the output.

    Args:
      model: a fitted decoder.
      sums: terms of further sums, such as over a batch.
    """
    per_layer = 7 * model.width + model.width // model.num_heads + model.length + model.hidden_units
    return (model.num_layers * per_layer + model.width + sums) * EPSILON


def assert_close(actual, expected, relative, name=""):
    """Every element within `relative` times the largest expected magnitude of the array."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=relative * scale, err_msg=name)


def assert_is_gradient(gradient, model, params, tokens, labels, relative, logits_of=decoder_logits):
    """`gradient` is that of the mean loss over the rows: along random directions, within every leaf alone.

    Directions have entries +-1, drawn apart from the rounding errors, of which they thus sum up the root of the sum
    of squares, and hardly ever six times that.

    Args:
      gradient: in the parameters.
      model: fitted.
      params: where the gradient was taken.
      tokens, labels: of the rows.
      relative: bound on an element's rounding error, relative to the largest element of the whole gradient.
      logits_of: the reference's logits, of model, parameters and tokens.
    """
    params, gradient = float64(params), float64(gradient)
    leaves, structure = jax.tree.flatten(params)
    slopes = jax.tree.leaves(gradient)
    assert jax.tree.structure(gradient) == structure
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    scale, random, step = max(np.abs(slope).max() for slope in slopes), np.random.default_rng(0), 1e-30
    for i, (leaf, slope) in enumerate(zip(leaves, slopes, strict=True)):
        assert slope.shape == leaf.shape
        for _ in range(3):
            direction = random.choice([-1.0, 1.0], leaf.shape)
            moved = jax.tree.unflatten(structure, [*leaves[:i], leaf + 1j * step * direction, *leaves[i + 1 :]])
            expected = row_losses(logits_of(model, moved, tokens), labels).mean().imag / step
            bound = 6 * relative * scale * leaf.size**0.5
            assert abs((slope * direction).sum() - expected) <= bound, names[i]


def assert_trees_close(actual, expected, relative):
    """Leaf by leaf, each element within `relative` times the largest magnitude of the whole tree."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    paths = jax.tree_util.tree_flatten_with_path(expected)[0]
    scale = max(np.abs(np.asarray(leaf)).max() for _, leaf in paths)
    for (path, wanted), got in zip(paths, jax.tree.leaves(actual), strict=True):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=relative * scale, err_msg=name)


def assert_trees_identical(actual, expected):
    """Equal to the bit, leaf by leaf."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    paths = jax.tree_util.tree_flatten_with_path(expected)[0]
    for (path, wanted), got in zip(paths, jax.tree.leaves(actual), strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted), jax.tree_util.keystr(path), strict=True)
