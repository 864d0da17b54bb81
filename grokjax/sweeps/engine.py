"""The queue of runs and the threads that train them, one per device."""

import collections
import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import numpy as np

from grokjax.runs import Program, RunValues, TableArrays
from grokjax.sweeps.devices import memory
from grokjax.sweeps.identity import Run
from grokjax.sweeps.lanes import Bank, Live, SavedRuns
from grokjax.sweeps.programs import compiled, started, state_bytes, step_operations
from grokjax.sweeps.tables import Tables
from grokjax.tasks.table import Table

ACCELERATOR_WIDTHS = (8, 32, 128, 512)
"""Lanes that are tried in turn on a device that is no CPU, unless a number is given."""

TIMED_CHUNKS = 2
"""Chunks over which each width is timed; the fastest counts."""

WORTHWHILE = 1.15
"""How many times as many run-steps a second a width must do as the one before for a wider one to be tried."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of a run.

    Attributes:
      steps: [evaluations] int64.
      metrics: [evaluations] float32 each, by name.
      status: 'finished', 'stopped' or 'diverged'; 'under way' where it has not ended.
      last_step: updates done.
    """

    steps: np.ndarray
    metrics: Mapping[str, np.ndarray]
    status: str
    last_step: int

    @classmethod
    def of(cls, live: Live) -> "Record":
        """Of a run that has been evaluated."""
        metrics = {name: live.curve(name) for name in live.names}
        return cls(live.schedule[: len(live.metrics)], metrics, live.status or "under way", live.step)


@dataclasses.dataclass
class Group:
    """Runs that share a compiled program and a table.

    Attributes:
      program: static.
      table: the task's examples.
      arrays: the same as the program reads it.
      values: of any of its runs, whose shapes are those of all.
      pending: runs not started, the longest budget first.
      banks: how many devices work on it.
    """

    program: Program
    table: Table
    arrays: TableArrays
    values: RunValues
    pending: collections.deque[Run]
    banks: int = 0

    @functools.cached_property
    def step_work(self) -> float:
        """Floating-point operations of a step in matrix products; of a model that does not say, roughly."""
        known = step_operations(self.program, self.arrays)
        # Three numbers are kept per parameter, four bytes each, and six operations done with it for each row.
        return known or self.program.batch_rows * state_bytes(self.program, self.values, self.arrays) / 2

    @property
    def work(self) -> float:
        """Operations of all steps that its pending runs may make: how long it will take."""
        return sum(run.config.steps for run in self.pending) * self.step_work


def make_groups(runs: Iterable[Run]) -> list[Group]:
    """Sorts runs into groups by the static part of their configuration; each table is built once.

    Raises:
      ConfigError: for a table that the machine cannot hold, a model that does not suit its table, or weights to start
        from that do not fit the model.
    """
    tables, members = Tables(), {}
    for run in runs:
        table = tables.of(run.config.task)
        program = Program.of(run.config, table, tuple(code.computes for code in run.code))
        members.setdefault((program, table), []).append(run)
    groups = [
        Group(
            program,
            table,
            TableArrays.of(table, program),
            RunValues.of(group[0].config),
            collections.deque(sorted(group, key=lambda run: -run.config.steps)),
        )
        for (program, table), group in members.items()
    ]
    for group in groups:
        for run in group.pending:
            started(group.program, group.values, group.arrays, run.config.start)  # which refuses what does not fit
    return groups


def widths(device: jax.Device, num_runs: int, lanes: int | None) -> tuple[int, ...]:
    """The numbers of lanes that a device may train a group by, rising; the first to begin with.

    Args:
      device: one lane is enough for a CPU, where a run alone fills a core.
      num_runs: of the group; more lanes would stay empty.
      lanes: the only one, if the user has said.
    """
    if lanes is not None:
        return (lanes,)
    if device.platform == "cpu":
        return (1,)
    return tuple(sorted({min(width, num_runs) for width in ACCELERATOR_WIDTHS}))


class Growth:
    """Decides by measurement how many lanes advance together: more, as long as that pays.

    The runs under way move into the wider bank, so nothing is trained for the measurement alone.

    Args:
      wider: the widths that may follow the first, rising.
    """

    def __init__(self, wider: Sequence[int]):
        self.wider, self.best, self.rates = collections.deque(wider), 0.0, []

    def next(self, run_steps: int, seconds: float) -> int | None:
        """The width to go on with after a chunk of this many run-steps; None for the present one."""
        if not self.wider:
            return None
        self.rates.append(run_steps / max(seconds, 1e-9))
        if len(self.rates) < TIMED_CHUNKS:
            return None
        rate, self.rates = max(self.rates), []
        if rate < WORTHWHILE * self.best:
            self.wider.clear()
            return None
        self.best = rate
        return self.wider.popleft()


