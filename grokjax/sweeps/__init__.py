"""MANY runs: from a grid of settings to a labelled result. The one place that maps over runs.

The room is called `sweeps` so that `grokjax.sweep` can be the function, whatever is imported first.
"""

import collections
import contextlib
import datetime
import functools
import math
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokjax import results
from grokjax.config import Config, ConfigError, evaluated_steps
from grokjax.sweeps import collect, devices, forecast
from grokjax.sweeps.checkpoints import Checkpoints, Keeper
from grokjax.sweeps.engine import Group, Observer, Record, make_groups, train
from grokjax.sweeps.grid import Grid, Run, make_grid
from grokjax.sweeps.lanes import Bank, Held, Live
from grokjax.sweeps.lock import owned
from grokjax.sweeps.progress import Meter

__all__ = ["Interrupted", "sweep"]

CHECKPOINT_MINUTES = 5.0
"""Between two checkpoints, unless told otherwise."""


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
    snapshots: int = 0,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    keep_checkpoints: bool = False,
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
      **values: settings by name. A scalar sets all runs, a sequence makes an axis, a mapping from labels to
        settings makes an axis of configurations; `num_seeds=5` is short for `seed=range(5)`.

    Returns:
      The dataset that `grokjax.load(out)` would give; None after a dry run.

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
    with owned(path) if path and not dry_run else contextlib.nullcontext():
        asked = _Sweep(grid, runs, collect.described(grid, runs), path, snapshots, keep_checkpoints)
        if not overwrite:
            asked.take_up()
        missing = [run for run in _distinct(runs) if run.run_id not in asked.records]
        if asked.result is not None and not missing:
            _say(f"{path} holds all {len(runs)} runs; nothing to train.", progress or dry_run)
            return None if dry_run else asked.of_result()
        where = devices.local_devices(num_devices)
        forecast.check_memory(missing, where)
        groups = make_groups(missing)
        plan = forecast.make(grid, runs, groups, where[:1] if dry_run else where, lanes)
        if dry_run:
            print(plan)
            return None
        return asked.train(groups, where, lanes, progress, 60 * checkpoint_minutes)


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


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """The runs without those told the same as an earlier one."""
    return list({run.run_id: run for run in reversed(runs)}.values())[::-1]


@functools.lru_cache
def snapshot_steps(eval_at: str, steps: int, count: int) -> tuple[int, ...]:
    """At most `count` of the steps at which a run is evaluated, evenly in the logarithm, 0 and the last among them."""
    if count < 2:
        return (steps,)[:count]
    schedule = evaluated_steps(eval_at, steps)
    spaced = np.geomspace(steps, schedule[1], count - 1) * (1 - 1e-9)  # none past the schedule's last
    return (0, *np.unique(schedule[np.searchsorted(schedule, spaced)]).tolist())


