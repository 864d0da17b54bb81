"""Parts that models are made of: initial distributions and activations by name, linear maps, norms, dropout, ..."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grokjax.config import ConfigError, setting

LAYER_NORM_EPSILON = 1e-5
"""PyTorch's; BatchNorm has the same."""

ACTIVATIONS: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "quadratic": jnp.square,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}
"""Activations by name. GELU is x Phi(x), as PyTorch's by default; 'quadratic' is x^2; 'identity' leaves a product."""


def activation_setting():
    """The setting `activation` of a model that has hidden units."""
    return setting(
        "relu",
        "of the hidden units; gelu is x Phi(x), quadratic x^2, identity none",
        choices=tuple(ACTIVATIONS),
        later=True,
    )


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


def check_tokens(kind: str, table) -> None:
    """ConfigError if the inputs of `table` are features, for a model that reads tokens."""
    if table.has_features:
        raise ConfigError(f"model={kind} reads tokens, and the inputs of {table.name} are features. Try --model=mlp.")


def check_one_answer(kind: str, table) -> None:
    """ConfigError unless a row of `table` is tokens with one answer, for a model that reads those and gives one."""
    check_tokens(kind, table)
    answers = table.num_answers
    if answers > 1:
        raise ConfigError(
            f"model={kind} gives one answer per row, and a row of {table.name} has {answers}. Try --model=decoder."
        )
