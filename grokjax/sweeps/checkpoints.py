"""What a sweep's lanes hold, on disk: a process that is killed loses minutes at most.

The runs that have ended are in the result itself, and their parameters beside it. A checkpoint holds the others: per
run its state, whose step is its place in every random stream, and what has been measured of it. The queue is what
remains of the runs asked for.
"""

import contextlib
import hashlib
import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from grokjax.config import ConfigError
from grokjax.results import ResultError
from grokjax.sweeps import outputs
from grokjax.sweeps.identity import Run
from grokjax.sweeps.lanes import Bank, Live, SavedRuns
from grokjax.sweeps.provenance import versions

SCHEMA = 1
"""Of what a checkpoint holds; another is refused."""

KEPT = 2
"""Checkpoints that are kept: the last, and the one before in case that one cannot be read."""

COSTLIEST = 0.02
"""Share of the time that checkpoints may take: where they are slow, they become rarer."""

_ANEW = "start the runs under way again; those that have ended are in the result"


class Checkpoints:
    """The checkpoints of one sweep, in a folder beside its result.

    Each is one of Orbax's: the arrays, of each bank together, and a JSON text that says what they are, with their
    checksums and its own.

    Args:
      folder: made when the first one is written.
    """

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self._manager: ocp.CheckpointManager | None = None

    def _opened(self, read_only: bool = False) -> ocp.CheckpointManager:
        _quieten_orbax()
        me = jax.process_index()  # where several processes know of each other, each writes its own all the same
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
            create=not read_only and jax.process_count() == 1,
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me)
            )
            if jax.process_count() > 1
            else ocp.options.MultiprocessingOptions(),
        )
        return ocp.CheckpointManager(self.folder, options=options, item_names=("arrays", "told"))

    def save(self, banks: Sequence[SavedRuns]) -> None:
        """Begins to write a checkpoint of what some banks held; `finish` waits for it."""
        arrays, told = {}, []
        for b, held in enumerate(banks):
            arrays |= {f"{b}-{i}": leaf for i, leaf in enumerate(held.state.values())}
            measured = [np.concatenate(live.metrics) for live in held.lives if live.metrics]
            arrays[f"{b}-metrics"] = np.concatenate([np.zeros(0, np.float32), *measured])
            runs = [(live.run.run_id, live.step, len(live.metrics), live.names) for live in held.lives]
            told.append({"runs": runs, "paths": list(held.state)})
        described = {name: (array.dtype.name, array.shape, _digest(array)) for name, array in arrays.items()}
        text = json.dumps({"versions": versions(), "banks": told, "arrays": described})
        if self._manager is None:
            outputs.claim(self.folder)
            self._manager = self._opened()
        manager = self._manager
        manager.save(
            (manager.latest_step() or 0) + 1,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave({name: array for name, array in arrays.items() if array.size}),
                told=ocp.args.JsonSave({"schema": SCHEMA, "text": text, "digest": _digest(text)}),
            ),
        )

    def finish(self) -> None:
        """Waits until what was begun is written; raises what Orbax raises if it could not be."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    def saving(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._manager is not None and self._manager.is_saving_in_progress()

    def read(self, runs: Iterable[Run], tell: Callable[[str], None]) -> dict[str, SavedRuns]:
        """The runs that were under way at the last checkpoint, each alone, by run id; nothing if there is none.

        Args:
          runs: that are asked for.
          tell: is given a sentence on a checkpoint that cannot be read, where the one before can.

        Raises:
          ConfigError: for a checkpoint of another version or of runs that are not asked for, or if there are some and
            none can be read.
        """
        if not self.folder.is_dir():
            return {}
        with contextlib.closing(self._opened(read_only=True)) as manager:
            return self._read_last(manager, {run.run_id: run for run in runs}, tell)

    def _read_last(self, manager: ocp.CheckpointManager, asked: Mapping[str, Run], tell) -> dict[str, SavedRuns]:
        damage = ""
        for step in sorted(manager.all_steps(), reverse=True):
            try:
                told, arrays = self._read(manager, step)
            except ConfigError:
                raise
            except Exception as error:  # of damaged files come errors of a dozen types
                damage = f"The checkpoint {self.folder / str(step)} cannot be read ({_reason(error)})"
                tell(f"{damage}. The one before is tried.")
                continue
            if others := [run[0] for bank in told["banks"] for run in bank["runs"] if run[0] not in asked]:
                raise ConfigError(
                    f"{self.folder} holds {len(others)} runs under way that are not asked for. Choose another --out, "
                    "ask for all of its sweep and more, or --overwrite it."
                )
            return _runs(told["banks"], arrays, asked)
        if damage:
            raise ConfigError(f"{damage}, nor can another. Remove {self.folder} to {_ANEW}.")
        return {}

    def _read(self, manager: ocp.CheckpointManager, step: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `save` has written, text and arrays; ConfigError if it is of another version, ValueError if damaged."""
        wrapped = manager.restore(step, args=ocp.args.Composite(told=ocp.args.JsonRestore()))["told"]
        if wrapped["schema"] != SCHEMA:
            raise ConfigError(
                f"{self.folder} holds a checkpoint of schema {wrapped['schema']!r}, and this version of grokjax reads "
                f"schema {SCHEMA}. Go on with the version that wrote it, or remove the folder to {_ANEW}."
            )
        if _digest(wrapped["text"]) != wrapped["digest"]:
            raise ValueError("its text is not what was written")
        told, ours = json.loads(wrapped["text"]), versions()
        if told["versions"] != ours:
            other = ", ".join(f"{n} {v} ({ours.get(n)} here)" for n, v in told["versions"].items() if ours.get(n) != v)
            raise ConfigError(
                f"{self.folder} holds a checkpoint written with {other}, and a run is trained by one version from its "
                f"first step to its last. Go on with that, or remove the folder to {_ANEW}."
            )
        empty = {name: np.zeros(shape, dtype) for name, (dtype, shape, _) in told["arrays"].items()}
        stored = {name: array for name, array in empty.items() if array.size}
        found = manager.restore(step, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(stored)))["arrays"]
        arrays = empty | {name: np.asarray(array) for name, array in found.items()}
        for name, (dtype, shape, digest) in told["arrays"].items():
            array = arrays[name]
            if (array.dtype.name, list(array.shape), _digest(array)) != (dtype, shape, digest):
                raise ValueError(f"the values of its array {name} are not what was written")
        return told, arrays

    def close(self) -> None:
        """Ends with what was begun written, or removed if it could not be."""
        if self._manager is not None:
            with contextlib.suppress(Exception):  # who wants it written calls `finish`
                self._manager.close()
            self._manager = None
            for half in self.folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(half, ignore_errors=True)

    def remove(self) -> None:
        """Removes all of them; there may be none."""
        self.close()
        outputs.remove(self.folder)


