"""Implicit regularisation where it can be proved: SGD on a linear regression with more features than rows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


class Problem(NamedTuple):
    """An under-determined regression: rows @ weights = targets has many solutions.

    Attributes:
      rows: [num_train, features].
      targets: [num_train], made by a teacher.
      val_rows, val_targets: as many again from the same teacher, not trained on.
    """

    rows: Float[Array, "num_train features"]
    targets: Float[Array, " num_train"]
    val_rows: Float[Array, "num_train features"]
    val_targets: Float[Array, " num_train"]


class Path(NamedTuple):
    """What is measured of one run at its evaluated steps; all [evaluations].

    Attributes:
      train_loss, val_loss: mean squared errors.
      distance: |w - w_min| / |w_min|, with w_min the solution of least norm.
      outside: norm of the part of w that is orthogonal to all training rows, over |w_min|.
    """

    train_loss: Float[Array, " evaluations"]
    val_loss: Float[Array, " evaluations"]
    distance: Float[Array, " evaluations"]
    outside: Float[Array, " evaluations"]


def problem(key: Key[Array, ""], num_train: int, features: int) -> Problem:
    """Gaussian rows, and targets of a Gaussian teacher of norm about 1.

    Args:
      key: consumed here.
      num_train: rows that train, and as many that validate.
      features: of a row; more than `num_train`, or the solution is unique.
    """
    for_rows, for_teacher = jax.random.split(key)
    rows = jax.random.normal(for_rows, (2 * num_train, features))
    targets = rows @ (jax.random.normal(for_teacher, (features,)) / jnp.sqrt(features))
    return Problem(rows[:num_train], targets[:num_train], rows[num_train:], targets[num_train:])


def least_norm(rows: Float[Array, "num_train features"], targets: Float[Array, " num_train"]):
    """[features], the solution of least norm, by the pseudo-inverse."""
    return jnp.linalg.pinv(rows) @ targets


def descend(
    key: Key[Array, ""],
    given: Problem,
    init_scale: Float[Array, ""] | float,
    learning_rate: Float[Array, ""] | float,
    batch_size: int,
    steps: Int[Array, " evaluations"],
) -> Path:
    """SGD on the mean squared error, from Gaussian weights of norm about `init_scale`.

    Every gradient is a combination of training rows, so SGD moves within their span alone: started at zero, the
    only solution that it can reach is the one of least norm; started elsewhere, it keeps what lies outside the span.

    Args:
      key: consumed here, for the initial weights and the batches (drawn with replacement).
      given: the regression.
      init_scale: 0 starts at zero.
      learning_rate: below 2 / (largest |row|^2), or it diverges.
      batch_size: rows of a step; static.
      steps: [evaluations], increasing, from 0.

    Returns:
      What is measured at `steps`.

    Source: the argument is standard, e.g. Zhang et al. 2017, arXiv:1611.03530, section 5.
    """
    for_init, for_batches = jax.random.split(key)
    num_train, features = given.rows.shape
    start = init_scale * jax.random.normal(for_init, (features,)) / jnp.sqrt(features)
    best = least_norm(given.rows, given.targets)
    into_span = jnp.linalg.pinv(given.rows) @ given.rows

    def move(step, weights):
        chosen = jax.random.randint(jax.random.fold_in(for_batches, step), (batch_size,), 0, num_train)
        rows = given.rows[chosen]
        error = rows @ weights - given.targets[chosen]
        return weights - learning_rate * rows.T @ error / batch_size

    def measure(weights):
        unit = jnp.linalg.norm(best)
        return Path(
            jnp.mean((given.rows @ weights - given.targets) ** 2),
            jnp.mean((given.val_rows @ weights - given.val_targets) ** 2),
            jnp.linalg.norm(weights - best) / unit,
            jnp.linalg.norm(weights - into_span @ weights) / unit,
        )

    def advance(weights, span):
        weights = jax.lax.fori_loop(span[0], span[1], move, weights)
        return weights, measure(weights)

    before = jnp.concatenate([jnp.zeros(1, steps.dtype), steps[:-1]])
    return jax.lax.scan(advance, start, jnp.stack([before, steps], -1))[1]
