"""Parts that models are made of: initial distributions by name, linear maps, norms, attention, dropout, positions."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grokjax.config import ConfigError

LAYER_NORM_EPSILON = 1e-5
"""PyTorch's; BatchNorm has the same."""

HIDDEN_SCORE = -1e9
"""Attention score of a hidden key: its weight is exactly 0 in float32 beside any that is seen."""


MOST_UNROLLED = 8
"""Queries and keys up to which attention is computed without a product per row and head."""


class Init(NamedTuple):
    """Initial distributions of a named scheme, each `(key, shape, dtype) -> array`.

    Attributes:
      linear: of a matrix [inputs, outputs], given the model's width.
      bias: of a bias, given the inputs of its matrix.
      embedding: of a table [rows, width] of tokens or positions.
      output: of the matrix [width, classes] that gives the logits.
    """

    linear: Callable[[int], Callable]
    bias: Callable[[int], Callable]
    embedding: Callable[[int], Callable]
    output: Callable[[int], Callable]


def _normal(deviation: float) -> Callable:
    return jax.nn.initializers.normal(deviation)


def _normal_by_width(width: int) -> Callable:
    return _normal(width**-0.5)


def _uniform_by_inputs(key, shape, dtype):
    """U(-1/sqrt(inputs), 1/sqrt(inputs)) for a matrix [inputs, outputs]."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _uniform_bias(inputs: int) -> Callable:
    bound = inputs**-0.5
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)


def _nanda_output(key, shape, dtype):
    """N(0, 1)/sqrt(classes) for the matrix [width, classes]."""
    return jax.random.normal(key, shape, dtype) * shape[1] ** -0.5


_ZEROS = jax.nn.initializers.zeros
_LECUN = jax.nn.initializers.lecun_normal()

INITS = {
    "pytorch": Init(
        linear=lambda width: _uniform_by_inputs,
        bias=_uniform_bias,
        embedding=lambda width: _normal(1.0),
        output=lambda width: _uniform_by_inputs,
    ),
    "nanda": Init(
        linear=_normal_by_width,
        bias=lambda inputs: _ZEROS,
        embedding=_normal_by_width,
        output=lambda width: _nanda_output,
    ),
    "flax": Init(
        linear=lambda width: _LECUN,
        bias=lambda inputs: _ZEROS,
        embedding=_normal_by_width,
        output=lambda width: _LECUN,
    ),
    "normal": Init(
        linear=_normal_by_width,
        bias=lambda inputs: _ZEROS,
        embedding=_normal_by_width,
        output=_normal_by_width,
    ),
}
"""PyTorch's Linear and Embedding; Nanda et al. 2023; Flax Linen's Dense and Embed; N(0, 1)/sqrt(width) throughout."""


class Linear(nn.Module):
    """x @ kernel (+ bias), with a named scheme's initial values: those of a matrix, or of the one before the logits."""

    outputs: int
    init_scheme: str
    width: int
    biased: bool = True
    gives_logits: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        scheme, inputs = INITS[self.init_scheme], x.shape[-1]
        initial = (scheme.output if self.gives_logits else scheme.linear)(self.width)
        y = product(x, self.param("kernel", initial, (inputs, self.outputs), jnp.float32))
        if self.biased:
            y = y + self.param("bias", scheme.bias(inputs), (self.outputs,), jnp.float32)
        return y


def product(
    x: Float[Array, "*batch inputs"], matrix: Float[Array | np.ndarray, "inputs outputs"]
) -> Float[Array, "*batch outputs"]:
    """x @ matrix, in the form whose gradient a CPU computes fastest.

    As a product of two matrices: a gradient that contracts several axes of a batch first copies both of its operands.
    And the gradient of a matrix with more inputs than outputs takes 1.5 times as long as that of its transpose (two
    cores of an AMD EPYC, [512, 128], 512 to 4096 rows), so such a matrix is transposed first. The barriers keep the
    compiler from undoing that, and from transposing within the optimizer's update, where it is slow.
    """
    rows = x.reshape(-1, x.shape[-1])
    if matrix.shape[0] <= matrix.shape[1]:
        y = rows @ matrix
    else:
        barrier = jax.lax.optimization_barrier
        transposed = barrier(barrier(jnp.asarray(matrix)).T)
        y = jax.lax.dot_general(rows, transposed, (((1,), (1,)), ((), ())))
    return y.reshape(*x.shape[:-1], matrix.shape[1])


def embedding_table(module: nn.Module, name: str, rows: int) -> Float[Array, "rows width"]:
    """The parameter `name` of `module`: one vector per row, drawn as its `init_scheme` draws embeddings."""
    initial = INITS[module.init_scheme].embedding(module.width)
    return jnp.asarray(module.param(name, initial, (rows, module.width), jnp.float32))


def norm_layer(kind: str, affine: bool) -> nn.Module:
    """LayerNorm over the features, or BatchNorm over batch and positions, with scale and bias if `affine`.

    BatchNorm's running averages move by a tenth per batch, as PyTorch's; its variances are the biased ones.
    """
    if kind == "batch":
        return nn.BatchNorm(
            momentum=0.9, epsilon=LAYER_NORM_EPSILON, use_scale=affine, use_bias=affine, use_fast_variance=False
        )
    return nn.LayerNorm(LAYER_NORM_EPSILON, use_scale=affine, use_bias=affine, use_fast_variance=False)