def _runs(banks: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray], asked: Mapping[str, Run]):
    """The runs of a checkpoint's banks, each alone, by run id."""
    held = {}
    for b, bank in enumerate(banks):
        left = arrays[f"{b}-metrics"]
        lives = []
        for run_id, step, evaluations, names in bank["runs"]:
            mine, left = np.split(left, [evaluations * len(names)])
            live = Live.of(asked[run_id])
            live.step, live.names, live.metrics = step, tuple(names), list(mine.reshape(evaluations, -1))
            lives.append(live)
        together = SavedRuns(lives, {path: arrays[f"{b}-{i}"] for i, path in enumerate(bank["paths"])})
        held |= {live.run.run_id: together.of(i) for i, live in enumerate(lives)}
    return held


def _together(alone: Iterable[SavedRuns]) -> list[SavedRuns]:
    """Runs held alone, those of one form stacked."""
    alike: dict[Any, list[SavedRuns]] = {}
    for held in alone:
        form = tuple((path, leaf.shape, leaf.dtype) for path, leaf in held.state.items())
        alike.setdefault(form, []).append(held)
    return [
        SavedRuns(
            [held.lives[0] for held in members],
            {path: np.concatenate([held.state[path] for held in members]) for path in members[0].state},
        )
        for members in alike.values()
    ]


