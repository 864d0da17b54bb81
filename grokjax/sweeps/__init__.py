"""MANY runs: from a grid of settings to a labelled result. The one place that maps over runs.

    lay out the grid, and find out what there is of it already
    if all runs have ended: return them
    while the result is ours alone, and signals are listened to:
        the missing runs, in groups that share a program; what they need
        dry run: print that
        an executor: have it train them in shares, and join those
        one of several processes: train a share of them; whoever ends last joins all
        otherwise: train them, and write the result

The room is called `sweeps` so that `grokjax.sweep` can be the function, whatever is imported first.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax import results
from grokjax.config import CHECKPOINT_MINUTES, SHARES, CautiousModel, Config, ConfigError, Execution, offers
from grokjax.messages import say, show
from grokjax.sweeps import code, collect, devices, executors, forecast, outputs, processes
from grokjax.sweeps.engine import Group, make_groups
from grokjax.sweeps.executors import ShareError
from grokjax.sweeps.grid import Grid, make_grid
from grokjax.sweeps.identity import Run
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.lock import Taken, owned
from grokjax.sweeps.processes import Place
from grokjax.sweeps.progress import Counted
from grokjax.sweeps.request import Request
from grokjax.sweeps.shares import Parts, cut, join_parts, runs_of, train_share
from grokjax.sweeps.signals import Interrupted, Listening
from grokjax.sweeps.training import Training

__all__ = ["Interrupted", "ShareError", "join", "sweep"]


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
    executor: Any = None,
    shares: int | None = None,
    address: str | None = None,
    **values: Any,
) -> xr.Dataset | None:
    """Trains a grid of runs and returns its labelled result.

    Args:
      config: one run; what `values` do not say.
      out: where to write the result, an .npz. Runs it holds already are not trained again, and those under way when an
        earlier sweep was interrupted go on; each run's final parameters are kept in a folder beside it. None: nothing
        is written.
      overwrite: replace what `out` holds.
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
        `out`; None: as what has started it says (SLURM, its arrays too, Open MPI, PMI), or alone.
      coordinator: host:port, or 'auto': have all processes meet by `jax.distributed` first, as pods of TPUs need.
      executor: trains shares of the sweep, in processes that see the folder of `out`: 'local' (processes of this
        machine, a core each), 'slurm' (jobs by submitit), 'dask' (the workers of a scheduler), or an object with the
        interface of `concurrent.futures.Executor`, which is left open. This process then trains nothing.
      shares: into how many the work of an executor is cut; None: 64.
      address: host:port of Dask's scheduler.
      **values: settings by name. A scalar sets all runs, a sequence makes an axis, a mapping from labels to
        settings makes an axis of configurations; `num_seeds=5` is short for `seed=range(5)`.

    Returns:
      The dataset that `grokjax.load(out)` would give; None after a dry run, and in all of several processes but the one
      that ends last.

    Raises:
      ConfigError: for a grid that cannot be run, naming what to change. Nothing has been written then.
      ResultError: if `out` cannot be read or written.
      Interrupted: after Ctrl-C, SIGTERM or SIGHUP; all runs are saved as far as they had come.
      ShareError: if shares of an executor failed; the others are kept, and the same call goes on.
    """
    execution = ready(
        out=out,
        overwrite=overwrite,
        dry_run=dry_run,
        lanes=lanes,
        num_devices=num_devices,
        progress=progress,
        snapshots=snapshots,
        checkpoint_minutes=checkpoint_minutes,
        keep_checkpoints=keep_checkpoints,
        process_id=process_id,
        num_processes=num_processes,
        coordinator=coordinator,
        executor=executor,
        shares=shares,
        address=address,
    )
    if not isinstance(config, Config):
        raise ConfigError(f"config is of type {type(config).__name__}. Pass a grokjax.Config.")
    grid = make_grid(config, values, zip)
    tell, many = functools.partial(say, aloud=execution.speaks), math.prod(grid.shape)
    runs = grid.runs(functools.partial(Counted, number=many, doing="laying out runs", tell=tell))
    return carry_out(grid, runs, execution)


def ready(**options: Any) -> Execution:
    """The options of a sweep, checked, once this process is ready for one; ConfigError for what cannot be."""
    devices.start()
    execution = Execution(**options)
    if execution.executor is not None:
        executors.ready(execution)
    return execution


def carry_out(grid: Grid, runs: Sequence[Run], execution: Execution) -> xr.Dataset | None:
    """Trains the runs of a grid that has been laid out; returns and raises as `sweep`."""
    many = Counted(runs, len(runs), "identifying runs", functools.partial(say, aloud=execution.speaks))
    for run in many:
        run.run_id  # noqa: B018  which is kept once it is known
    collect.check_names(grid, runs)
    request, place, parts = _placed(grid, runs, execution)
    inventory = Inventory(request)
    if _is_complete(inventory, parts, execution):  # which needs no right to write
        return None if execution.dry_run else inventory.dataset()
    if request.path:
        outputs.check(request.path, (".params", ".checkpoints", *([".parts"] if parts else [])))
    with Listening() as listening, _alone_with(request, place, execution):
        if _is_complete(inventory, parts, execution):  # by another process, meanwhile
            return None if execution.dry_run else inventory.dataset()
        groups = _missing(inventory, parts, execution)
        if parts and not execution.dry_run:
            if execution.executor is not None:
                parts.keep(inventory, groups)
                executors.train(inventory, parts, groups, execution, listening)
                parts.join(inventory)
                say(f"Wrote {request.path} ({len(request.runs)} runs) from {parts.count} shares.", execution.progress)
                return inventory.dataset()
            return _one_of_several(inventory, parts, place, groups, execution, listening)
        groups = cut(groups, place.count)[place.number]
        where, needs = _planned(inventory, groups, execution)
        if execution.dry_run:
            show(needs)
            return None
        Training(inventory, execution, where, listening).train(groups)
        return inventory.dataset()


def join(path: str | os.PathLike) -> xr.Dataset:
    """Joins the parts of a sweep in shares, whether or not all its runs have ended.

    Once all have ended, the parts are removed. Until then they stay, the others are 'not run', and the same sweep goes
    on with them. The runs are unpickled, which can run any code: join only what you trust.

    Args:
      path: of the result.

    Returns:
      The dataset that `grokjax.load(path)` would give.

    Raises:
      ConfigError: where there are no parts, where other versions of Python or of packages began the sweep, or if
        another process writes the result.
    """
    path = outputs.named(path)
    whole, missing = join_parts(path)
    total = len(whole.request.configs)
    if whole.meta is None:
        raise ConfigError(f"No run of {path} has ended yet, so there is nothing to join.")
    rest = f"; {missing} have not ended, and the command of the sweep goes on with them" if missing else ""
    say(f"Wrote {path} with {total - missing} of {total} runs{rest}.")
    return whole.dataset()


def _placed(grid: Grid, runs: Sequence[Run], execution: Execution) -> tuple[Request, Place, Parts | None]:
    """The runs with the file they are written to, which of several processes this is, and the parts of shares."""
    path = None if execution.out is None else outputs.named(execution.out)
    if path and path.exists() and not execution.overwrite:
        runs = _known_again(runs, path, execution.progress)
    if execution.snapshots and path is None and not execution.dry_run:
        raise ConfigError(
            f"snapshots={execution.snapshots} are kept beside the result, and there is no --out to write it to."
        )
    if execution.executor is not None:
        place, who, count = Place(0, 1), "The workers of an executor", execution.shares or SHARES
    else:
        place = processes.find_place(execution.process_id, execution.num_processes, execution.coordinator)
        who, count = f"{place.count} processes", place.count
    several = execution.executor is not None or place.count > 1
    if path is None and several:
        raise ConfigError(f"{who} share a folder, and there is no --out to say which.")
    parts = Parts(path, count) if path else None
    if parts:
        parts.check(execution.overwrite)
    return Request.of(grid, runs, path, execution.snapshots), place, parts if several else None


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


def _is_complete(inventory: Inventory, parts: Parts | None, execution: Execution) -> bool:
    """Whether all runs are in the result, which is read again if it has changed; says so if they are."""
    if parts and parts.begun:  # what is shared out is in the parts, whatever the result holds
        return False
    if not execution.overwrite:
        inventory.read()
    if inventory.meta is None or not inventory.complete:
        return False
    request = inventory.request
    _say_all(request.grid.notes)
    say(f"{request.path} holds all {len(request.runs)} runs; nothing to train.", execution.speaks)
    return True


def _alone_with(request: Request, place: Place, execution: Execution):
    """While inside, no other process writes the result; several that share it take turns only to join their parts."""
    writes = request.path and place.count == 1 and not execution.dry_run
    return owned(request.path) if writes else nullcontext()


def _missing(inventory: Inventory, parts: Parts | None, execution: Execution) -> list[Group]:
    """The runs that are to be trained or shared out, in groups; says what models have to say of them."""
    missing = parts.shared(inventory) if parts else inventory.missing()
    if not execution.overwrite:
        inventory.read_checkpoints()
    tell = functools.partial(say, aloud=execution.speaks)
    groups = make_groups(Counted(missing, len(missing), "grouping runs", tell))
    if caveat := _caveat(groups):
        tell(caveat)
    _say_all(inventory.request.grid.notes)
    return groups


def _planned(inventory: Inventory, groups: Sequence[Group], execution: Execution):
    """The devices, and what the groups need of them, to print."""
    where, request = devices.local_devices(execution.num_devices), inventory.request
    needs: Any = "Nothing is left for this process to train."
    if groups:
        compiled_for = where[:1] if execution.dry_run else where
        needs = forecast.make(request.grid, request.runs, groups, compiled_for, execution.lanes)
    return where, needs


def _caveat(groups: Sequence[Group]) -> str | None:
    """What models have to say of the tables they are to learn, in one line; None for nothing."""
    cautious = [group for group in groups if offers(group.program.model, CautiousModel)]
    found = [group.program.model.caveat(group.table) for group in cautious]
    found = list(dict.fromkeys(filter(None, found)))
    more = f" (The same holds for {len(found) - 1} more of this sweep's models and tasks.)" if len(found) > 1 else ""
    return found[0] + more if found else None


def _say_all(notes: Sequence[str]) -> None:
    for note in notes:
        say(note)


def _one_of_several(
    whole: Inventory, parts: Parts, place: Place, groups: Sequence[Group], execution: Execution, listening: Listening
) -> xr.Dataset | None:
    """Trains this process' share; if it is the last to end, joins all."""
    runs = runs_of(cut(groups, place.count)[place.number])
    if runs:  # there may be more processes than runs
        parts.keep(whole, groups)
        train_share(whole.part(parts.path(place.number), runs), execution, listening)
    total = sum(len(group.pending) for group in groups)
    left = total - parts.ended()
    try:
        if not left:
            with owned(whole.request.path):
                left = parts.join(whole)
        elif not parts.begun:  # another has joined them meanwhile
            whole.read()
            left = len(whole.missing())
    except Taken:
        say(f"Process {place.number} of {place.count} has ended; another joins the parts.", execution.progress)
        return None
    if left:
        text = f"Process {place.number} of {place.count} has done its share; {left} of {total} runs have not ended yet."
        say(f"{text} Whoever ends last joins them.", execution.progress)
        return None
    text = f"Wrote {whole.request.path} ({len(whole.request.runs)} runs) from {place.count} processes."
    say(text, execution.progress)
    return whole.dataset()