class _Sweep(Observer):
    """One sweep: what has ended, what is under way, and how it is told and saved.

    Args:
      grid, runs: what is asked for.
      described: the same for the result's meta.
      path: of the result; None if it is not written.
      snapshots: that each run keeps at most.
      keeps: whether checkpoints outlive the sweep.
    """

    def __init__(self, grid: Grid, runs: Sequence[Run], described, path: Path | None, snapshots: int, keeps: bool):
        self.grid, self.runs, self.described, self.path = grid, runs, described, path
        self.snapshots, self.keeps = snapshots, keeps
        self.configs = {run.run_id: run.config for run in runs}
        self.records: dict[str, Record] = {}
        self.result: tuple[dict, dict] | None = None
        self.held: dict[str, Held] = {}
        self.checkpoints = Checkpoints(path.with_suffix(".checkpoints")) if path else None
        self.widths: set[int] = set()
        self.lock = threading.Lock()

    def take_up(self) -> None:
        """Takes up what is there of this sweep, or of a part or the whole of it; ConfigError if it is of another."""
        if self.path is None:
            return
        if self.path.exists():
            self.result = results.read(self.path)
            arrays, meta = self.result
            begun = set(arrays["run_id"][arrays["status"] != "not run"].ravel().tolist())
            if not (begun <= set(self.configs) or set(self.configs) <= begun):
                collect.check_same_sweep(self.path, meta, self.described)
            records = collect.to_records(arrays, meta)
            self.records = {run_id: record for run_id, record in records.items() if self._has_snapshots(run_id, record)}
        if not set(self.configs) <= set(self.records):
            held = self.checkpoints.read(self.runs, lambda text: _say(text, True))
            self.held = {
                run_id: one
                for run_id, one in held.items()
                if run_id not in self.records and self._has_snapshots(run_id, Record.of(one.lives[0]))
            }

    def _snapshot_steps(self, run_id: str) -> tuple[int, ...]:
        if not self.snapshots:
            return ()
        config = self.configs[run_id]
        return snapshot_steps(config.eval_at, config.steps, self.snapshots)

    def _has_snapshots(self, run_id: str, record: Record) -> bool:
        """Whether all snapshots that a run should have kept so far are there."""
        if run_id not in self.configs:
            return True
        done = record.last_step + (record.status in results.UNFINISHED)
        steps = [step for step in self._snapshot_steps(run_id) if step < done]
        return all((self._params_folder / f"{results.snapshot_name(run_id, step)}.npz").exists() for step in steps)

    def of_result(self) -> xr.Dataset:
        """The part of the result taken up that is asked for, under the names and in the order in which it is."""
        arrays, labels = collect.to_arrays(self.grid, self.runs, self.records)
        return results.to_dataset(arrays, dict(self.result[1]) | self.described | labels)

    def advanced(self, run_steps):
        self.meter.advanced(run_steps)

    def evaluated(self, live: Live, params):
        run_id = live.run.run_id
        if not live.status and live.step in self._snapshot_steps(run_id):  # at its end its parameters are kept anyway
            results.write_params(self._params_folder, results.snapshot_name(run_id, live.step), params())
        self.meter.evaluated(live)

    def ended(self, live: Live, params):
        if self.path:
            results.write_params(self._params_folder, live.run.run_id, params)
        with self.lock:
            self.records[live.run.run_id] = Record.of(live)
        if self.keeper:
            self.keeper.ended(live.run.run_id)
        self.meter.end(live)

    def parked(self, bank: Bank):
        if self.keeper:
            self.keeper.parked(bank)

    def left(self, bank: Bank):
        with self.lock:
            self.widths.add(len(bank.lanes))
        if self.keeper:
            self.keeper.left(bank)

    @property
    def _params_folder(self) -> Path:
        return self.path.with_suffix(".params")

    def train(self, groups: Sequence[Group], where, lanes: int | None, shows: bool, seconds: float) -> xr.Dataset:
        """Trains the pending runs, those that are held first.

        What has come of them is saved every so many seconds, and also when interrupted or failing.
        """
        for group in groups:
            group.pending = collections.deque(sorted(group.pending, key=lambda run: run.run_id not in self.held))
        pending = [run for group in groups for run in group.pending]
        for written in (self.path, self._params_folder) if self.path else ():
            results.remove_unfinished(written)
        done = {run_id: one.lives[0].step for run_id, one in self.held.items()}
        if done:
            _say(f"{len(done)} runs go on from a checkpoint, {sum(done.values()):,} run-steps done.", shows)
        elif self.checkpoints:
            self.checkpoints.remove()
        self.where = where
        self.meter = Meter([run.config.steps - done.get(run.run_id, 0) for run in pending], shows)
        self.keeper = Keeper(self.checkpoints, seconds, self.held, self._write, self._tell) if self.path else None
        stop, signals = threading.Event(), []
        try:
            with _listening(stop, signals):
                train(groups, where, lanes, self, stop, self.held, self._join)
        except Exception:
            self._keep()
            raise
        finally:
            self.meter.close()
        ended = sum(run.run_id in self.records for run in self.runs)
        if signals and ended < len(self.runs):
            raise Interrupted(f"Interrupted. {self._kept_so_far(ended)}", signals[0])
        if not self.path:
            return results.to_dataset(*self._result())
        self._write()
        (self.checkpoints.close if self.keeps else self.checkpoints.remove)()
        _say(f"Wrote {self.path} ({len(self.runs)} runs) in {self.meter.seconds:.0f} s.", shows)
        return results.load(self.path)

    def _join(self, thread: threading.Thread) -> None:
        """Waits for a thread, but in short turns, so that signals are heard and checkpoints taken."""
        while thread.is_alive():
            thread.join(0.1)
            if self.keeper:
                self.keeper.tick()

    def _keep(self) -> str:
        """Writes all there is before training ends too early; what went wrong, '' if nothing."""
        return self.keeper.write() or self.keeper.finish() if self.keeper else ""

    def _kept_so_far(self, ended: int) -> str:
        """Says what an interrupted sweep has saved, having saved it."""
        if not self.path:
            return "Nothing is saved, for there is no --out."
        wrong = self._keep()
        self.checkpoints.close()
        if wrong:
            return wrong
        saved = f"{ended} of {len(self.runs)} runs are saved in {self.path}, those under way beside it"
        return f"{saved}; the same command continues."

    def _tell(self, text: str) -> None:
        _say(f"\n{text}", True)

    def _write(self, lives: Sequence[Live] = ()) -> None:
        """Writes the result with the runs that have ended and those under way, if any has been evaluated."""
        under_way = {live.run.run_id: Record.of(live) for live in lives if live.metrics}
        with self.lock:
            records = under_way | self.records
        if records:
            results.write(self.path, *self._result(records))

    def _result(self, records: Mapping[str, Record] | None = None):
        arrays, labels = collect.to_arrays(self.grid, self.runs, self.records if records is None else records)
        meta = self.described | labels
        meta |= {
            "params": self._params_folder.name if self.path else None,
            "versions": collect.versions(),
            "commit": collect.commit(),
            "device": devices.describe(self.where),
            "platform": self.where[0].platform,
            "precision": ",".join(sorted({run.config.precision for run in self.runs})),
            "thread_pool": os.environ.get(devices.THREAD_POOL),
            "lanes": sorted(self.widths),
            "wall_seconds": round(self.meter.seconds, 3),
            "run_steps": self.meter.run_steps,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return arrays, meta


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
