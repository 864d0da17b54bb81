"""Running means over the steps since the last evaluation, for the metrics that ask for them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from grokjax import losses, metrics
from grokjax.runs.program import Program


def no_means(program: Program, params) -> dict[str, Any]:
    """The running means before the first step: of nothing."""
    names, zero = metrics.running(program.metrics), jnp.zeros((), jnp.float32)
    means = dict.fromkeys((*names, "steps", "batches"), zero) if names else {}
    if "gradient_norms" in means:
        means["gradient_norms"] = dict.fromkeys(metrics.paths(params), zero)
    return means


def averaged(
    means: dict[str, Any],
    gradient,
    mean_loss: Float[Array, ""],
    z: Float[Array, "batch answers classes"],
    labels: Real[Array, "batch answers"],
    weights: Float[Array, " batch"],
    tolerance: Float[Any, ""],
) -> dict[str, Any]:
    """The running means with one step more: of gradients over steps, of losses and accuracies over rows.

    Args:
      means: so far; nothing if no metric asks for any.
      gradient: of the batch's loss, as the parameters.
      mean_loss: of the batch, in train mode.
      z: its logits.
      labels: its labels.
      weights: 0.0 for padding.
      tolerance: within which a prediction of a target is right.
    """
    if not means:
        return means
    share = weights.mean()  # a short batch counts for its rows
    new = {"steps": means["steps"] + 1, "batches": means["batches"] + share}
    if "gradient_norm" in means:
        new["gradient_norm"] = metrics.weight_norm(gradient), 1 / new["steps"]
    if "gradient_norms" in means:
        new["gradient_norms"] = metrics.tensor_norms(gradient), 1 / new["steps"]
    if "batch_loss" in means:
        new["batch_loss"] = mean_loss, share / new["batches"]
    if "batch_accuracy" in means:
        right = losses.row_accuracy(losses.correct(z, labels, tolerance), labels)
        new["batch_accuracy"] = losses.weighted_mean(right, weights), share / new["batches"]

    def moved(name, mean):
        value, part = new[name]
        return jax.tree.map(lambda m, v: m + (v - m) * part, mean, value)

    return {name: new[name] if name in ("steps", "batches") else moved(name, mean) for name, mean in means.items()}


def reset(means: dict[str, Any], due: Bool[Array, ""]) -> dict[str, Any]:
    """The running means, back to those of nothing if the run's own evaluation was `due`."""
    return jax.tree.map(lambda x: jnp.where(due, jnp.zeros_like(x), x), means)


def read(means: dict[str, Any]) -> dict[str, Any]:
    """The running means by the names that metrics ask for; NaN over no steps."""
    begun = means.get("steps", 0) > 0
    return {
        argument: jax.tree.map(lambda mean: jnp.where(begun, mean, jnp.nan), means[name])
        for argument, name in metrics.RUNNING.items()
        if name in means
    }
