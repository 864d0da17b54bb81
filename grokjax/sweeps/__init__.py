"""MANY runs: from a grid of settings to a labelled result. The one place that maps over runs.

The room is called `sweeps` so that `grokjax.sweep` can be the function, whatever is imported first.
"""

import collections
import contextlib
import functools
import math
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax.config import Config, ConfigError
from grokjax.sweeps import collect, devices, forecast, processes
from grokjax.sweeps.engine import Group, make_groups
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.lock import owned
from grokjax.sweeps.ongoing import Interrupted, Ongoing, listening, say
from grokjax.sweeps.processes import Parts

__all__ = ["Interrupted", "sweep"]

CHECKPOINT_MINUTES = 5.0
"""Between two checkpoints, unless told otherwise."""


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
      Interrupted: after Ctrl-C or SIGTERM; all runs are saved as far as they had come.
    """
    for name, count, least in (("lanes", lanes, 1), ("num_devices", num_devices, 1), ("snapshots", snapshots, 0)):
        if count is not None and (not isinstance(count, int) or count < least):
            raise ConfigError(f"{name}={count} is out of range: it must be a whole number of at least {least}.")
    if not isinstance(checkpoint_minutes, int | float) or not 0 < checkpoint_minutes < math.inf:
        raise ConfigError(f"checkpoint_minutes={checkpoint_minutes} is out of range: it must be greater than 0.")
    if not isinstance(config, Config):
        raise ConfigError(f"config is of type {type(config).__name__}. Pass a grokjax.Config.")
    grid = make_grid(config, values, zip)
    runs = grid.runs()
    collect.check_names(grid, runs)
    path = None if out is None else _checked_path(out)
    if snapshots and path is None:
        raise ConfigError(f"snapshots={snapshots} are kept beside the result, and there is no --out to write it to.")
    place = processes.find_place(process_id, num_processes, coordinator)
    parts = Parts(path, place) if path else None
    if path is None and place.count > 1:
        raise ConfigError(f"{place.count} processes share a folder, and there is no --out to say which.")
    if parts:
        parts.check(overwrite)
    alone = path is not None and not dry_run and place.count == 1
    with owned(path) if alone else contextlib.nullcontext():
        asked = Ongoing(grid, runs, path, path and path.with_suffix(".params"), snapshots, keep_checkpoints)
        if not overwrite:
            asked.take_up()
        missing = asked.missing()
        if asked.result is not None and not missing:
            say(f"{path} holds all {len(runs)} runs; nothing to train.", progress or dry_run)
            return None if dry_run else asked.dataset()
        where = devices.local_devices(num_devices)
        forecast.check_memory(missing, where)
        groups = processes.shared(make_groups(missing), place)
        if caveat := _caveat(groups):
            say(caveat, progress or dry_run)
        if groups:
            plan = forecast.make(grid, runs, groups, where[:1] if dry_run else where, lanes)
        if dry_run:
            print(plan if groups else "Nothing is left for this process to train.")
            return None
        told = dict(where=where, lanes=lanes, shows=progress, seconds=60 * checkpoint_minutes)
        if place.count > 1:
            return _one_of_several(asked, groups, parts, told)
        asked.train(groups, **told)
        return asked.dataset()


def _caveat(groups: Sequence[Group]) -> str | None:
    """What models have to say of the tables they are to learn, in one line; None for nothing."""
    found = [group.program.model.caveat(group.table) for group in groups if hasattr(group.program.model, "caveat")]
    found = list(dict.fromkeys(filter(None, found)))
    more = f" (The same holds for {len(found) - 1} more of this sweep's models and tasks.)" if len(found) > 1 else ""
    return found[0] + more if found else None


def _one_of_several(asked: Ongoing, groups: Sequence[Group], parts: Parts, told: Mapping) -> xr.Dataset | None:
    """Trains this process' share; the first process then waits for the others', and joins all."""
    number, count = parts.place
    parts.folder.mkdir(exist_ok=True)
    with owned(parts.path()):
        if groups:  # there may be more processes than runs
            part = asked.part(parts.path(), [run for group in groups for run in group.pending])
            part.take_up()
            for group in groups:
                group.pending = collections.deque(run for run in group.pending if run.run_id not in part.records)
            if part.missing():
                part.train([group for group in groups if group.pending], **told)
        if number:
            say(f"Process {number} of {count} has done its share; process 0 joins them.", told["shows"])
            return None
        stop, signals = threading.Event(), []
        with listening(stop, signals):
            parts.join(asked, stop, functools.partial(say, aloud=told["shows"]))
        if signals:
            raise Interrupted("Interrupted while waiting for others; the same command goes on to wait.", signals[0])
    say(f"Wrote {asked.path} ({len(asked.runs)} runs) from {count} processes.", told["shows"])
    return asked.dataset()


def _checked_path(out) -> Path:
    """`out` as the path of a file that can be written; ConfigError otherwise."""
    if not isinstance(out, str | os.PathLike) or not str(out):
        raise ConfigError(f"out={out!r} is no name of a file. Try out='results/sweep.npz'.")
    path = Path(out)
    if path.suffix != ".npz":
        raise ConfigError(f"out={out} does not end in .npz. Try --out={path.with_suffix('.npz')}.")
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder. Name a file in it, such as --out={path / 'sweep.npz'}.")
    if not path.parent.is_dir():
        raise ConfigError(f"out={out} lies in a folder that does not exist. Make {path.parent}, or choose another.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        told = error.strerror or error
        raise ConfigError(f"out={out} lies in a folder that cannot be written to ({told}). Choose another.") from None
