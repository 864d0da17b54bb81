"""Muon, which makes the momentum of each matrix orthogonal."""

import dataclasses

import jax
import optax

from grokjax.config import refusing
from grokjax.optimizers.base import hyperparameter
from grokjax.optimizers.chains import Adam
from grokjax.optimizers.transforms import stateless


@refusing
@dataclasses.dataclass(frozen=True)
class Muon(Adam):
    """Muon for the matrices inside the network: the momentum made orthogonal by Newton and Schulz's iteration.

    Embeddings, the output matrix and vectors are trained by Adam, as its authors do. A matrix [inputs, outputs] moves
    by sqrt(max(1, outputs / inputs)) times the orthogonal one. Both share the learning rate.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/, as optax.contrib has it; on grokking, Tveit
    et al. 2025, arXiv:2504.16041.
    """

    momentum: float = hyperparameter(0.95, "decay of the sum of directions", low=0.0, below=1.0)

    def direction(self, hyper):
        orthogonal = optax.contrib.scale_by_muon(beta=hyper["momentum"], weight_dimension_numbers=_rows_and_columns)
        muon = optax.chain(orthogonal, stateless(_scaled_by_shape))
        return optax.partition({"muon": muon, "adam": super().direction(hyper)}, _muon_labels)


def _rows_and_columns(updates):
    return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(), updates)


def _scaled_by_shape(updates, params, key):
    return jax.tree.map(lambda u: u * max(1.0, u.shape[1] / u.shape[0]) ** 0.5, updates)


def _muon_labels(params):
    """'muon' for the matrices between embedding and output, 'adam' for all else."""

    def label(path, leaf):
        names = [str(getattr(part, "key", part)) for part in path]
        outer = names[0] == "output" or any(name.startswith(("embed", "position")) for name in names)
        return "adam" if leaf.ndim != 2 or outer else "muon"

    return jax.tree_util.tree_map_with_path(label, params)
