"""A sweep in shares: cut alike by all who train it, each share a part in a folder beside the result, and the joining.

    whoever comes first keeps the request in the folder: which runs are asked for, which of them are shared out
    a share: take the part's lock, read the part and its checkpoints, train what is missing
    whoever ends last: under the result's lock, write the result of all parts, and remove them

Runs never talk to each other, so the folder is all that is shared. Nobody waits for others: who ends, and is not the
last, says how many runs have not ended yet. What a share trained is kept in its part however its process ends.
"""

import base64
import collections
import dataclasses
import json
import pickle
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle

from grokjax import results
from grokjax.config import ConfigError, Execution
from grokjax.sweeps import collect, devices, forecast, outputs, provenance
from grokjax.sweeps.engine import Group, Record, make_groups
from grokjax.sweeps.identity import Run
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.lock import owned
from grokjax.sweeps.progress import Counts
from grokjax.sweeps.request import Request
from grokjax.sweeps.signals import Listening
from grokjax.sweeps.training import Training

REQUEST = "request.json"
"""The file of a folder of parts that says what is asked for."""


def cut(groups: Sequence[Group], count: int) -> list[list[Group]]:
    """The groups of each share, of which a share has those that it has runs of.

    Each share gets the same predicted work, as near as whole runs allow, in as few groups as may be: each is a program
    to compile and, on an accelerator, a bank to fill. A group's runs are dealt out in an order that does not depend on
    their settings, so that all who share it get runs of all kinds.

    Args:
      groups: of all runs that are to be trained.
      count: of the shares; some are empty where there are more of them than runs.
    """
    total, done = sum(group.work for group in groups), 0.0
    shares: list[list[Group]] = [[] for _ in range(count)]
    for group in groups:
        number_of = {}
        for run in sorted(group.pending, key=lambda run: run.run_id):
            work = run.config.steps * group.step_work
            number_of[run.run_id] = min(count - 1, int((done + work / 2) / total * count))
            done += work
        dealt = collections.defaultdict(collections.deque)
        for run in group.pending:
            dealt[number_of[run.run_id]].append(run)
        for number, pending in dealt.items():
            shares[number].append(dataclasses.replace(group, pending=pending))
    return shares


def runs_of(groups: Sequence[Group]) -> list[Run]:
    """The pending runs of some groups."""
    return [run for group in groups for run in group.pending]


class Kept(NamedTuple):
    """What whoever comes first keeps of a request, so that all cut the same runs and anybody may join the parts.

    Attributes:
      count: of the shares.
      asked: ids of all runs.
      shared: ids of those that the result lacked, which are shared out.
      trained_by: what the result's meta said then of who had trained it.
      versions: of what pickled the request.
      request: the grid, its runs, snapshots and description, pickled, in base 64; only `join_parts` unpickles it.
    """

    count: int
    asked: list[str]
    shared: list[str]
    trained_by: list[dict]
    versions: dict[str, str]
    request: str


