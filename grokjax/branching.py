"""Runs that go on from the snapshots of others, with something changed.

the runs of the parent's result that are selected, each with its configuration and its weights at the step
the grid: the parent's axes that are left, then those of the changes
a run of it: its parent's configuration, changed, that starts from the weights of its parent
trained as any other sweep
"""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokjax import results, sweeps
from grokjax.config import OPTIONS, Config, ConfigError, Start, settings, several
from grokjax.live import trained_configs
from grokjax.sweeps.axes import Axis
from grokjax.sweeps.code import forget
from grokjax.sweeps.components import COMPONENTS
from grokjax.sweeps.grid import Grid, check_effects, make_grid
from grokjax.sweeps.identity import Run, identified
from grokjax.sweeps.outputs import named

FIXED = ("seed", "num_seeds", "init_seed", "init_scale")
"""Settings that a branch has from its parent: they say which run it is, and what it began with."""


def branch(
    path: str | os.PathLike,
    *,
    step: int | None = None,
    select: Mapping[str, Any] | None = None,
    own: Mapping[str, Any] | None = None,
    metrics: Any = None,
    zip: Sequence[Sequence[str]] = (),
    **given: Any,
) -> xr.Dataset | None:
    """Trains branches of the runs of a result: each starts from the weights of its parent at a step, with changes.

        gj.branch("results/add.npz", step=1000, select={"weight_decay": 1}, weight_decay=[0, 1], out="results/off.npz")

    A snapshot has the parameters and nothing else. So a branch begins with a fresh optimizer (moments, warm-up and
    schedules start again; `warmup_steps=0` has no warm-up), counts its steps from 0, and has the whole budget of its
    parent unless `steps` are given. Add `step` to its steps to draw its curves behind the parent's. All seeds are the
    parent's, and so are the split, the labels and the order of batches, which begins at the first epoch again; a stream
    may be given another seed, as by `batch_seed=[0, 1]`.

    Initial weights are those that the parent's seed drew, for `centred` (the function that is subtracted stays the
    parent's) and for metrics such as `distance`. What the optimizer keeps begins at the snapshot: decay 'init' is
    towards the snapshot's weights, and `fixed_norm` keeps their norm.

    Args:
      path: the result file of the parents, with their parameters beside it.
      step: one of those that `--snapshots` kept; None: the final parameters.
      select: which of the runs branch, by coordinate, each one value or a list; an axis of which one value is selected
        is left out of the result. None: all.
      own: the task, model, optimizer, loss or metrics that the parents' sweep was given, by these names, where they are
        your own code.
      metrics: of the branches; None: those of the parents.
      zip: groups of changes whose values advance together, as in `grokjax.sweep`.
      **given: the options of `grokjax.sweep` (`out`, `num_devices`, `executor`, ...), and the changes: settings by
        name, each one value or several, which make an axis. A task, model or optimizer that is exchanged has its own
        defaults. An axis of the parents whose setting is changed is called parent_<setting> in the result.

    Returns:
      As `grokjax.sweep`, along the parents' axes that are left and those of the changes.

    Raises:
      ResultError: as `grokjax.open_run`, for each of the parents; so where one has no snapshot at the step.
      ConfigError: for changes that cannot be made, or with which the weights do not fit the model; else as
        `grokjax.sweep`.
      Interrupted, ShareError: as `grokjax.sweep`. The same call goes on.

    Source: training on from a common state, Frankle et al. 2020, arXiv:1912.05671.
    """
    execution = sweeps.ready(**{name: given.pop(name) for name in OPTIONS if name in given})
    if execution.out is not None and named(execution.out).resolve() == Path(path).resolve():
        raise ConfigError(f"out={execution.out} holds the runs that are to branch. Choose another --out.")
    grid, runs = _laid_out(path, step, select or {}, own or {}, metrics, given, zip)
    return sweeps.carry_out(grid, runs, execution)


def _laid_out(
    path: str | os.PathLike,
    step: int | None,
    select: Mapping[str, Any],
    own: Mapping[str, Any],
    metrics: Any,
    changes: Mapping[str, Any],
    zipped: Any,
) -> tuple[Grid, list[Run]]:
    """The grid of the branches, and its runs; see `branch` for the arguments."""
    forget()
    if unknown := set(own) - {*COMPONENTS, "loss", "metrics"}:
        raise ConfigError(f"own has {min(unknown)}, and may have: {', '.join(COMPONENTS)}, loss, metrics.")
    arrays, meta = results.read(path)
    points, left_out = _chosen(Path(path), arrays, meta, select)
    places = list(itertools.product(*points.values()))
    configs = trained_configs(path, arrays, meta, places, own)
    bases = [
        dataclasses.replace(
            config,
            start=_start(Path(path), arrays, meta, place, step),
            metrics=config.metrics if metrics is None else metrics,
        )
        for config, place in zip(configs, places, strict=True)
    ]
    changed = make_grid(bases[0], changes, zipped)
    axes = _parent_axes(arrays, meta, {dim: of for dim, of in points.items() if dim not in left_out}, changed, configs)
    where = itertools.product(*(range(len(axis)) for axis in axes))
    cells = [(place, cell) for place, base in zip(where, bases, strict=True) for cell in _cells(changed, base)]
    runs = identified([cell for _, cell in cells])
    check_effects(changed.axes, runs)
    runs = [run.at((*place, *run.index)) for (place, _), run in zip(cells, runs, strict=True)]
    return Grid(bases[0], changed.fixed, (*axes, *changed.axes), changed.snapped), runs


