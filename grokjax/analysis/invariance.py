"""Which weights of a model may be scaled without changing what it says: log p(y|x, C theta) = log p(y|x, theta).

Nothing here names a layer: the model is a function of its parameters. All is computed in float64, so that what is left
is the norms' epsilon, which makes even a normalised network only nearly invariant.

Source: the check itself, Melnik et al.; that it is relative to a random change of the same size, and the search for
weights that are invariant together, are ours.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float
from scipy.sparse.csgraph import connected_components

from grokjax.analysis.precision import float64
from grokjax.metrics import paths

Logits = Callable[[Any], Float[Array, "..."]]
"""From parameters to logits [..., classes] of the same rows each time, e.g. lambda p: model.apply({"params": p}, x)."""

TOLERANCE = 1e-2
"""What scaling may change, relative to a random change of the same size, to count as nothing."""

ROUNDING = 1e-12
"""A change of log p, in nats, that says nothing."""

FACTORS = (0.5, 2.0)

SLACK, WEAK = 0.1, 1e-2
"""By how much an exponent may differ from 0 or 1; by more for a tensor with less than this share of the largest effect,
whose exponent hardly shows."""

LARGEST_FAMILY = 16
"""Independent scalings that may be entangled: 2 to this power combinations are tried."""


def scaling(
    logits_of: Logits,
    params: Any,
    groups: Mapping[str, Sequence[str]] | None = None,
    factors: Sequence[float] = FACTORS,
    seed: int = 0,
) -> xr.Dataset:
    """How much scaling a group of weights by C changes log p(y|x), beside a random change of the same size.

    Args:
      logits_of: from parameters to logits [..., classes].
      params: where to look, a tree of arrays.
      groups: name -> paths of tensors that are scaled together, such as 'block_0.mlp_in.kernel'; None: each tensor
        alone, by its path. `{"all": [...]}` with every path checks the whole network.
      factors: values of C, neither 0 nor 1.
      seed: of the random changes.

    Returns:
      A dataset [group, factor], in nats, root mean squares over rows and classes:
        change: of log p when the group is multiplied by C;
        random_change: when each of its tensors moves by |C - 1| times its norm in a random direction;
      and [group] `invariant`: whether the first is at most `TOLERANCE` of the second at every factor. A group that
      does nothing at all (no random change of log p) is not called invariant.

    Raises:
      ValueError: for an unknown path.
    """
    checked = _Checked(logits_of, params, seed)
    groups = {name: (name,) for name in checked.tensors} if groups is None else groups
    change, random_change = np.empty((2, len(groups), len(factors)))
    for i, names in enumerate(groups.values()):
        for j, factor in enumerate(factors):
            change[i, j], random_change[i, j] = checked.changes(names, factor)
    dims = ("group", "factor")
    return xr.Dataset(
        {
            "change": (dims, change, {"long_name": "change of log p when scaled", "units": "nats"}),
            "random_change": (dims, random_change, {"long_name": "change of log p at random", "units": "nats"}),
            "invariant": ("group", [_nothing(*pair) for pair in zip(change, random_change, strict=True)]),
        },
        {"group": list(groups), "factor": list(factors)},
    )


def invariant_subset(logits_of: Logits, params: Any, seed: int = 0) -> tuple[str, ...]:
    """The largest set of weights that may be multiplied by one C together without changing log p(y|x).

    A tensor that is invariant alone is in it; so are tensors that are invariant only together, such as an embedding and
    everything else that adds to a normalised residual stream. Of two matrices whose product matters, such as those of
    an attention head's values and output, one is in it: the first in the order of the tree, if they are of one size.

        J[:, i] = d log p / d ln |theta_i|           one column per tensor
        vectors a with J a = 0                       all scalings theta_i -> C^a_i theta_i that change nothing
        those of zeros and ones, most weights first  checked by scaling with `FACTORS`

    Found is what holds at these parameters: attention so sharp that it only picks a token is nearly invariant, too. A
    tensor of zeros, such as a new bias, is first filled with noise, for scaling zeros says nothing; one that has no
    effect at all is left out.

    Args:
      logits_of: from parameters to logits [..., classes]; of enough rows that they determine the weights.
      params: where to look. For the subset that follows from the architecture, initial ones.
      seed: of what is random.

    Returns:
      Paths, in the order of the tree; none if nothing is invariant.
    """
    checked = _Checked(logits_of, params, seed)
    names, scalings, slack = checked.null_scalings()
    sizes = np.array([checked.tensors[name].size for name in names])
    chosen = set()
    for family in _families(scalings, slack):
        if len(family) > LARGEST_FAMILY:
            raise ValueError(
                f"{len(family)} scalings are entangled, more than the {LARGEST_FAMILY} that can be searched. "
                "Try `scaling` with the groups that you have in mind."
            )
        for candidate in _zeros_and_ones(family, slack, sizes):
            together = [names[i] for i in np.flatnonzero(candidate)]
            if _nothing(*np.transpose([checked.changes(together, factor) for factor in FACTORS])):
                chosen.update(together)
                break
    return tuple(name for name in names if name in chosen)


def _nothing(change, random_change) -> bool:
    return bool(np.all(change <= TOLERANCE * random_change) and np.all(random_change > ROUNDING))


def _rms(values) -> float:
    return float(np.sqrt(np.mean(values**2)))


class _Checked:
    """A model and its log probabilities at given parameters, in float64."""

    def __init__(self, logits_of: Logits, params: Any, seed: int):
        self.rng = np.random.default_rng(seed)
        self.structure = jax.tree.structure(params)
        self.tensors = {name: np.asarray(leaf, np.float64) for name, leaf in paths(params).items()}
        for name, leaf in self.tensors.items():
            if not leaf.any():
                self.tensors[name] = 0.1 * self.rng.standard_normal(leaf.shape)
        self.log_p = jax.jit(lambda tree: jax.nn.log_softmax(logits_of(tree).astype(jnp.float64)))
        self.here = self.at({})

    def at(self, changed: Mapping[str, np.ndarray]) -> np.ndarray:
        """log p with some tensors replaced."""
        with float64():
            leaves = [jnp.asarray(changed.get(name, leaf)) for name, leaf in self.tensors.items()]
            return np.asarray(self.log_p(jax.tree.unflatten(self.structure, leaves)))

    def scaled(self, names: Sequence[str], factor: float) -> np.ndarray:
        """log p with some tensors multiplied by `factor`."""
        return self.at({name: factor * self.tensors[name] for name in names})

    def moved(self, names: Sequence[str], size: float) -> np.ndarray:
        """log p with each of some tensors moved by `size` times its norm in a random direction."""
        changed = {}
        for name in names:
            leaf = self.tensors[name]
            direction = self.rng.standard_normal(leaf.shape)
            changed[name] = leaf + size * np.linalg.norm(leaf) / np.linalg.norm(direction) * direction
        return self.at(changed)

    def changes(self, names: Sequence[str], factor: float) -> tuple[float, float]:
        """Root mean square change of log p when `names` are scaled, and when they move as far at random."""
        if unknown := [name for name in names if name not in self.tensors]:
            raise ValueError(f"There is no tensor {unknown[0]!r} among the parameters: {', '.join(self.tensors)}.")
        moved = self.moved(names, abs(factor - 1))
        return _rms(self.scaled(names, factor) - self.here), _rms(moved - self.here)

    def null_scalings(
        self, size: float = 1e-3
    ) -> tuple[list[str], Float[np.ndarray, "scalings tensors"], Float[np.ndarray, " tensors"]]:
        """The tensors that do something, exponents a whose scalings theta_i -> C^a_i theta_i change nothing, and how
        far each tensor's may be off.

        Columns of the Jacobian are in units of what a random change does, so that a singular value compares with
        `TOLERANCE`.
        """
        effect = {name: _rms(self.moved([name], size) - self.here) for name in self.tensors}
        names = [name for name in self.tensors if effect[name] > ROUNDING]
        if not names:
            return [], np.zeros((0, 0)), np.zeros(0)
        units = np.array([effect[name] for name in names]) / size
        up, down = ([self.scaled([name], np.exp(sign * size)).ravel() for name in names] for sign in (1, -1))
        jacobian = (np.array(up) - np.array(down)).T / (2 * size) / units / np.sqrt(self.here.size)
        _, values, vectors = np.linalg.svd(jacobian, full_matrices=False)
        slack = SLACK * np.maximum(1, WEAK * units.max() / units)
        return names, vectors[values <= TOLERANCE] / units, slack


def _families(vectors, slack) -> list[np.ndarray]:
    """The reduced basis of the space that `vectors` [k, tensors] span, in blocks that share no tensor."""
    basis = np.array(vectors)
    for i in range(len(basis)):  # Gauss and Jordan, pivoting on the largest entry that is left
        row, pivot = np.unravel_index(np.abs(basis[i:]).argmax(), basis[i:].shape)
        basis[[i, i + row]] = basis[[i + row, i]]
        basis[i] /= basis[i, pivot]
        others = np.arange(len(basis)) != i
        basis[others] -= np.outer(basis[others, pivot], basis[i])
    support = np.abs(basis) > slack
    _, labels = connected_components(support @ support.T)
    return [basis[labels == label] for label in np.unique(labels)]


def _zeros_and_ones(basis, slack, sizes) -> list[np.ndarray]:
    """Combinations of a reduced `basis` [k, tensors] whose entries are all nearly 0 or 1, those of most weights first.

    The coefficients are the entries at the pivots, so they are 0 or 1 themselves. Of equals, those with the earlier
    tensors come first.
    """
    coefficients = np.array(list(itertools.product((0, 1), repeat=len(basis))))[1:]
    vectors = coefficients @ basis
    rounded = (np.abs(vectors - 1) <= SLACK).astype(np.float64)
    whole = rounded[(np.abs(vectors - rounded) <= slack).all(axis=-1)]
    return sorted(whole, key=lambda ones: (-ones @ sizes, tuple(-ones)))