class Parts:
    """The parts of a sweep, in a folder beside its result.

    Args:
      result: its path.
      count: of the shares.
    """

    def __init__(self, result: Path, count: int):
        self.result, self.folder, self.count = result, result.with_suffix(".parts"), count

    def path(self, number: int) -> Path:
        """Of the part of a share, which is itself a result."""
        return self.folder / f"{number}-of-{self.count}.npz"

    def counts(self, number: int) -> Path:
        """Of the file in which a share says how far it is."""
        return Counts.beside(self.path(number))

    @property
    def begun(self) -> bool:
        """Whether a share has begun, and the parts have not been joined since."""
        return (self.folder / REQUEST).exists()

    def check(self, overwrite: bool) -> None:
        """ConfigError if there are parts of another number of shares, or any that are to be overwritten."""
        counts = {path.name.partition(".")[0].rpartition("-")[2] for path in self.folder.glob("[0-9]*-of-*")}
        if self.begun:
            counts.add(str(self.kept().count))
        if overwrite and counts:
            raise ConfigError(f"{self.folder} holds parts of a sweep. Remove it, or go on without --overwrite.")
        if others := counts - {str(self.count)}:
            raise ConfigError(
                f"{self.folder} holds parts of a sweep in {min(others)} shares, and here there "
                f"{'is one' if self.count == 1 else f'are {self.count}'}. Go on with --num_processes={min(others)}, or "
                f"with an executor and --shares={min(others)}; or join them (grokjax join {self.result}) and remove it."
            )

    def kept(self) -> Kept | None:
        """What is kept of the request; None if there is nothing; ConfigError if it cannot be read."""
        try:
            return Kept(**json.loads((self.folder / REQUEST).read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"{self.folder / REQUEST} cannot be read ({type(error).__name__}). Remove it, and go on by the command "
                "of the sweep."
            ) from None

    def shared(self, whole: Inventory) -> list[Run]:
        """The runs that are shared out: those that the result lacked when the first share began.

        Args:
          whole: of all that is asked for; where shares have begun, it is left with the records of the other runs.

        Raises:
          ConfigError: if the parts are of another sweep.
        """
        if (kept := self.kept()) is None:
            return whole.missing()
        if set(kept.asked) != set(whole.request.configs):
            raise ConfigError(
                f"{self.folder} holds parts of a sweep of {len(kept.asked)} runs, which are not those asked for. Go "
                f"on by its command; or join them (grokjax join {self.result}) and remove it."
            )
        self._without(whole, kept)
        return whole.missing()

    def _without(self, whole: Inventory, kept: Kept) -> None:
        """Leaves an inventory with the records of the runs that are not shared out: the others are in the parts."""
        shared = set(kept.shared)
        if shared != set(kept.asked):  # else the result may be another, which is to be overwritten
            whole.read()
        whole.records = {run_id: record for run_id, record in whole.records.items() if run_id not in shared}

    def keep(self, whole: Inventory, shared: Sequence[Group]) -> None:
        """Makes the folder and keeps the request in it, unless that has been done; ConfigError if it cannot be."""
        outputs.claim(self.folder)
        if self.begun:
            return
        request = whole.request
        kept = Kept(
            count=self.count,
            asked=list(request.configs),
            shared=[run.run_id for run in runs_of(shared)],
            trained_by=whole.trained_by,
            versions=_versions(),
            request=base64.b64encode(
                pickled((request.grid, list(request.runs), request.snapshots, request.described))
            ).decode(),
        )
        content = json.dumps(kept._asdict()).encode()
        results.replace_file(self.folder / REQUEST, lambda stream: stream.write(content))

    def ended(self) -> int:
        """How many runs have ended, as the shares say."""
        found = [Counts.read(self.counts(number)) for number in range(self.count)]
        return sum(counts.ended for counts in found if counts)

    def read(self) -> list[tuple[dict[str, Record], dict]]:
        """The records and the meta of each part that is there."""
        found = []
        for path in filter(Path.exists, map(self.path, range(self.count))):
            arrays, meta = results.read(path)
            found.append((collect.to_records(arrays, meta), meta))
        return found

    def join(self, whole: Inventory, partial: bool = False) -> int:
        """Writes the result of all parts, which are then removed; of parts that lack runs, if those are asked for.

        Only for whom nobody else writes the result.

        Args:
          whole: of all that is asked for; has the records afterwards.
          partial: write a result that lacks runs too. The parts stay then.

        Returns:
          How many runs have not ended.
        """
        kept = self.kept()
        if kept is None:  # another has just joined them
            whole.read()
            return len(whole.missing())
        self._without(whole, kept)
        parts = self.read()
        for records, _ in parts:
            whole.records |= records
        missing = len(whole.missing())
        if parts and (partial or not missing):
            whole.replace(whole.records, provenance.joined([meta for _, meta in parts], kept.trained_by))
        if not missing:
            results.remove_unfinished(whole.request.params)
            whole.checkpoints.remove()
            self._remove()
        return missing

    def _remove(self) -> None:
        """Removes all parts, and what was kept of them."""
        for _ in range(10):  # for some process may just be removing its own checkpoints
            outputs.remove(self.folder)
            if not self.folder.exists():
                break
            time.sleep(0.1)


def train_share(part: Inventory, execution: Execution, listening: Listening) -> None:
    """Trains what a part lacks, and says beside it how far it is.

    Args:
      part: of the runs of a share; has them all afterwards.
      execution: lanes, devices, minutes between checkpoints.
      listening: to signals that end training.

    Raises:
      Taken: if another process trains this share.
      ConfigError: if a device has not the memory for it.
      Interrupted: once all is saved as far as it was.
    """
    path = part.request.path
    outputs.claim(path.parent)
    with owned(path):
        part.read()
        part.read_checkpoints()
        if part.complete:
            Counts(ended=len(part.request.configs)).write(Counts.beside(path))
            return
        where, groups = devices.local_devices(execution.num_devices), make_groups(part.missing())
        forecast.make(part.request.grid, part.request.runs, groups, where, execution.lanes)
        Training(part, execution, where, listening).train(groups)


def join_parts(path: Path) -> tuple[Inventory, int]:
    """Joins what parts there are of a sweep, by the request that is kept among them.

    Args:
      path: of the result.

    Returns:
      What the result holds, and how many of its runs have not ended.

    Raises:
      Taken: if another process writes the result.
      ConfigError: where there are no parts, or other versions have kept the request.
    """
    parts = Parts(path, 0)
    if (kept := parts.kept()) is None:
        raise ConfigError(f"{parts.folder} holds no parts of a sweep, so there is nothing to join.")
    parts.count = kept.count
    ours = _versions()
    if other := [f"{n} {v} ({ours.get(n)} here)" for n, v in kept.versions.items() if ours.get(n) != v]:
        raise ConfigError(
            f"{parts.folder} is of a sweep by {', '.join(other)}. Join it with these, or by the command of the sweep."
        )
    grid, runs, snapshots, described = pickle.loads(base64.b64decode(kept.request))
    request = Request.of(grid, runs, path, snapshots).described_as(described)
    whole = Inventory(request)
    with owned(path):
        return whole, parts.join(whole, partial=True)


def _versions() -> dict[str, str]:
    """Versions of what reads a pickle of a request."""
    return {"python": platform.python_version(), "cloudpickle": cloudpickle.__version__} | provenance.versions()


def pickled(what: Any) -> bytes:
    """Pickles runs, a user's code in them by value where it is not importable; ConfigError where that cannot be."""
    try:
        return cloudpickle.dumps(what)
    except Exception as error:  # of a user's objects come errors of a dozen types
        reason = str(error).strip().partition("\n")[0][:200]
        raise ConfigError(
            f"The runs cannot be sent to other processes, for something in them cannot be pickled "
            f"({type(error).__name__}: {reason}). Train them in one process, or leave it out."
        ) from None