def _chosen(path: Path, arrays, meta, select: Mapping[str, Any]) -> tuple[dict[str, list[int]], set[str]]:
    """Per axis of a result, the points whose runs branch; and the axes of which one value is asked for."""
    single = {name: value for name, value in select.items() if not several(value)}
    masks = results.selected(path, arrays, meta, single)
    for name in set(select) - set(single):
        each = [results.selected(path, arrays, meta, {name: value}) for value in select[name]]
        masks = {dim: mask & np.any([one[dim] for one in each], axis=0) for dim, mask in masks.items()}
    points = {dim: np.flatnonzero(mask).tolist() for dim, mask in masks.items()}
    if not all(points.values()):
        raise ConfigError(f"select={dict(select)} leaves no run of {path}. Select by fewer.")
    asked = {meta["dims"][name][0] for name in single}
    return points, {dim for dim in asked if len(points[dim]) == 1}


def _start(path: Path, arrays, meta, place: tuple[int, ...], step: int | None) -> Start:
    """What the branches of one run start from."""
    file, params = results.params_of_run(path, arrays, meta, place, step)
    at = int(arrays["last_step"][place]) if step is None else int(step)
    return Start.of_run(file, params, str(arrays["run_id"][place]), at)


def _cells(changed: Grid, base: Config) -> list[Run]:
    """The branches of one run, not yet identified."""
    return list(dataclasses.replace(changed, base=base).cells())


def _parent_axes(
    arrays, meta, points: Mapping[str, Sequence[int]], changed: Grid, configs: Sequence[Config]
) -> list[Axis]:
    """The parents' axes as those of their branches, which set what the changes leave alone.

    Args:
      arrays, meta: of the parents' result.
      points: of each axis that is left.
      changed: the changes.
      configs: of the parents.

    Raises:
      ConfigError: for a change of what says which run it is, or one that some points of an axis make and others do not.
    """
    theirs = {name for dim in points for point in meta["axes"][dim] for name in point}
    touched = _touched(changed.fixed, configs)
    for axis in changed.axes:
        of_points = [_touched(overrides, configs) for overrides in axis.overrides]
        touched |= set().union(*of_points)
        if partly := theirs & set().union(*of_points) - set.intersection(*of_points):
            raise ConfigError(
                f"{axis.names[0]} changes {min(partly)}, an axis of the parents, at some of its points. Give it at all "
                f"points, or select={{{min(partly)!r}: ...}}."
            )
    if fixed := touched & set(FIXED):
        raise ConfigError(
            f"{min(fixed)} cannot change, for a branch goes on with a run of its parent. Try select={{'seed': 0}}, or "
            "another seed of one stream, such as batch_seed=1."
        )
    taken = {name for axis in changed.axes for name in axis.names}
    axes = [_parent_axis(arrays, meta, dim, of, touched, taken) for dim, of in points.items()]
    names = [*taken, *(name for axis in axes for name in axis.names)]
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise ConfigError(f"{twice[0]} would name two axes. Select one value, as by select={{{twice[0]!r}: ...}}.")
    return axes


def _parent_axis(arrays, meta, dim: str, points: Sequence[int], touched: set[str], taken: set[str]) -> Axis:
    """One axis of the parents; coordinates that the changes touch, or have the name of, are called parent_<name>."""
    names = [dim, *(name for name in meta["coords"] if meta["dims"][name] == [dim] and name != dim)]
    overrides = [meta["axes"][dim][i] for i in points]
    return Axis(
        names=tuple(f"parent_{name}" if name in touched | taken else name for name in names),
        labels=tuple(tuple(arrays[name][list(points)].tolist()) for name in names),
        overrides=tuple({name: value for name, value in of.items() if name not in touched} for of in overrides),
    )


def _touched(overrides: Mapping[str, Any], configs: Sequence[Config]) -> set[str]:
    """The settings that no longer are those of the parents: those given, and all of a component that is exchanged."""
    touched = set(overrides)
    for which in COMPONENTS:
        if which in overrides:
            touched |= {name for config in configs for name in settings(getattr(config, which))}
    return touched | ({"steps", "epochs"} if touched & {"steps", "epochs"} else set())
