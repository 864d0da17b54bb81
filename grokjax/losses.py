"""What training lowers and what is measured: cross-entropy and accuracy, one number per row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "batch answers classes"], labels: Int[Array, "batch answers"]
) -> Float[Array, " batch"]:
    """The negative log-likelihood of the right classes, in nats, the mean over a row's answers.

    Args:
      logits: unnormalised log-probabilities.
      labels: the right classes.

    Returns:
      [batch].
    """
    right = labels[..., None] == jnp.arange(logits.shape[-1], dtype=labels.dtype)
    return -jnp.where(right, jax.nn.log_softmax(logits), 0.0).sum(-1).mean(-1)


def accuracy(
    logits: Float[Array, "batch answers classes"], labels: Int[Array, "batch answers"]
) -> Float[Array, " batch"]:
    """1.0 for a row all of whose answers are right, else 0.0; ties go to the lower class.

    Args:
      logits: unnormalised log-probabilities.
      labels: the right classes.

    Returns:
      [batch].
    """
    return (jnp.argmax(logits, -1) == labels).all(-1).astype(logits.dtype)


def weighted_mean(values: Float[Array, " batch"], weights: Float[Array, " batch"]) -> Float[Array, ""]:
    """The mean of the values whose weight is 1 (weights are 0 or 1)."""
    return (values * weights).sum() / weights.sum()
