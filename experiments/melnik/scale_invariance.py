"""Which weights may be scaled without changing the network's answers; its loss along rays and circles.

Claims: none; PERIODIC-5 rests on what is found here. Source: Melnik, Yuzhakov and Vetrov, figure 2 and the check of
log p(y|x, C theta) = log p(y|x, theta). The groups of weights, the random change of the same size beside each, and the
plane of the picture, which the paper draws by hand, are ours.

Each run is measured at its first and last parameters: the change of log p(y|x), a root mean square over all rows and
classes, when a group of weights is doubled and when it is moved at random by as much; the training loss in the plane
spanned by trained weights and a random direction, of the scale-invariant weights with the others kept, and of all.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from grokjax.analysis.invariance import scaling
from grokjax.cli import run
from grokjax.experiments.melnik.arms import GROUPS, INVARIANCE, PLANES
from grokjax.experiments.melnik.common import METRICS, SCALE_INVARIANT, SMALL
from grokjax.live import LiveRun
from grokjax.metrics import paths
from grokjax.study import Arm, Experiment, Preset, sizes

ROWS = 256
"""Of the table, on which log p(y|x) is compared."""

RADIUS = 2.0 ** np.arange(-1.5, 2.0, 0.5)
"""Of a circle, in units of the trained weights' norm."""

ANGLE = np.linspace(-np.pi, np.pi, 17)
"""From the trained weights, in radians."""


def groups_of(model, params) -> dict[str, list[str]]:
    """The tensors of each of `GROUPS`; a kind that the model does not have, or declares none of, is empty."""
    tensors = list(paths(params))

    def of_kind(kind: str) -> list[str]:
        last = {"logits": "output"}.get(kind, kind)
        inside = kind not in ("embedding", "position", "logits")
        return [name for name in tensors if last in name.split(".") and name.startswith("block_") == inside]

    found = {kind: of_kind(kind) for kind in GROUPS if kind not in ("declared", "all")}
    return found | {"declared": list(model.scale_invariant), "all": tensors}


def invariance(one: LiveRun) -> xr.Dataset:
    """[group]: the change of log p(y|x) when a group is doubled, and when it moves at random by its own norm."""
    rows = np.linspace(0, one.table.num_examples - 1, min(ROWS, one.table.num_examples)).astype(int)
    tokens = jnp.asarray(one.table.inputs[rows])
    groups = {name: tensors for name, tensors in groups_of(one.model, one.params).items() if tensors}
    found = scaling(lambda params: one.model.apply({"params": params}, tokens), one.params, groups, factors=[2.0])
    places = [list(GROUPS).index(name) for name in groups]
    values = {name: np.full(len(GROUPS), np.nan) for name in ("change", "random_change", "invariant")}
    for name, array in values.items():
        array[places] = found[name].values.reshape(len(groups))
    return xr.Dataset({name: ("group", array) for name, array in values.items()})


def plane(one: LiveRun, chosen: Sequence[str]) -> list[list[float]]:
    """[radius, angle]: training loss where some weights are r (cos(phi) theta + sin(phi) v), v random and as long."""
    tensors, structure = paths(one.params), jax.tree.structure(one.params)
    here = {name: np.asarray(tensors[name], np.float64) for name in chosen}
    rng = np.random.default_rng(0)
    drawn = {name: rng.standard_normal(leaf.shape) for name, leaf in here.items()}
    size, length = (np.sqrt(sum((leaf**2).sum() for leaf in of.values())) for of in (here, drawn))

    def at(radius: float, angle: float) -> float:
        moved = {
            name: radius * (np.cos(angle) * leaf + np.sin(angle) * size / length * drawn[name])
            for name, leaf in here.items()
        }
        leaves = [np.asarray(moved.get(name, leaf), np.float32) for name, leaf in tensors.items()]
        return float(one.loss(jax.tree.unflatten(structure, leaves)))

    return [[at(radius, angle) if chosen else np.nan for angle in ANGLE] for radius in RADIUS]


def measure(snapshots: Sequence[LiveRun]) -> xr.Dataset:
    """Of one run, `invariance` at its first and last parameters and, at the last, two planes of the loss."""
    found = xr.concat([invariance(one) for one in (snapshots[0], snapshots[-1])], "moment")
    last = snapshots[-1]
    losses = [plane(last, groups_of(last.model, last.params)[name]) for name in PLANES]
    dims = ("plane", "radius", "angle")
    return found.assign(plane_loss=(dims, losses)).assign_coords(radius=RADIUS, angle=ANGLE)


PLACES = {"pre": ("pre", True), "post": ("post", True), "none": ("none", False)}
"""Of an arm, where the norms are, and whether there is one inside each MLP."""

ARMS = tuple(Arm(id, label, dict(norm=PLACES[id][0], inner_norm=PLACES[id][1])) for id, label in INVARIANCE.items())
PAPER = Preset(
    dataclasses.replace(SCALE_INVARIANT, metrics=METRICS, eval_at="log:200"),
    axes={"seed": range(5)},
    arms=ARMS,
    snapshots=2,
    size="three networks at modulus 97 and width 128, five seeds, 10^5 steps",
)
QUICK = PAPER.but(
    **SMALL | dict(steps=5000, eval_at="log:200"),
    seed=range(2),
    size="three networks at modulus 31, width 64, fraction .6, batches of 64, decay .005, two seeds, 5,000 steps",
)

EXPERIMENT = Experiment(
    name="melnik/scale_invariance",
    doc=__doc__,
    presets=sizes(quick=QUICK, paper=PAPER),
    measure=measure,
)


if __name__ == "__main__":
    run(EXPERIMENT)
