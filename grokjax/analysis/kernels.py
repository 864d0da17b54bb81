"""The empirical neural tangent kernel: which examples training moves together, and how near that is to the labels.

def outputs(params, rows):  # [batch, classes]
    return run.logits(params, rows)[:, 0]

rows = np.flatnonzero(run.train_rows)[:200]
kernel = kernels.tangent_kernel(outputs, run.params, rows)
kernels.effective_rank(kernel), kernels.alignment(kernel, kernels.label_kernel(run.labels[rows, 0]))
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int
from scipy import stats

Outputs = Callable[[Any, Array], Float[Array, "batch outputs"]]


def tangent_kernel(outputs: Outputs, params: Any, inputs: Any) -> Float[np.ndarray, "rows rows"]:
    """K_ij = sum over outputs c and weights w of (d f_c(x_i) / d w) (d f_c(x_j) / d w).

        for each output c:
            G [rows, weights] = its gradient at each input
            K += G G^T

    This is the trace over outputs of the whole kernel, [rows * outputs] squared, which is rarely small enough to hold.
    Memory is that of G, rows * weights float32, and time that of rows * outputs gradients of one row.

    Args:
      outputs: f, from parameters and a batch of inputs to outputs, each row by itself. It is compiled once; pass the
        same function for every snapshot.
      params: a tree of arrays.
      inputs: [rows, ...], such as numbers of rows of a table, for `LiveRun.logits`.

    Returns:
      K, symmetric and positive semi-definite but for rounding.

    Source: Jacot et al. 2018, arXiv:1806.07572.
    """
    return np.asarray(_tangent_kernel(outputs, params, jnp.asarray(inputs)))


@functools.partial(jax.jit, static_argnums=0)
def _tangent_kernel(outputs: Outputs, params: Any, inputs: Array) -> Float[Array, "rows rows"]:
    """The same, compiled once for all parameters that one function is given, such as those of every snapshot."""
    flat, tree_of = ravel_pytree(params)
    count = jax.eval_shape(outputs, params, inputs[:1]).shape[1]

    def output(weights, x, c):
        return outputs(tree_of(weights), x[None])[0, c]

    def add(total, c):
        gradients = jax.vmap(jax.grad(output), (None, 0, None))(flat, inputs, c)
        return total + jnp.matmul(gradients, gradients.T, precision="highest"), None

    return jax.lax.scan(add, jnp.zeros((len(inputs), len(inputs)), flat.dtype), jnp.arange(count))[0]


def effective_rank(kernel: Float[np.ndarray, "rows rows"]) -> float:
    """exp(H), with H the entropy of the eigenvalues as shares of their sum: 1 if one is not 0, n if n are equal.

    Source: Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality.
    """
    eigenvalues = np.linalg.eigvalsh(np.asarray(kernel, np.float64))
    return float(np.exp(stats.entropy(eigenvalues.clip(0))))


def alignment(kernel: Float[np.ndarray, "rows rows"], other: Float[np.ndarray, "rows rows"]) -> float:
    """<K, L> / (|K| |L|), in Frobenius's product: the cosine between two kernels, from 0 to 1 of semi-definite ones.

    With `label_kernel` it is the kernel alignment of Atanasov et al., which is y^T K y / (|K| |y|^2) for one output y.
    One minus it, between the kernels of two snapshots, is the kernel distance of Fort et al.

    Both define them for the whole kernel, rows by outputs; here they are of kernels as `tangent_kernel` sums them.

    Source: Cristianini et al. 2001; Fort et al. 2020, arXiv:2010.15110; Atanasov et al. 2022, arXiv:2111.00034.
    """
    one, two = (np.asarray(k, np.float64) for k in (kernel, other))
    return float((one * two).sum() / (np.linalg.norm(one) * np.linalg.norm(two)))


def label_kernel(labels: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows rows"]:
    """Y Y^T of one-hot labels Y: 1 where two rows have the same label, else 0."""
    labels = np.asarray(labels)
    return (labels[:, None] == labels).astype(np.float64)


def centred(kernel: Float[np.ndarray, "rows rows"]) -> Float[np.ndarray, "rows rows"]:
    """H K H, H = 1 - 1/rows: the kernel of features less their mean, without what all rows have in common.

    Source: Cortes et al. 2012, Algorithms for learning kernels based on centered alignment.
    """
    kernel = np.asarray(kernel, np.float64)
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
