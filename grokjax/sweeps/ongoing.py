"""One sweep as one process does it: what is there of it already, what it trains, and how that is told and saved."""

import collections
import datetime
import functools
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from grokjax import results
from grokjax.config import evaluated_steps
from grokjax.messages import say
from grokjax.sweeps import collect, devices, outputs, provenance
from grokjax.sweeps.checkpoints import Checkpoints, Keeper
from grokjax.sweeps.engine import Group, Observer, Record, train
from grokjax.sweeps.grid import Grid, Run, flat
from grokjax.sweeps.lanes import Bank, Held, Live
from grokjax.sweeps.progress import Meter
from grokjax.sweeps.signals import Interrupted, Listening


@functools.lru_cache
def snapshot_steps(eval_at: str, steps: int, count: int) -> tuple[int, ...]:
    """At most `count` of the steps at which a run is evaluated, evenly in the logarithm, 0 and the last among them."""
    if count < 2:
        return (steps,)[:count]
    schedule = evaluated_steps(eval_at, steps)
    spaced = np.geomspace(steps, schedule[1], count - 1) * (1 - 1e-9)  # none past the schedule's last
    return (0, *np.unique(schedule[np.searchsorted(schedule, spaced)]).tolist())


class Ongoing(Observer):
    """What has ended of some runs, what is under way, and how it is told and saved.

    Args:
      grid, runs: what is asked for.
      path: of the result; None if it is not written.
      params: the folder of parameters; None if none are.
      snapshots: that each run keeps at most.
      keeps: whether checkpoints outlive the sweep.
    """

    def __init__(
        self, grid: Grid, runs: Sequence[Run], path: Path | None, params: Path | None, snapshots: int, keeps: bool
    ):
        self.grid, self.runs, self.path, self.params = grid, runs, path, params
        self.snapshots, self.keeps = snapshots, keeps
        self.described = collect.described(grid, runs)
        self.configs = {run.run_id: run.config for run in runs}
        self.records: dict[str, Record] = {}
        self.result: tuple[dict, dict] | None = None
        self.seen: tuple[int, ...] | None = None
        self.held: dict[str, Held] = {}
        self.checkpoints = Checkpoints(path.with_suffix(".checkpoints")) if path else None
        self.is_part = False
        self.meter: Meter | None = None
        self.keeper: Keeper | None = None
        self.where: Sequence[jax.Device] = ()
        self.widths: set[int] = set()
        self.trained_by: list[dict] = []
        self.lock = threading.Lock()

    def part(self, path: Path, runs: Sequence[Run]) -> "Ongoing":
        """The same for some of its runs, which another process than that of the rest trains and writes to `path`."""
        part = Ongoing(*flat(self.grid, runs), path, self.params, self.snapshots, keeps=False)
        part.is_part = True
        part.held = {run_id: held for run_id, held in self.held.items() if run_id in part.configs}
        return part

    def take_up(self) -> None:
        """Takes up the runs that have ended, of this sweep or a part or the whole of it; ConfigError if of another.

        A result that has not changed since the last time is not read again.
        """
        if self.path is None or (seen := _version(self.path)) == self.seen:
            return
        self.seen = seen
        if self.path.exists():
            self.result = results.read(self.path)
            arrays, meta = self.result
            self.trained_by = meta.get("trained_by", [])
            begun = set(arrays["run_id"][arrays["status"] != "not run"].ravel().tolist())
            if not (begun <= set(self.configs) or set(self.configs) <= begun):
                collect.check_same_sweep(self.path, meta, self.described)
            records = collect.to_records(arrays, meta)
            self.records = {run_id: record for run_id, record in records.items() if self._has_snapshots(run_id, record)}

    def take_up_checkpoints(self) -> None:
        """Takes up the runs that were under way when an earlier process ended, where any run is missing."""
        if self.path is not None and not set(self.configs) <= set(self.records):
            held = self.checkpoints.read(self.runs, say)
            self.held |= {
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
        return all((self.params / f"{results.snapshot_name(run_id, step)}.npz").exists() for step in steps)

    def missing(self) -> list[Run]:
        """The runs that have not ended, those told the same as an earlier one left out."""
        distinct = {run.run_id: run for run in reversed(self.runs)}
        return [run for run in reversed(distinct.values()) if run.run_id not in self.records]

    def dataset(self) -> xr.Dataset:
        """What is asked for, under the names and in the order in which it is."""
        arrays, labels = collect.to_arrays(self.grid, self.runs, self.records)
        return results.to_dataset(arrays, dict(self.result[1]) | self.described | labels)

    def advanced(self, run_steps):
        self.meter.advanced(run_steps)

    def evaluated(self, live: Live, params):
        run_id = live.run.run_id
        if not live.status and live.step in self._snapshot_steps(run_id):  # at its end its parameters are kept anyway
            results.write_params(self.params, run_id, params(), step=live.step, final=False)
        self.meter.evaluated(live)

    def ended(self, live: Live, params):
        if self.path:
            results.write_params(self.params, live.run.run_id, params, step=live.step)
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

    def train(
        self,
        groups: Sequence[Group],
        listening: Listening,
        where: Sequence[jax.Device],
        lanes: int | None,
        shows: bool,
        seconds: float,
    ) -> None:
        """Trains the pending runs of some groups, those that are held first, and writes what has come of them.

        Args:
          groups: whose queues are emptied.
          listening: to signals that end training.
          where: the devices.
          lanes: per device, or None to measure.
          shows: whether to tell how it goes.
          seconds: between two times that all is saved as far as it is.

        Raises:
          Interrupted: once all is saved as far as it was.
        """
        self._prepare(groups, where, shows, seconds)
        listening.training = True
        try:
            train(groups, where, lanes, self, listening.stop, self.held, self._join)
        except KeyboardInterrupt:
            raise  # the second one, which ends at once
        except BaseException:
            kept = self._kept_so_far()
            say(f"Training failed. {kept}", self.path is not None and self.path.exists())
            raise
        finally:
            self.meter.close()
        if listening.heard and not set(self.configs) <= set(self.records):
            raise Interrupted(f"Interrupted. {self._kept_so_far()}", listening.heard[0])
        self.result = self._result(self.records, self._measured())
        if self.path:
            self._replace_result()
            (self.checkpoints.close if self.keeps else self.checkpoints.remove)()
            say(f"Wrote {self.path} ({len(self.runs)} runs) in {self.meter.seconds:.0f} s.", shows)

    def _prepare(self, groups: Sequence[Group], where, shows: bool, seconds: float) -> None:
        for group in groups:
            group.pending = collections.deque(sorted(group.pending, key=lambda run: run.run_id not in self.held))
        done = {run_id: one.lives[0].step for run_id, one in self.held.items()}
        budgets = [run.config.steps - done.get(run.run_id, 0) for group in groups for run in group.pending]
        if self.path:
            outputs.claim(self.params)
            results.remove_unfinished(self.path)
            if not self.is_part:  # of a part, others may just be writing there
                results.remove_unfinished(self.params)
            if not self.held:
                self.checkpoints.remove()
            self.keeper = Keeper(self.checkpoints, seconds, self.held, self._write, say)
        devices.say_other_pools([one for one in self.trained_by if one.get("platform") == "cpu"])
        if done:
            say(f"{len(done)} runs go on from a checkpoint, {sum(done.values()):,} run-steps done.", shows)
        self.where, self.meter = where, Meter(budgets, shows)

    def _join(self, thread: threading.Thread) -> None:
        """Waits for a thread, but in short turns, so that signals are heard and checkpoints taken."""
        while thread.is_alive():
            thread.join(0.1)
            if self.keeper:
                self.keeper.tick()

    def _keep(self) -> str:
        """Writes all there is before training ends too early; what went wrong, '' if nothing."""
        return self.keeper.write() or self.keeper.finish() if self.keeper else ""

    def _kept_so_far(self) -> str:
        """Says what a sweep that ends too early has saved, having saved it."""
        if not self.path:
            return "Nothing is saved, for there is no --out."
        wrong = self._keep()
        self.checkpoints.close()
        if wrong:
            return wrong
        ended = sum(run.run_id in self.records for run in self.runs)
        saved = f"{ended} of {len(self.runs)} runs are saved in {self.path}, those under way beside it"
        return f"{saved}; the same command continues."

    def _write(self, lives: Sequence[Live] = ()) -> None:
        """Writes the result with the runs that have ended and those under way, if any has been evaluated."""
        under_way = {live.run.run_id: Record.of(live) for live in lives if live.metrics}
        with self.lock:
            records = under_way | self.records
        if records:
            results.write(self.path, *self._result(records, self._measured()))

    def join(self, records: Mapping[str, Record], metas: Sequence[Mapping]) -> None:
        """Writes the result of several processes.

        Args:
          records: of all runs, by run id.
          metas: of the parts.
        """
        self.records = dict(records)
        told: dict[str, Any] = {}
        for name in ("versions", "commit", "device", "platform", "thread_pool"):
            different = list({json.dumps(meta[name]): meta[name] for meta in metas}.values())
            told[name] = different[0] if len(different) == 1 else different
        before = {name: sum(one[name] for one in self.trained_by) for name in ("wall_seconds", "run_steps")}
        told["wall_seconds"] = before["wall_seconds"] + max(meta["wall_seconds"] for meta in metas)
        told["run_steps"] = before["run_steps"] + sum(meta["run_steps"] for meta in metas)
        told["trained_by"] = [*self.trained_by, *(one for meta in metas for one in meta["trained_by"])]
        told["lanes"] = sorted({width for meta in metas for width in meta["lanes"]})
        self.result = self._result(self.records, told | {"processes": len(metas)})
        self._replace_result()
        results.remove_unfinished(self.params)
        self.checkpoints.remove()

    def _replace_result(self) -> None:
        """Writes the result, and reads it as everybody will."""
        results.write(self.path, *self.result)
        self.result = results.read(self.path)

    def _measured(self) -> dict[str, Any]:
        """What meta says of how it was trained: by this process, and, one by one, by all that had a hand in it."""
        mine = {
            "versions": provenance.versions(),
            "commit": provenance.commit(),
            "device": devices.describe(self.where),
            "platform": self.where[0].platform,
            "thread_pool": devices.thread_pool(),
            "lanes": sorted(self.widths),
            "wall_seconds": round(self.meter.seconds, 3),
            "run_steps": self.meter.run_steps,
        }
        trained_by = [*self.trained_by, mine]
        totals = {name: sum(one[name] for one in trained_by) for name in ("wall_seconds", "run_steps")}
        return mine | totals | {"trained_by": trained_by}

    def _result(self, records: Mapping[str, Record], measured: Mapping[str, Any]) -> tuple[dict, dict]:
        arrays, labels = collect.to_arrays(self.grid, self.runs, records)
        meta = self.described | labels | measured
        meta |= {
            "params": os.path.relpath(self.params, self.path.parent) if self.path else None,
            "precision": ",".join(sorted({run.config.precision for run in self.runs})),
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return arrays, meta


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes whenever a file is written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
