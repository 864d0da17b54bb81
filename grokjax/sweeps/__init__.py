"""MANY runs: from a grid of settings to a labelled result. The one place that maps over runs.

The room is called `sweeps` so that `grokjax.sweep` can be the function, whatever is imported first.
"""

import datetime
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax import results
from grokjax.config import Config, ConfigError
from grokjax.sweeps import collect, devices, forecast
from grokjax.sweeps.engine import Group, Observer, Record, make_groups, train
from grokjax.sweeps.grid import Grid, Run, make_grid
from grokjax.sweeps.lanes import Live
from grokjax.sweeps.progress import Meter

__all__ = ["Interrupted", "sweep"]


class Interrupted(KeyboardInterrupt):
    """The sweep was told to end before it was done; what had ended is saved. Carries the signal's number."""

    def __init__(self, told: str, number: int):
        super().__init__(told)
        self.number = number


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
    **values: Any,
) -> xr.Dataset | None:
    """Trains a grid of runs and returns its labelled result.

    Args:
      config: one run; what `values` do not say.
      out: where to write the result, an .npz. Runs it holds already are not trained again; each run's final
        parameters are kept in a folder beside it. None: nothing is written.
      overwrite: start anew whatever `out` holds.
      dry_run: print what would be done and what it needs, and train nothing.
      lanes: runs that advance together on a device; None: 1 on a CPU, elsewhere as many as a measurement at the start
        finds worthwhile.
      num_devices: devices that train; None: all of this process.
      zip: groups of names whose values advance together, as one axis.
      progress: show it, on standard error.
      **values: settings by name. A scalar sets all runs, a sequence makes an axis, a mapping from labels to
        settings makes an axis of configurations; `num_seeds=5` is short for `seed=range(5)`.

    Returns:
      The dataset that `grokjax.load(out)` would give; None after a dry run.

    Raises:
      ConfigError: for a grid that cannot be run, naming what to change. Nothing has been written then.
      ResultError: if `out` cannot be read or written.
      Interrupted: after Ctrl-C or SIGTERM; the runs that had ended are saved.
    """
    for name, count in (("lanes", lanes), ("num_devices", num_devices)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ConfigError(f"{name}={count} is out of range: it must be a whole number of at least 1.")
    if not isinstance(config, Config):
        raise ConfigError(f"config is of type {type(config).__name__}. Pass a grokjax.Config.")
    grid = make_grid(config, values, zip)
    runs = grid.runs()
    collect.check_names(grid, runs)
    path = None if out is None else _checked_path(out)
    described = collect.described(grid, runs)
    kept, records = _kept(path, described, runs) if path and not overwrite else (None, {})
    missing = [run for run in _distinct(runs) if run.run_id not in records]
    if kept is not None and not missing:
        _say(f"{path} holds all {len(runs)} runs; nothing to train.", progress or dry_run)
        return None if dry_run else _asked_for(grid, runs, records, kept[1], described)
    where = devices.local_devices(num_devices)
    forecast.check_memory(missing, where)
    groups = make_groups(missing)
    plan = forecast.make(grid, runs, groups, where[:1] if dry_run else where, lanes)
    if dry_run:
        print(plan)
        return None
    return _Sweep(grid, runs, described, path, records, where, lanes).train(groups, progress)


def _say(text: str, aloud: bool) -> None:
    if aloud:
        print(text, file=sys.stderr, flush=True)


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


def _kept(path: Path, described, runs: Sequence[Run]) -> tuple[Any, dict[str, Record]]:
    """What a result at `path` holds, and its records, if all its runs are asked for or all asked for are there."""
    if not path.exists():
        return None, {}
    arrays, meta = results.read(path)
    records = collect.to_records(arrays, meta)
    asked = {run.run_id for run in runs}
    if not (set(records) <= asked or asked <= set(records)):
        collect.check_same_sweep(path, meta, described)
    return (arrays, meta), records


def _asked_for(grid: Grid, runs, records, meta, described) -> xr.Dataset:
    """The part of a result that is asked for, under the names and in the order in which it is."""
    arrays, labels = collect.to_arrays(grid, runs, records)
    return results.to_dataset(arrays, dict(meta) | described | labels)


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """The runs without those told the same as an earlier one."""
    return list({run.run_id: run for run in reversed(runs)}.values())[::-1]


class _Sweep(Observer):
    """One sweep under way: what has ended, and how it is told and saved."""

    def __init__(self, grid: Grid, runs, described, path, records, where, lanes):
        self.grid, self.runs, self.described, self.path = grid, runs, described, path
        self.records: dict[str, Record] = dict(records)
        self.devices, self.lanes = where, lanes
        self.widths: set[int] = set()
        self.meter: Meter | None = None
        self.lock = threading.Lock()

    def advanced(self, run_steps):
        self.meter.advanced(run_steps)

    def evaluated(self, live):
        self.meter.evaluated(live)

    def settled(self, lanes):
        with self.lock:
            self.widths.add(lanes)

    def ended(self, live: Live, params):
        if self.path:
            results.write_params(self._params_folder, live.run.run_id, params)
        with self.lock:
            self.records[live.run.run_id] = Record.of(live)
        self.meter.end(live)

    @property
    def _params_folder(self) -> Path:
        return self.path.with_suffix(".params")

    def train(self, groups: Sequence[Group], shows: bool) -> xr.Dataset:
        """Trains the pending runs and saves what has ended, also when interrupted or failing."""
        stop, signals = threading.Event(), []
        budgets = [run.config.steps for group in groups for run in group.pending]
        self.meter = Meter(budgets, shows)
        try:
            with _listening(stop, signals):
                train(groups, self.devices, self.lanes, self, stop, _join)
        finally:
            self.meter.close()
            arrays, meta = self._result()
            if self.path and self.records:
                results.write(self.path, arrays, meta)
        done = sum(run.run_id in self.records for run in self.runs)
        if signals and done < len(self.runs):
            saved = self.path and self.records
            kept = f"{done} of {len(self.runs)} runs are saved in {self.path}" if saved else "No run had ended to save"
            raise Interrupted(f"Interrupted. {kept}; the same command continues.", signals[0])
        if self.path:
            _say(f"Wrote {self.path} ({len(self.runs)} runs) in {self.meter.seconds:.0f} s.", shows)
        return results.load(self.path) if self.path else results.to_dataset(arrays, meta)

    def _result(self):
        arrays, labels = collect.to_arrays(self.grid, self.runs, self.records)
        meta = self.described | labels
        meta |= {
            "params": self._params_folder.name if self.path else None,
            "versions": collect.versions(),
            "commit": collect.commit(),
            "device": devices.describe(self.devices),
            "platform": self.devices[0].platform,
            "precision": ",".join(sorted({run.config.precision for run in self.runs})),
            "thread_pool": os.environ.get(devices.THREAD_POOL),
            "lanes": sorted(self.widths),
            "wall_seconds": round(self.meter.seconds, 3),
            "run_steps": self.meter.run_steps,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return arrays, meta


def _join(thread: threading.Thread) -> None:
    """Waits for a thread, but in short turns, so that signals are heard."""
    while thread.is_alive():
        thread.join(0.1)


class _listening:
    """While inside, SIGINT and SIGTERM set an event instead of ending the process; a second one ends it."""

    def __init__(self, stop: threading.Event, heard: list[int]):
        self.stop, self.heard, self.before = stop, heard, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._hear)

    def _hear(self, number, frame):
        self.heard.append(number)
        self.stop.set()
        for again, handler in self.before.items():
            signal.signal(again, handler)
        print("\nEnding after the steps under way; once more ends at once.", file=sys.stderr, flush=True)

    def __exit__(self, *exception):
        for number, handler in self.before.items():
            signal.signal(number, handler)
