"""What training lowers and what is measured of a row: cross-entropy and its variants, squared error, accuracy.

A label of -1 marks an answer that is not scored in its row. Labels that are floats are targets, all of them scored: the
logits [batch, answers, 1] are then the predictions.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from grokjax.config import ConfigError


def cross_entropy(
    logits: Float[Array, "batch answers classes"], labels: Int[Array, "batch answers"]
) -> Float[Array, "batch answers"]:
    """The negative log-likelihood of the right classes, in nats; 0 where an answer is not scored.

    Args:
      logits: unnormalised log-probabilities.
      labels: the right classes; -1: not scored.

    Returns:
      [batch, answers], in the dtype of the logits.
    """
    return -_of_right(jax.nn.log_softmax(logits), labels)


def stablemax(
    logits: Float[Array, "batch answers classes"], labels: Int[Array, "batch answers"]
) -> Float[Array, "batch answers"]:
    """Cross-entropy with s(x)/sum s in place of softmax, s(x) = x + 1 for x >= 0 and 1/(1 - x) below.

    s grows linearly and not exponentially, so that a probability rounds to 1 (softmax collapse) only at far larger
    logits. In float32 and with two classes the gradient at the right one is exactly 0 from logits of about 4,100 and
    -4,100 on, or 1.7e7 and 0, and the loss rounds to 0 from about 1,500 and -1,500 on; with softmax, from 17 and 0.

    Args:
      logits: of any size.
      labels: the right classes; -1: not scored.

    Returns:
      [batch, answers], in nats, in the dtype of the logits.

    Source: Prieto et al. 2025, arXiv:2501.04697.
    """
    up, down = jnp.maximum(logits, 0), jnp.maximum(-logits, 0)
    total = ((1 + up) / (1 + down)).sum(-1, keepdims=True)
    return -_of_right(jnp.log1p(up) - jnp.log1p(down) - jnp.log(total), labels)


def mse(
    logits: Float[Array, "batch answers classes"], labels: Real[Array, "batch answers"]
) -> Float[Array, "batch answers"]:
    """The mean squared error.

    Of classes: sum over c of (z_c - [c is right])^2 / C, the mean over all C outputs, against one-hot labels. Of
    targets: (z - y)^2. The loss of a batch is the mean of this over a row's answers, then over its rows: over all
    numbers that are compared, as PyTorch's MSELoss.

    Args:
      logits: the outputs; of targets [batch, answers, 1], the predictions.
      labels: the right classes, -1: not scored; or targets.

    Returns:
      [batch, answers], in the dtype of the logits; 0 where an answer is not scored.
    """
    if are_targets(labels):
        return (logits[..., 0] - labels.astype(logits.dtype)) ** 2
    errors = ((logits - _right(logits, labels).astype(logits.dtype)) ** 2).mean(-1)
    return jnp.where(scored(labels), errors, jnp.zeros((), errors.dtype))


def _of_right(values, labels):
    """[batch, answers]: the values [batch, answers, classes] at the right classes; 0 where none is right."""
    return jnp.where(_right(values, labels), values, jnp.zeros((), values.dtype)).sum(-1)


def _right(values, labels):
    """[batch, answers, classes]: True at the right classes; one-hot labels."""
    return labels[..., None] == jnp.arange(values.shape[-1], dtype=labels.dtype)


LOSSES = {"cross_entropy": cross_entropy, "stablemax": stablemax, "mse": mse}
"""Losses by the name the command line uses."""

OF_CLASSES = ("cross_entropy", "stablemax")
"""Those that need classes, and not targets."""


def check_table(loss: str | Callable, table) -> None:
    """ConfigError for a loss of classes where a table has targets."""
    if table.has_targets and loss in OF_CLASSES:
        raise ConfigError(f"loss={loss} needs classes, and the labels of {table.name} are targets. Try --loss=mse.")


def name_of(loss: str | Callable) -> str:
    """What a loss is called: its name, or the qualified name of a user's function."""
    return loss if isinstance(loss, str) else getattr(loss, "__qualname__", type(loss).__qualname__)