def normaliser(train: bool, counts: Bool[Array, " batch"] | None):
    """How a forward pass applies the norms of its layers.

    Args:
      train: whether a BatchNorm takes its statistics from the batch and moves its running averages; static.
      counts: rows of the batch that such statistics count; None for all.

    Returns:
      A function of a norm layer and [batch, positions, features], returning the latter normalised.
    """
    mask = None if counts is None else counts[:, None, None]

    def normed(norm, x):
        if isinstance(norm, nn.BatchNorm):
            return norm(x, use_running_average=not train, mask=mask)
        return norm(x)

    return normed


def attend(
    queries: Float[Array, "batch q heads features"],
    keys: Float[Array, "batch k heads features"],
    values: Float[Array, "batch k heads features"],
    visible: Bool[Array | np.ndarray, "*rows #q k"],
) -> Float[Array, "batch q width"]:
    """Scaled dot-product attention; the heads' results side by side.

    Args:
      queries, keys, values: per position and head.
      visible: True where a query sees a key, for all rows alike (static) or for each. One that sees no key at all
        attends to every key alike.

    Returns:
      [batch, q, heads * features].
    """
    short = min(queries.shape[1], keys.shape[1]) > 0 and max(queries.shape[1], keys.shape[1]) <= MOST_UNROLLED
    scale = queries.shape[-1] ** -0.5
    if short:
        scores = jnp.where(visible[..., None], pair_scores(queries, keys) * scale, HIDDEN_SCORE)
        mixed = mix(jax.nn.softmax(scores, axis=2), values)
    else:
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys) * scale
        weights = jax.nn.softmax(jnp.where(visible[..., None, :, :], scores, HIDDEN_SCORE), axis=-1)
        mixed = (weights @ values.swapaxes(1, 2)).swapaxes(
            1, 2
        )  # several times faster on a CPU than the einsum's order
    return mixed.reshape(*mixed.shape[:2], mixed.shape[2] * mixed.shape[3])  # which may hold no query


@jax.custom_vjp
def pair_scores(
    queries: Float[Array, "batch q heads features"], keys: Float[Array, "batch k heads features"]
) -> Float[Array, "batch q k heads"]:
    """The dot product of each query and key, per head, for rows of a few tokens.

    A product per row and head would be tiny, and a CPU is many times slower at thousands of those than at this: all
    products of features at once, added within each head by one matrix product.
    """
    heads, features = queries.shape[2:]
    within = np.kron(np.eye(heads), np.ones((features, 1))).astype(np.float32)  # [heads * features, heads]
    products = queries[:, :, None] * keys[:, None]
    return products.reshape(*products.shape[:3], heads * features) @ within


@jax.custom_vjp
def mix(
    weights: Float[Array, "batch q k heads"], values: Float[Array, "batch k heads features"]
) -> Float[Array, "batch q heads features"]:
    """The sum of the values by their weights, per query and head, for rows of a few tokens."""
    parts = [weights[:, :, k, :, None] * values[:, None, k] for k in range(values.shape[1])]
    return functools.reduce(jnp.add, parts)  # unrolled: nothing but elementwise arithmetic is left


def _pair_scores_transposed(operands, cotangent):
    queries, keys = operands
    return mix(cotangent, keys), mix(cotangent.swapaxes(1, 2), queries)


def _mix_transposed(operands, cotangent):
    weights, values = operands
    return pair_scores(cotangent, values), mix(weights.swapaxes(1, 2), cotangent)


pair_scores.defvjp(lambda *operands: (pair_scores(*operands), operands), _pair_scores_transposed)
mix.defvjp(lambda *operands: (mix(*operands), operands), _mix_transposed)


def drop(key: Key[Array, ""], x: Float[Array, "*shape"], rate: Float[Array, ""] | float) -> Float[Array, "*shape"]:
    """Zeroes entries with probability `rate` and scales the others by 1/(1 - rate); `rate` may be traced."""
    kept = jax.random.uniform(key, x.shape, x.dtype) >= rate
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def dropper(module: nn.Module, train: bool, rate: Float[Array, ""] | float):
    """How a forward pass of `module` drops: `drop` with a mask of its own at each call, or nothing.

    Only where something may be dropped does the module need a 'dropout' stream of random numbers: in train mode, at a
    rate that is traced or not 0.
    """
    if not train or (isinstance(rate, (int, float)) and rate == 0):
        return lambda x: x
    return lambda x: drop(module.make_rng("dropout"), x, rate)


def sinusoidal_positions(length: int, width: int) -> Float[np.ndarray, "length width"]:
    """[length, width]: sin(t/10000^(2i/width)) in column 2i, cos of the same in column 2i+1.

    Source: Vaswani et al. 2017, arXiv:1706.03762.
    """
    column = np.arange(width)
    angle = np.arange(length)[:, None] / 10_000.0 ** (column // 2 * 2 / width)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def check_heads(width: int, num_heads: int) -> None:
    """ConfigError if `num_heads` heads cannot share `width` features evenly."""
    if width % num_heads:
        divisors = [h for h in range(1, width + 1) if width % h == 0]
        near = sorted(divisors, key=lambda h: abs(h - num_heads))[:3]
        raise ConfigError(
            f"num_heads={num_heads} does not divide width={width}. Try --num_heads={','.join(map(str, sorted(near)))}."
        )


def check_one_answer(kind: str, table) -> None:
    """ConfigError if a row of `table` has several answers, for a model that gives one."""
    answers = len(table.answer_positions)
    if answers > 1:
        raise ConfigError(
            f"model={kind} gives one answer per row, and a row of {table.name} has {answers}. Try --model=decoder."
        )
