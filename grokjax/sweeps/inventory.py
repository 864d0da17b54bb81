"""What there is already of the runs that a sweep is asked for: ended ones in its result, others in a checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax import results
from grokjax.messages import say
from grokjax.sweeps import collect
from grokjax.sweeps.checkpoints import Checkpoints
from grokjax.sweeps.engine import Record
from grokjax.sweeps.identity import Run
from grokjax.sweeps.lanes import SavedRuns
from grokjax.sweeps.request import Request


class Inventory:
    """The runs of a request that have ended, and those that were under way when an earlier process ended.

    Attributes:
      request: what is asked for.
      records: of the runs that have ended, by run id; of others than those asked for too, if the result has them.
      held: runs under way, by run id.
      meta: of the result; None if there is none.
      checkpoints: beside the result; None if it is not written.
    """

    def __init__(self, request: Request):
        self.request = request
        self.records: dict[str, Record] = {}
        self.held: dict[str, SavedRuns] = {}
        self.meta: dict[str, Any] | None = None
        self.checkpoints = Checkpoints(request.path.with_suffix(".checkpoints")) if request.path else None
        self._seen: tuple[int, ...] | None = None

    def part(self, path: Path, runs: Sequence[Run]) -> "Inventory":
        """That of some of the runs, which another process than that of the rest trains and writes to `path`."""
        part = Inventory(self.request.part(path, runs))
        part.held = {run_id: held for run_id, held in self.held.items() if run_id in part.request.configs}
        return part

    @property
    def complete(self) -> bool:
        """Whether all runs have ended."""
        return set(self.request.configs) <= set(self.records)

    @property
    def trained_by(self) -> list[dict]:
        """What meta says of each process that has trained runs of the result."""
        return (self.meta or {}).get("trained_by", [])

    def missing(self) -> list[Run]:
        """The runs that have not ended, each once where several are the same."""
        distinct = {run.run_id: run for run in reversed(self.request.runs)}
        return [run for run in reversed(distinct.values()) if run.run_id not in self.records]

    def read(self) -> None:
        """Reads the runs that have ended from the result; ConfigError if it holds another sweep.

        The result may be one of this sweep, of a part of it, or of more. If it has not changed since the last time, it
        is not read again.
        """
        path, configs = self.request.path, self.request.configs
        if path is None or (seen := _version(path)) == self._seen:
            return
        self._seen = seen
        if not path.exists():
            return
        arrays, self.meta = results.read(path)
        begun = set(arrays["run_id"][arrays["status"] != "not run"].ravel().tolist())
        if not (begun <= set(configs) or set(configs) <= begun):
            collect.check_same_sweep(path, self.meta, self.request.described)
        records = collect.to_records(arrays, self.meta)
        self.records = {run_id: record for run_id, record in records.items() if self._has_snapshots(run_id, record)}

    def read_checkpoints(self) -> None:
        """Reads the runs that were under way when an earlier process ended, where any run is missing."""
        if self.request.path is None or self.complete:
            return
        held = self.checkpoints.read(self.request.runs, say)
        self.held |= {
            run_id: one
            for run_id, one in held.items()
            if run_id not in self.records and self._has_snapshots(run_id, Record.of(one.lives[0]))
        }

    def _has_snapshots(self, run_id: str, record: Record) -> bool:
        """Whether all snapshots that a run should have kept so far are there."""
        if run_id not in self.request.configs:
            return True
        done = record.last_step + (record.status in results.UNFINISHED)
        steps = [step for step in self.request.snapshot_steps(run_id) if step < done]
        return all((self.request.params / f"{results.snapshot_name(run_id, step)}.npz").exists() for step in steps)

    def replace(self, records: Mapping[str, Record], trained: Mapping[str, Any]) -> None:
        """Takes the records of all runs and writes the result, which is then read as everybody will read it.

        Args:
          records: by run id.
          trained: what meta says of how they were trained.
        """
        self.records = dict(records)
        arrays, self.meta = self.request.result(self.records, trained)
        if self.request.path:
            results.write(self.request.path, arrays, self.meta)
            _, self.meta = results.read(self.request.path)

    def dataset(self) -> xr.Dataset:
        """What is asked for, under the names and in the order in which it is."""
        arrays, labels = collect.to_arrays(self.request.grid, self.request.runs, self.records)
        return results.to_dataset(arrays, self.meta | self.request.described | labels)


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes whenever a file is written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
