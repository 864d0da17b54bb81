"""MANY runs: from a grid of settings to a labelled result. The one place that maps over runs.

The room is called `sweeps` so that `grokjax.sweep` can be the function, whatever is imported first.
"""

import collections
import dataclasses
import functools
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax import results
from grokjax.config import Config, ConfigError, checked, setting, shown
from grokjax.messages import say, show
from grokjax.sweeps import code, collect, devices, forecast, outputs, processes
from grokjax.sweeps.engine import Group, make_groups
from grokjax.sweeps.grid import Run, make_grid
from grokjax.sweeps.lock import owned
from grokjax.sweeps.ongoing import Ongoing
from grokjax.sweeps.processes import Parts
from grokjax.sweeps.progress import Counted
from grokjax.sweeps.signals import Interrupted, Listening

__all__ = ["Interrupted", "sweep"]

CHECKPOINT_MINUTES = 5.0
"""Between two checkpoints, unless told otherwise."""

KEYWORDS = {
    "lanes": setting(None, "runs that advance together on a device", kind=int, low=1, high=10**9),
    "num_devices": setting(None, "devices that train", kind=int, low=1, high=10**9),
    "snapshots": setting(0, "times that a run's parameters are kept", low=0, high=10**9),
    "checkpoint_minutes": setting(CHECKPOINT_MINUTES, "between two checkpoints", above=0.0, high=1e6),
    "overwrite": setting(False, "whether the result is replaced"),
    "dry_run": setting(False, "whether only the needs are printed"),
    "progress": setting(True, "whether it is shown"),
    "keep_checkpoints": setting(False, "whether they outlive the sweep"),
    "process_id": setting(None, "which of several processes this is", kind=int, low=0, high=10**9),
    "num_processes": setting(None, "processes that share the sweep", kind=int, low=1, high=10**9),
}
"""Keywords of `sweep` that are numbers or switches, with the ranges they are checked by."""


def sweep(
    config: Config,
    *,
    out: str | os.PathLike | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    lanes: int | None = None,
    num_devices: int | None = None,
    zip: Sequence[Sequence[str]] = (),
    progress: bool = True,
    snapshots: int = 0,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    keep_checkpoints: bool = False,
    process_id: int | None = None,
    num_processes: int | None = None,
    coordinator: str | None = None,
    **values: Any,
) -> xr.Dataset | None:
    """Trains a grid of runs and returns its labelled result.

    Args:
      config: one run; what `values` do not say.
      out: where to write the result, an .npz. Runs it holds already are not trained again, and those under way when an
        earlier sweep was interrupted go on; each run's final parameters are kept in a folder beside it. None: nothing
        is written.
      overwrite: start anew whatever `out` holds.
      dry_run: print what would be done and what it needs, and train nothing.
      lanes: runs that advance together on a device; None: 1 on a CPU, elsewhere as many as a measurement at the start
        finds worthwhile.
      num_devices: devices that train; None: all of this process.
      zip: groups of names whose values advance together, as one axis.
      progress: show it, on standard error.
      snapshots: how many times a run's parameters are kept at most: at evaluated steps, evenly in the logarithm, the
        first and the last among them. `grokjax.params(out, step=...)` reads them.
      checkpoint_minutes: between two times that the result so far and all runs under way are written; fewer where that
        takes long.
      keep_checkpoints: leave those of the runs under way when all have ended.
      process_id, num_processes: which of several processes this is, from 0, that share the sweep through the folder of
        `out`; None: as what has started it says (SLURM, Open MPI, PMI), or alone.
      coordinator: host:port, or 'auto': have all processes meet by `jax.distributed` first, as pods of TPUs need.
      **values: settings by name. A scalar sets all runs, a sequence makes an axis, a mapping from labels to
        settings makes an axis of configurations; `num_seeds=5` is short for `seed=range(5)`.

    Returns:
      The dataset that `grokjax.load(out)` would give; None after a dry run, and in all processes but the first.

    Raises:
      ConfigError: for a grid that cannot be run, naming what to change. Nothing has been written then.
      ResultError: if `out` cannot be read or written.
      Interrupted: after Ctrl-C, SIGTERM or SIGHUP; all runs are saved as far as they had come.
    """
    devices.start()
    given = dict(lanes=lanes, num_devices=num_devices, snapshots=snapshots, checkpoint_minutes=checkpoint_minutes)
    given |= dict(overwrite=overwrite, dry_run=dry_run, progress=progress, keep_checkpoints=keep_checkpoints)
    given |= dict(process_id=process_id, num_processes=num_processes)
    lanes, num_devices, snapshots, checkpoint_minutes, *switches, process_id, num_processes = (
        checked(name, value, KEYWORDS[name]) for name, value in given.items()
    )
    overwrite, dry_run, progress, keep_checkpoints = switches
    if coordinator is not None and not isinstance(coordinator, str):
        raise ConfigError(f"coordinator={shown(coordinator)} is not a name. Try coordinator='auto' or 'host:port'.")
    if not isinstance(config, Config):
        raise ConfigError(f"config is of type {type(config).__name__}. Pass a grokjax.Config.")
    grid = make_grid(config, values, zip)
    tell, many = functools.partial(say, aloud=progress or dry_run), math.prod(grid.shape)
    runs = grid.runs(functools.partial(Counted, number=many, doing="laying out runs", tell=tell))
    for run in Counted(runs, many, "identifying runs", tell):
        run.run_id  # noqa: B018  which is kept once it is known
    collect.check_names(grid, runs)
    path = None if out is None else outputs.named(out)
    if path and path.exists() and not overwrite:
        runs = _known_again(runs, path, progress)
    if snapshots and path is None and not dry_run:
        raise ConfigError(f"snapshots={snapshots} are kept beside the result, and there is no --out to write it to.")
    place = processes.find_place(process_id, num_processes, coordinator)
    parts = Parts(path, place) if path else None
    if path is None and place.count > 1:
        raise ConfigError(f"{place.count} processes share a folder, and there is no --out to say which.")
    if parts:
        parts.check(overwrite)
    asked = Ongoing(grid, runs, path, path and path.with_suffix(".params"), snapshots, keep_checkpoints)

    def finished():
        """Whether all runs are there, said so."""
        if not overwrite:
            asked.take_up()
        if done := asked.result is not None and not asked.missing():
            _say_all(grid.notes)
            say(f"{path} holds all {len(runs)} runs; nothing to train.", progress or dry_run)
        return done

    if finished():  # which needs no right to write
        return None if dry_run else asked.dataset()
    if path:
        outputs.check(path, (".params", ".checkpoints", ".parts")[: 3 if parts.place.count > 1 else 2])
    with Listening() as listening, owned(path) if path and place.count == 1 and not dry_run else nullcontext():
        if finished():  # by another process, meanwhile
            return None if dry_run else asked.dataset()
        if not overwrite:
            asked.take_up_checkpoints()
        missing = asked.missing()
        where = devices.local_devices(num_devices)
        groups = processes.shared(make_groups(Counted(missing, len(missing), "grouping runs", tell)), place)
        if caveat := _caveat(groups):
            say(caveat, progress or dry_run)
        if groups:
            plan = forecast.make(grid, runs, groups, where[:1] if dry_run else where, lanes)
        _say_all(grid.notes)
        if dry_run:
            show(plan if groups else "Nothing is left for this process to train.")
            return None
        told = dict(listening=listening, where=where, lanes=lanes, shows=progress, seconds=60 * checkpoint_minutes)
        if place.count > 1:
            return _one_of_several(asked, groups, parts, told)
        asked.train(groups, **told)
        return asked.dataset()


