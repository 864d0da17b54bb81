"""How sharp a minimum is: Keskar et al.'s measure in a random subspace, and the top eigenvalue of the Hessian.

Both take a loss as a function of parameters, e.g. lambda p: cross_entropy(model.apply({"params": p}, x), y).mean(), and
compute in float64: the loss changes by far less than float32 resolves.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from scipy import optimize

from grokjax.analysis.precision import float64, widened

Loss = Callable[[Any], Float[Array, ""]]


def sharpness(
    loss: Loss, params: Any, seed: int, directions: int = 10, reach: float = 1e-3, iterations: int = 10
) -> float:
    """phi = 100 (max_y f(x + A y) - f(x)) / (1 + f(x)), over a small box of a random subspace.

        R [directions, weights]            random rows of norm 1
        A = R^+                            its pseudo-inverse
        |y_i| <= reach (|(R x)_i| + 1)     the box; A^+ = R
        y by L-BFGS-B, a few iterations    from a random point of the box

    The search starts at a random point, and not at y = 0, where the gradient of a minimum vanishes.

    Args:
      loss: f, from parameters to a scalar.
      params: x, a tree of arrays.
      seed: of the directions and the start: another one for each run, or all runs share a subspace.
      directions: rows of R.
      reach: relative size of the box.
      iterations: of L-BFGS-B.

    Returns:
      phi >= 0, in percent of 1 + f(x).

    Source: Keskar et al. 2017, arXiv:1609.04836, section 2.2.2; used by Power et al. 2022, arXiv:2201.02177, A.5.
    """
    rng = np.random.default_rng(seed)
    with float64():
        here, tree_of = ravel_pytree(widened(params))
        x = np.asarray(here)
        rows = rng.standard_normal((directions, len(x)))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        box = reach * (np.abs(rows @ x) + 1)
        spread = jnp.asarray(np.linalg.solve(rows @ rows.T, rows).T * box)  # [weights, directions], of y / box
        value_and_gradient = jax.jit(jax.value_and_grad(lambda y: loss(tree_of(here + spread @ y)).astype(jnp.float64)))

        def evaluate(y):
            value, gradient = value_and_gradient(jnp.asarray(y))
            return float(value), np.asarray(gradient)

        bottom, _ = evaluate(np.zeros(directions))
        start = rng.uniform(-1, 1, directions)
        # The optimizer's tolerances are absolute, so the loss is measured in units of its slope.
        unit = np.abs(evaluate(start)[1]).max() or 1.0

        def descend(y):
            value, gradient = evaluate(y)
            return (bottom - value) / unit, -gradient / unit

        options = {"maxiter": iterations}
        found = optimize.minimize(
            descend, start, jac=True, method="L-BFGS-B", bounds=[(-1, 1)] * directions, options=options
        )
    return 100 * max(-found.fun * unit, 0.0) / (1 + bottom)


class Eigenvalue(NamedTuple):
    """The largest eigenvalue of a Hessian.

    Attributes:
      value: the Rayleigh quotient of the last vector.
      residual: |H v - value v|: some eigenvalue lies as near.
      products: Hessian-vector products that it took.
    """

    value: float
    residual: float
    products: int


def top_eigenvalue(loss: Loss, params: Any, seed: int, iterations: int = 200, tolerance: float = 1e-3) -> Eigenvalue:
    """The algebraically largest eigenvalue of the loss's Hessian, by power iteration.

    Power iteration finds the eigenvalue of the largest size. Where that is negative, a second one on H less it finds
    the largest. Both passes of a Hessian-vector product go backward, for a model may define its own gradients, which
    have no forward mode.

    Args:
      loss, params: as in `sharpness`.
      seed: of the first vector.
      iterations: at most, of either iteration.
      tolerance: of the residual, relative to the eigenvalue of the largest size.
    """
    with float64():
        here, tree_of = ravel_pytree(widened(params))
        gradient = jax.grad(lambda x: loss(tree_of(x)).astype(jnp.float64))
        product = jax.jit(lambda v: jax.grad(lambda x: jnp.vdot(gradient(x), v))(here))
        vector = np.random.default_rng(seed).standard_normal(len(here))
        first = _power(product, vector, 0.0, iterations, tolerance)
        if first.value >= 0:
            return first
        second = _power(product, vector, first.value, iterations, tolerance)
    return second._replace(products=first.products + second.products)


def _power(product, vector, shift, iterations, tolerance) -> Eigenvalue:
    value, residual, count = np.nan, np.inf, 0
    while count < iterations and not residual <= tolerance * max(abs(value), abs(shift)):
        vector = vector / np.linalg.norm(vector)
        image = np.asarray(product(jnp.asarray(vector)))
        value = float(vector @ image)
        residual = float(np.linalg.norm(image - value * vector))
        vector, count = image - shift * vector, count + 1
    return Eigenvalue(value, residual, count)