def _quieten_orbax() -> None:
    """Drops what Orbax prints of errors that are raised too, and are said in a sentence here."""
    logging.getLogger("absl").addFilter(_not_of_orbax)
    before = sys.unraisablehook
    if getattr(before, "drops_closed_loops", False):
        return

    def hook(unraisable):
        # Where one write fails, as on a full disk, Orbax closes the event loop that its other writes then report to.
        closed = isinstance(unraisable.exc_value, RuntimeError) and str(unraisable.exc_value) == "Event loop is closed"
        if not (closed and unraisable.object is None):
            before(unraisable)

    hook.drops_closed_loops = True
    sys.unraisablehook = hook


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Whether something else logs: Orbax logs every file, and errors that are said in a sentence here."""
    return "orbax" not in record.pathname


def _digest(content: str | np.ndarray) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content.tobytes()).hexdigest()


def _reason(error: Exception) -> str:
    """The first line of what an error says, with its type."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


class Keeper:
    """Asks the banks of a sweep, every so often, for what they hold, and has it written.

    Banks are asked between two chunks, each by its own thread; the rest is the main thread's.

    Args:
      checkpoints: where to.
      seconds: between two of them.
      kept: the runs that an earlier process had under way, by run id; each is written until a bank holds it.
      write_result: writes the result so far, given the runs under way. It is called before each checkpoint, so that a
        run is in one of them.
      tell: is given a sentence on what could not be written.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        seconds: float,
        kept: dict[str, SavedRuns],
        write_result: Callable[[Sequence[Live]], None],
        tell: Callable[[str], None],
    ):
        self.checkpoints, self.seconds, self.kept = checkpoints, seconds, kept
        self.write_result, self.tell = write_result, tell
        self.wanted, self.asking = 0, False
        self.held: dict[int, tuple[int, SavedRuns]] = {}
        self.lock = threading.Lock()
        self.due = time.monotonic() + seconds

    def parked(self, bank: Bank) -> None:
        """The thread of a bank stands between two chunks."""
        thread = threading.get_ident()
        if self.held.get(thread, (-1, None))[0] < self.wanted:
            self._hold(thread, bank)

    def left(self, bank: Bank) -> None:
        """The thread of a bank has done with it, perhaps with runs under way."""
        self._hold(threading.get_ident(), bank)

    def _hold(self, thread: int, bank: Bank) -> None:
        held = bank.held()
        with self.lock:
            if held.lives:
                self.held[thread] = self.wanted, held
            else:
                self.held.pop(thread, None)

    def ended(self, run_id: str) -> None:
        """A run has ended."""
        with self.lock:
            self.kept.pop(run_id, None)

    def tick(self) -> None:
        """Called by the main thread, often: asks, and once all have answered, begins to write."""
        if not self.asking and time.monotonic() >= self.due and not self.checkpoints.saving():
            self.wanted, self.asking = self.wanted + 1, True
        if self.asking:
            with self.lock:
                answered = all(generation == self.wanted for generation, _ in self.held.values())
            if answered:
                begin = time.monotonic()
                if wrong := self.write():
                    self.tell(wrong)
                took = time.monotonic() - begin
                self.asking, self.due = False, time.monotonic() + max(self.seconds, took / COSTLIEST)

    def write(self) -> str:
        """Writes the result so far, and begins to write what the banks held when they were last asked.

        Returns:
          A sentence on what went wrong; '' if nothing did. What was written before is still there then.
        """
        with self.lock:
            banks = [held for _, held in self.held.values()]
            for live in (live for held in banks for live in held.lives):
                self.kept.pop(live.run.run_id, None)
            banks += _together(self.kept.values())
        try:
            self.write_result([live for held in banks for live in held.lives])
            self.checkpoints.finish()
            if banks:
                self.checkpoints.save(banks)
        except Exception as error:  # of full disks and lost folders come errors of several types
            return self._failed(error)
        return ""

    def finish(self) -> str:
        """Waits for what `write` has begun; as there, what went wrong."""
        try:
            self.checkpoints.finish()
        except Exception as error:
            return self._failed(error)
        return ""

    def _failed(self, error: Exception) -> str:
        self.checkpoints.close()
        if isinstance(error, ResultError):  # which tells it in a sentence
            return f"No checkpoint could be taken: {error}"
        return f"No checkpoint could be written ({_reason(error)}). What was written before is untouched."