def _known_again(runs: Sequence[Run], path: Path, shows: bool) -> list[Run]:
    """The runs; code that a result holds as lowered by other versions, its source unchanged, is taken as that."""
    if not any(run.code for run in runs):
        return list(runs)
    earlier = results.read(path)[1].get("code", [])
    same = code.adopted((piece for run in runs for piece in run.code), earlier)
    for title, before in dict.fromkeys((piece.title, old.versions) for piece, old in same.items()):
        known = f"{title[0].upper()}{title[1:]} is taken as the one in {path}, trained with {before}"
        say(f"{known}: its source is the same.", shows)
    return [dataclasses.replace(run, code=tuple(same.get(piece, piece) for piece in run.code)) for run in runs]


def _say_all(notes: Sequence[str]) -> None:
    for note in notes:
        say(note)


def _caveat(groups: Sequence[Group]) -> str | None:
    """What models have to say of the tables they are to learn, in one line; None for nothing."""
    found = [group.program.model.caveat(group.table) for group in groups if hasattr(group.program.model, "caveat")]
    found = list(dict.fromkeys(filter(None, found)))
    more = f" (The same holds for {len(found) - 1} more of this sweep's models and tasks.)" if len(found) > 1 else ""
    return found[0] + more if found else None


def _one_of_several(asked: Ongoing, groups: Sequence[Group], parts: Parts, told: Mapping) -> xr.Dataset | None:
    """Trains this process' share; the first process then waits for the others', and joins all."""
    number, count = parts.place
    outputs.claim(parts.folder)
    with owned(parts.path()):
        if groups:  # there may be more processes than runs
            part = asked.part(parts.path(), [run for group in groups for run in group.pending])
            part.take_up()
            part.take_up_checkpoints()
            for group in groups:
                group.pending = collections.deque(run for run in group.pending if run.run_id not in part.records)
            if part.missing():
                part.train([group for group in groups if group.pending], **told)
        if number:
            say(f"Process {number} of {count} has done its share; process 0 joins them.", told["shows"])
            return None
        listening = told["listening"]
        listening.training = True
        parts.join(asked, listening.stop, functools.partial(say, aloud=told["shows"]))
        if listening.heard and asked.missing():
            text = "Interrupted while waiting for others; the same command goes on to wait."
            raise Interrupted(text, listening.heard[0])
    say(f"Wrote {asked.path} ({len(asked.runs)} runs) from {count} processes.", told["shows"])
    return asked.dataset()