def in_dtype(dtype: str):
    """A context in which arrays may have this dtype: 'float16', 'float32' or 'float64'."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def answer_losses(
    logits: Float[Array, "batch answers classes"],
    labels: Real[Array, "batch answers"],
    loss: str | Callable = "cross_entropy",
    dtype: str = "float32",
) -> Float[Array, "batch answers"]:
    """A loss, computed in a dtype of its own.

    In float32 a cross-entropy below about 6e-8 is exactly 0, and so is its gradient at the right class; in float64
    below about 1e-16, in float16 below about 5e-4. The gradient at the other classes is their probability, which stays
    above 0 as long as its exponential does: logits [20, 0] have the loss 0 and, in float32, the gradient [0, 2.06e-9].

    Args:
      logits: of the model, in float32.
      labels: the right classes, -1: not scored; or targets.
      loss: the name of one of `LOSSES`, or a function from logits and labels to [batch, answers], such as
        `optax.softmax_cross_entropy_with_integer_labels`. It is given 0 as the label of an answer that is not scored,
        and what it returns there counts as 0; targets it is given in the dtype of the logits. Static.
      dtype: 'float16', 'float32' or 'float64'; static. The gradient at the logits is computed in it as well: in float16
        what is below 6e-8, the mean over the batch included, is 0. A logit beyond 65,504 has no float16.

    Returns:
      [batch, answers] float32.

    Raises:
      ConfigError: where a function returns another shape.
    """
    with in_dtype(dtype):
        if isinstance(loss, str):
            return LOSSES[loss](logits.astype(dtype), labels).astype(logits.dtype)
        lost = loss(logits.astype(dtype), labels.astype(dtype) if are_targets(labels) else jnp.maximum(labels, 0))
        if (shape := getattr(lost, "shape", None)) != labels.shape:
            got = type(lost).__name__ if shape is None else f"shape {shape}"
            raise ConfigError(
                f"The loss {name_of(loss)} returned {got} for labels of shape {labels.shape}. It must return one "
                "number for each label; their mean over the batch is taken afterwards."
            )
        return jnp.where(scored(labels), lost, jnp.zeros((), lost.dtype)).astype(logits.dtype)


def are_targets(labels: Real[Array, "..."]) -> bool:
    """Whether labels are targets, floats, and not classes."""
    return jnp.issubdtype(labels.dtype, jnp.floating)


def scored(labels: Real[Array, "batch answers"]) -> Bool[Array, "batch answers"]:
    """True where an answer counts."""
    return jnp.ones(labels.shape, bool) if are_targets(labels) else labels >= 0


def correct(
    logits: Float[Array, "batch answers classes"],
    labels: Real[Array, "batch answers"],
    tolerance: Float[Any, ""] | None = None,
) -> Bool[Array, "batch answers"]:
    """True where an answer is right.

    Of classes: where the largest logit is that of the right class; ties go to the lower class. False where the answer
    is not scored, or a logit is no number. Of targets: where |z - y| <= tolerance.

    Args:
      logits: of the model.
      labels: classes or targets.
      tolerance: of targets, in their unit; classes have none.
    """
    if are_targets(labels):
        return jnp.abs(logits[..., 0] - labels) <= tolerance
    # Not by argmax, which a CPU computes many times more slowly than a maximum.
    own = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    lower = jnp.arange(logits.shape[-1], dtype=labels.dtype) < labels[..., None]
    largest, largest_lower = logits.max(-1), jnp.where(lower, logits, -jnp.inf).max(-1)
    return scored(labels) & (own == largest) & (largest_lower < largest)


def row_loss(losses: Float[Array, "batch answers"], labels: Real[Array, "batch answers"]) -> Float[Array, " batch"]:
    """[batch]: the mean over a row's scored answers."""
    if losses.shape[1] == 1:
        return losses[:, 0]
    return losses.sum(-1) / jnp.maximum(scored(labels).sum(-1), 1).astype(losses.dtype)


def row_accuracy(right: Bool[Array, "batch answers"], labels: Real[Array, "batch answers"]) -> Float[Array, " batch"]:
    """[batch]: 1.0 for a row all of whose scored answers are right, else 0.0."""
    return (right | ~scored(labels)).all(-1).astype(jnp.float32)


def weighted_mean(values: Float[Array, " batch"], weights: Float[Array, " batch"]) -> Float[Array, ""]:
    """The mean of the values whose weight is 1 (weights are 0 or 1); NaN where there is none."""
    return jnp.where(weights > 0, values, 0).sum() / weights.sum()