class Observer:
    """Hears of everything that happens, from several threads; the base class ignores it."""

    def advanced(self, run_steps: int) -> None:
        """The lanes of a device advanced by this many steps, added over lanes."""

    def evaluated(self, live: Live, params: Callable[[], dict]) -> None:
        """A run was evaluated; its parameters are to be had at once, or not at all."""

    def ended(self, live: Live, params: dict) -> None:
        """A run ended, with these parameters."""

    def parked(self, bank: Bank) -> None:
        """A bank stands between two chunks."""

    def left(self, bank: Bank) -> None:
        """A device has done its part of a group by this bank, or was stopped."""


class Queue:
    """The runs that wait, from which the threads of several devices take.

    Args:
      groups: whose pending runs they are.
      kept: those that go on from where they were, by run id.
      stop: once it is set, there are none.
    """

    def __init__(self, groups: Sequence[Group], kept: Mapping[str, SavedRuns], stop: threading.Event):
        self.groups, self.kept, self.stop, self.lock = groups, kept, stop, threading.Lock()

    def join(self) -> Group | None:
        """The group that has most work left for each device on it, one more being counted; None if no run waits."""
        with self.lock:
            waiting = [group for group in self.groups if group.pending]
            if self.stop.is_set() or not waiting:
                return None
            group = max(waiting, key=lambda group: group.work / (1 + group.banks))
            group.banks += 1
            return group

    def leave(self, group: Group) -> None:
        """A device is done with a group."""
        with self.lock:
            group.banks -= 1

    def take(self, group: Group) -> Run | None:
        """The next run of a group; None if none waits."""
        with self.lock:
            return group.pending.popleft() if group.pending and not self.stop.is_set() else None


def serve(queue: Queue, group: Group, device: jax.Device, lanes: int | None, observer: Observer) -> None:
    """Trains runs of one group on one device until none waits: each lane of a bank whose run is done takes the next.

    Where the observer fails, it is handed what the bank holds before its error is raised.
    """

    def program(width):
        return compiled(group.program, group.values, group.arrays, width, device)

    def end(i):
        """Frees a lane whose run has ended."""
        if bank.lanes[i].status:
            observer.ended(bank.lanes[i], bank.params(i))
            bank.lanes[i] = None

    first, *wider = widths(device, max(1, len(group.pending)), lanes)
    growth, bank = Growth(wider), Bank(group.program, program(first), group.arrays, first, device)
    try:
        while not queue.stop.is_set():
            for i in range(len(bank.lanes)):
                while bank.lanes[i] is None and (run := queue.take(group)) is not None:
                    bank.put(i, run, queue.kept.get(run.run_id))
                    end(i)  # it may have been kept at its last step
            if all(lane is None for lane in bank.lanes):
                break
            begin = time.perf_counter()
            run_steps, evaluated = bank.advance()
            width = growth.next(run_steps, time.perf_counter() - begin) if group.pending else None
            observer.advanced(run_steps)
            for i in evaluated:
                observer.evaluated(bank.lanes[i], functools.partial(bank.params, i))
                end(i)
            if width and bank.memory * width / len(bank.lanes) <= memory(device):
                bank = bank.widened(program(width), width)
            observer.parked(bank)
    except BaseException:
        with contextlib.suppress(Exception):  # where a dispatch failed, the state is gone
            observer.left(bank)
        raise
    observer.left(bank)


def train(
    groups: Sequence[Group],
    devices: Sequence[jax.Device],
    lanes: int | None,
    observer: Observer,
    stop: threading.Event,
    kept: Mapping[str, SavedRuns],
    wait: Callable[[threading.Thread], None] = threading.Thread.join,
) -> None:
    """Trains every pending run of the groups, or those that end before `stop` is set.

    A thread per device fills a bank of lanes from one group, refills each lane whose run is done, and goes on to
    another group when none is left.

    Args:
      groups: by `make_groups`; their queues are emptied.
      devices: that train.
      lanes: per device; None: one on a CPU, elsewhere as many as `Growth` finds worthwhile and fit the memory.
      observer: hears of progress, and is given each run that ends.
      stop: set to end within a chunk, leaving runs under way unrecorded.
      kept: runs that go on from where they were, by run id.
      wait: joins a thread; lets the caller listen to signals meanwhile.

    Raises:
      Whatever a thread raised first, after the others have stopped.
    """
    queue, errors = Queue(groups, kept, stop), []

    def work(device):
        try:
            while (group := queue.join()) is not None:
                serve(queue, group, device, lanes, observer)
                queue.leave(group)
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        wait(thread)
    if errors:
        raise errors[0]
