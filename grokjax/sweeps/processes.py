"""Several processes, on one machine or many, that train one grid: who is who, who trains what, and the joining.

Runs never talk to each other, so all that processes share is a folder: each writes its runs there as a result of its
own, its part, and process 0 joins the parts. A process that dies takes nothing with it; started again by the same
command it goes on with its share, while the others keep theirs.
"""

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from grokjax import results
from grokjax.config import ConfigError
from grokjax.sweeps import collect, outputs, provenance
from grokjax.sweeps.engine import Group, Record
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.lock import owned

LAUNCHERS = {
    "SLURM": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "PMI": ("PMI_RANK", "PMI_SIZE"),
}
"""Environment variables by which what has started several processes tells each of them its number and their count."""

LOOK_SECONDS = 2.0
"""Between two looks of process 0 at the parts of the others."""


class Place(NamedTuple):
    """A process among those that share a sweep: its number, from 0, and their count."""

    number: int
    count: int


def find_place(process_id: int | None, num_processes: int | None, coordinator: str | None) -> Place:
    """Which process this is.

    Args:
      process_id, num_processes: as given; None to find out from what has started the process (`LAUNCHERS`).
      coordinator: address host:port at which `jax.distributed` is to meet, where devices need that all processes know
        of each other, such as a pod of TPUs; 'auto' to have it find out everything, None to do without.

    Raises:
      ConfigError: for numbers that do not fit, or a meeting that fails.
    """
    if (process_id is None) != (num_processes is None) and num_processes != 1:
        raise ConfigError("process_id and num_processes belong together. Give both, or neither.")
    if num_processes is not None:
        place = Place(process_id or 0, num_processes)
        if not (isinstance(place.number, int) and isinstance(place.count, int) and 0 <= place.number < place.count):
            raise ConfigError(
                f"process_id={process_id} of num_processes={num_processes} is out of range: processes are counted from "
                "0, and there is at least one."
            )
    else:
        place = _launched()
    if coordinator is None:
        return place
    try:
        if coordinator == "auto":
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(coordinator, place.count, place.number)
    except Exception as error:  # of addresses that are none come errors of several types
        why = str(error).strip().partition("\n")[0][:200]
        raise ConfigError(f"coordinator={coordinator} could not bring the processes together ({why}).") from None
    return Place(jax.process_index(), jax.process_count())


def _launched() -> Place:
    for number, count in LAUNCHERS.values():
        if number in os.environ and count in os.environ:
            return Place(int(os.environ[number]), int(os.environ[count]))
    return Place(0, 1)


def shared(groups: Sequence[Group], place: Place) -> list[Group]:
    """The groups with the runs that one of several processes trains; those without any are left out.

    Each process gets the same predicted work, as near as whole runs allow, in as few groups as may be: each is a
    program to compile and, on an accelerator, a bank to fill. A group's runs are dealt out in an order that does not
    depend on their settings, so that all who share it get runs of all kinds.

    Args:
      groups: of all runs that are to be trained.
      place: of the process.
    """
    total, done, mine = sum(group.work for group in groups), 0.0, []
    for group in groups:
        ours = set()
        for run in sorted(group.pending, key=lambda run: run.run_id):
            work = run.config.steps * group.step_work
            if min(place.count - 1, int((done + work / 2) / total * place.count)) == place.number:
                ours.add(run.run_id)
            done += work
        if ours:
            pending = collections.deque(run for run in group.pending if run.run_id in ours)
            mine.append(dataclasses.replace(group, pending=pending))
    return mine


class Parts:
    """The parts of a sweep, in a folder beside its result.

    Args:
      path: of the result.
      place: of this process.
    """

    def __init__(self, path: Path, place: Place):
        self.folder, self.place = path.with_suffix(".parts"), place
        self.seen: dict[Path, tuple[int, tuple[dict[str, Record], dict]]] = {}

    def path(self, number: int | None = None) -> Path:
        """Of the part of a process, which is itself a result; by default of this one."""
        return self.folder / f"{self.place.number if number is None else number}-of-{self.place.count}.npz"

    def check(self, overwrite: bool) -> None:
        """ConfigError if there are parts of another number of processes, or any that are to be overwritten."""
        counts = {path.name.partition(".")[0].rpartition("-")[2] for path in self.folder.glob("[0-9]*-of-*")}
        if overwrite and counts:
            raise ConfigError(f"{self.folder} holds parts of a sweep. Remove it, or go on without --overwrite.")
        if others := counts - {str(self.place.count)}:
            raise ConfigError(
                f"{self.folder} holds parts of a sweep by {min(others)} processes, and here there "
                f"{'is one' if self.place.count == 1 else f'are {self.place.count}'}. Go on with "
                f"--num_processes={min(others)}, or remove it."
            )

    def read(self) -> list[tuple[dict[str, Record], dict]]:
        """The records and the meta of each part that is there; what has not changed since the last time is not read."""
        for path in filter(Path.exists, map(self.path, range(self.place.count))):
            written = path.stat().st_mtime_ns
            if self.seen.get(path, (None, None))[0] != written:
                arrays, meta = results.read(path)
                self.seen[path] = written, (collect.to_records(arrays, meta), meta)
        return [found for _, found in self.seen.values()]

    def join(self, asked: Inventory, stop: threading.Event, tell: Callable[[str], None]) -> None:
        """Waits until all runs have ended in some part, and writes the result.

        Args:
          asked: of the whole sweep, with the records that were there before.
          stop: ends the waiting.
          tell: is given a sentence, whenever it changes, on what is waited for.
        """
        said, configs = "", asked.request.configs
        while not stop.is_set():
            parts = self.read()
            records = dict(asked.records)
            for found, _ in parts:
                records |= found
            left = len(set(configs) - set(records))
            if not left:
                self._write(asked, records, [meta for _, meta in parts])
                return
            text = f"Waiting for {left} of {len(configs)} runs, which the other processes have not ended."
            if text != said:
                tell(text)
                said = text
            stop.wait(LOOK_SECONDS)

    def _write(self, asked: Inventory, records: dict[str, Record], metas: Sequence[dict]) -> None:
        """Writes the result of all parts, and removes them."""
        with owned(asked.request.path):
            asked.replace(records, provenance.joined(metas, asked.trained_by))
            results.remove_unfinished(asked.request.params)
            asked.checkpoints.remove()
            self._remove()

    def _remove(self) -> None:
        """Removes all parts, and what was kept of them."""
        for _ in range(10):  # for some process may just be removing its own checkpoints
            outputs.remove(self.folder)
            if not self.folder.exists():
                break
            time.sleep(0.1)
