"""Local complexity: how many hidden units switch within a small neighbourhood of a point.

Tokens have no neighbourhood, so of a decoder we take that of the vectors which enter the MLP, at the position that is
read. These are the residual stream, after LayerNorm where it comes before. The pre-activations are affine in them, so
each unit switches on a hyperplane, and none that cuts the neighbourhood is missed:

    mlp, points = run.params["block_0"]["mlp_in"], run.cache(rows=rows)["block_0.mlp_in.input"][:, -1]
    local_complexity(lambda x: x @ mlp["kernel"] + mlp["bias"], points, radius=0.1, seed=0)  # [rows]; or without bias

This is the complexity of one MLP, not of the whole network. Of several layers give the pre-activations side by side, as
a function of the vectors that enter the first.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def local_complexity(
    preactivations: Callable[[Array], Float[Array, "batch units"]],
    points: Float[Any, "points features"],
    radius: float | np.floating,
    seed: int,
    directions: int | None = None,
) -> Int[np.ndarray, " points"]:
    """The number of hidden units whose pre-activation changes sign between the vertices of a cross-polytope.

        V [directions, features]          orthonormal rows, drawn at random
        vertices = point +- radius * V    [2 directions, features]
        a unit counts if its pre-activation is negative at one vertex and positive at another

    For pre-activations that are affine in the point these are exactly the units whose hyperplane cuts the polytope. In
    deeper layers, where a unit may switch twice on the way between two vertices, it is a lower bound.

    Args:
      preactivations: of a batch of points [batch, features], those of every hidden unit [batch, units], each row by
        itself.
      points: the centres.
      radius: distance of each vertex from its centre, in units of the points.
      seed: of the directions, which all points share.
      directions: at most the features; None: all of them. Humayun et al. take 25.

    Returns:
      [points] the counts, 0 to units.

    Source: Humayun, Balestriero and Baraniuk 2024, Deep networks always grok and here is why, arXiv:2402.15555.
    """
    points = np.asarray(points, np.float32)
    features = points.shape[1]
    directions = features if directions is None else directions
    if not 1 <= directions <= features:
        raise ValueError(f"directions={directions} of {features} features: there are 1 to {features} orthonormal ones.")
    gaussian = np.random.default_rng(seed).standard_normal((features, directions))
    axes = radius * np.linalg.qr(gaussian)[0].T.astype(np.float32)
    steps = jnp.asarray(np.concatenate([axes, -axes]))

    @jax.jit
    def count(points):
        def switched(point):
            z = preactivations(point + steps)
            return ((z.min(0) < 0) & (z.max(0) > 0)).sum()

        return jax.lax.map(switched, points)

    return np.asarray(count(jnp.asarray(points)))
