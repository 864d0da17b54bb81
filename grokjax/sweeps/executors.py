"""Shares of a sweep on an engine that places them: anything with the interface of `concurrent.futures.Executor`.

    keep the request in the folder of parts
    submit every share that has not ended, the longest first
    until all are done: sum up what they say, and show it
    the last of them joins the parts; where that is not the caller, it may have ended long before

The process that calls trains nothing. The engine queues shares and starts them again where
their machine died; an exception in training is no such death, and is told at the end.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax

from grokjax.config import ConfigError, Execution, imported
from grokjax.sweeps import devices, shares
from grokjax.sweeps.engine import Group
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.lock import Taken
from grokjax.sweeps.progress import Summed
from grokjax.sweeps.shares import Parts
from grokjax.sweeps.signals import Interrupted, Listening

LOOK_SECONDS = 0.5
"""Between two looks at which shares are done."""

SLURM_MINUTES = 24 * 60
"""Asked for a job unless the environment variable SBATCH_TIMELIMIT says otherwise; a job that is ended is requeued."""

_training = threading.Lock()
"""SavedRuns while a share is trained: one at a time in a process, on all devices that it may use."""

_ending = threading.Event()
"""Set in a process of this machine that trains shares once it is to end."""

_stops: set[threading.Event] = set()
"""Of the shares that this process trains."""


class ShareError(RuntimeError):
    """Some shares of a sweep failed. What the others trained is kept, and the same command goes on."""


class Outcome(NamedTuple):
    """What a share has come to: how many of its runs have not ended, and why; '' where it was asked to end."""

    missing: int
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Share:
    """One share as a call without arguments, which any process can make that sees the folder of the result.

    Attributes:
      content: the part's request, its runs with their ids and code, those held by a checkpoint of the whole, how to
        train them, and into how many shares the sweep is cut; pickled, so that every engine can carry it.
      places: where the caller finds modules, for code that is pickled by name.
    """

    content: bytes
    places: tuple[str, ...]

    @classmethod
    def of(cls, part: Inventory, execution: Execution, count: int) -> "Share":
        """The share that trains what a part lacks."""
        content = shares.pickled((part.request, part.held, execution, count))
        return cls(content, tuple(os.path.abspath(place) for place in sys.path))

    def __call__(self) -> Outcome:
        """Trains the share, and joins the parts if it is the last to end and nobody waits to do so."""
        sys.path.extend(place for place in self.places if place not in sys.path)
        devices.start()
        request, held, execution, count = pickle.loads(self.content)
        part = Inventory(request)
        part.held = held
        try:
            with _training, Listening() as listening, _stoppable(listening.stop):
                shares.train_share(part, execution, listening)
        except Interrupted:
            return Outcome(len(part.missing()))
        except Exception as error:  # of a user's code come errors of any type, which might not be picklable
            traceback.print_exc()
            return Outcome(len(part.missing()), _reason(error))
        parts = Parts(request.path.parent.with_suffix(".npz"), count)
        kept = parts.kept()
        if kept is not None and parts.ended() == len(kept.shared):
            with contextlib.suppress(Taken):  # by the caller, who joins them, or by another share
                shares.join_parts(parts.result)
        return Outcome(0)

    def checkpoint(self) -> Any:
        """What submitit submits again when SLURM ends a job: the same, which goes on from its checkpoints."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def ready(execution: Execution) -> None:
    """Readies the process that has an executor train: under an executor's name it starts no accelerator.

    A user's code is lowered here, for which JAX starts its devices. An executor of the user's own may train in this
    very process, so that JAX is left alone.

    Raises:
      ConfigError: in a process of this machine that has begun to call what it was to import.
    """
    if isinstance(execution.executor, str):
        jax.config.update("jax_platforms", "cpu")
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself knows it
        raise ConfigError(
            "executor=local starts processes that import the script. Call gj.sweep under if __name__ == '__main__':, "
            "so that they do not call it again."
        )


def train(whole: Inventory, parts: Parts, groups: Sequence[Group], execution: Execution, listening: Listening) -> None:
    """Has an executor train the shares of a sweep; their parts are to be joined afterwards.

    Args:
      whole: of all that is asked for.
      parts: of the sweep.
      groups: of all runs that are shared out.
      execution: with an executor.
      listening: to signals, by which shares that have not begun are cancelled.

    Raises:
      ShareError: where shares failed, once the others are done.
      Interrupted: after a signal.
    """
    waiting = _waiting(whole, parts, groups, execution)
    for one in waiting:
        one.counts.unlink(missing_ok=True)  # from now on it says that the share has begun
    with _opened(execution, whole.request.path) as executor:
        listening.training = True
        left = _submitted(executor, waiting)
        meter, failed = Summed({one.counts: one.budgets for one in waiting}, execution.progress), []
        try:
            while left and not listening.stop.wait(LOOK_SECONDS):
                for future in [future for future in left if future.done()]:
                    if reason := _failure(future):
                        failed.append(f"{left[future].stem}: {reason}")
                    del left[future]
                meter.look()
        finally:
            meter.close()
            if left:
                _cancel(left)
    ended, total = len(whole.request.configs) - len(whole.missing()) + parts.ended(), len(whole.request.configs)
    on = (
        f"{ended} of {total} runs have ended and are kept in {parts.folder}; the same command goes on, and `grokjax "
        f"join {parts.result}` writes a result of what there is."
    )
    if left:
        raise Interrupted(f"Interrupted; shares that had not begun are cancelled. {on}", listening.number)
    if failed:
        raise ShareError(f"{len(failed)} of {len(waiting)} shares failed, the first of them {failed[0]}. {on}")


def _submitted(executor: Any, waiting: Sequence["Waiting"]) -> dict[Any, Path]:
    """The future of each share, with its file of counts; ShareError if the executor does not take them."""
    try:
        with getattr(executor, "batch", contextlib.nullcontext)():  # submitit's, which makes one array of them
            return {executor.submit(one.share): one.counts for one in waiting}
    except Exception as error:  # of engines come errors of several types
        raise ShareError(f"The executor takes no shares ({_reason(error)}). The same command tries again.") from error


class Waiting(NamedTuple):
    """A share that is to be submitted.

    Attributes:
      share: the call.
      work: predicted, in operations.
      counts: the file in which it says how far it is.
      budgets: steps that each of its runs may take.
    """

    share: Share
    work: float
    counts: Path
    budgets: list[int]


def _waiting(whole: Inventory, parts: Parts, groups: Sequence[Group], execution: Execution) -> list[Waiting]:
    """The shares that have runs which have not ended, the longest first."""
    ended = {run_id for records, _ in parts.read() for run_id in records}
    waiting = []
    for number, of_share in enumerate(shares.cut(groups, parts.count)):
        runs = shares.runs_of(of_share)
        if any(run.run_id not in ended for run in runs):
            part = whole.part(parts.path(number), runs)
            share = Share.of(part, _of_worker(execution), parts.count)
            work, budgets = sum(group.work for group in of_share), [run.config.steps for run in runs]
            waiting.append(Waiting(share, work, parts.counts(number), budgets))
    return sorted(waiting, key=lambda one: -one.work)


def _of_worker(execution: Execution) -> Execution:
    """How a worker trains its share: silently, on all its devices; a process of this machine on one core."""
    cores = execution.num_devices or (1 if execution.executor == "local" else None)
    alone = dict(executor=None, shares=None, address=None, overwrite=False, progress=False)
    return dataclasses.replace(execution, num_devices=cores, **alone)


def _failure(future: Any) -> str:
    """Why a share that is done failed; '' if it did not."""
    try:
        outcome = future.result()
    except Exception as error:  # of engines come errors of several types
        return _reason(error)
    if outcome.missing and not outcome.reason:
        return f"it was asked to end, and {outcome.missing} of its runs have not ended"
    return outcome.reason


def _reason(error: BaseException) -> str:
    """What an error says, on one line, with its type."""
    said = " ".join(str(error).split())[:300].removesuffix(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _cancel(futures: Mapping[Any, Path]) -> None:
    """Cancels the shares that have not begun; others go on to their end, wherever they are."""
    for future, counts in futures.items():
        if not counts.exists():
            with contextlib.suppress(Exception):  # it may just have begun, or the engine be gone
                future.cancel()


@contextlib.contextmanager
def _stoppable(stop: threading.Event) -> Iterator[None]:
    """While inside, the end of this process sets an event first."""
    _stops.add(stop)
    if _ending.is_set():
        stop.set()
    try:
        yield
    finally:
        _stops.discard(stop)


@contextlib.contextmanager
def _opened(execution: Execution, result: Path) -> Iterator[Any]:
    """The executor, until it is no longer needed; one of the user's own stays open."""
    if isinstance(execution.executor, str):
        with _OPEN[execution.executor](execution, result) as executor:
            yield executor
    else:
        yield execution.executor


@contextlib.contextmanager
def _local(execution: Execution, result: Path) -> Iterator[ProcessPoolExecutor]:
    """Processes of this machine, one for each core; they end, their runs saved, when this process ends."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(devices.cores(), context, _follow, (theirs,))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)


def _follow(caller: Any) -> None:
    """Readies a process of this machine, for one core: it ends when the caller closes the end of a pipe, or dies."""
    jax.config.update("jax_platforms", "cpu")
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C is the caller's, who then has us end
    threading.Thread(target=_await_end, args=(caller,), daemon=True).start()


def _await_end(caller: Any) -> None:
    with contextlib.suppress(EOFError, OSError):
        caller.recv()
    _ending.set()
    for stop in list(_stops):
        stop.set()
    multiprocessing.parent_process().join()  # which, while it lives, ends us itself
    with _training:
        os._exit(0)


@contextlib.contextmanager
def _slurm(execution: Execution, result: Path) -> Iterator[Any]:
    """Jobs of SLURM by submitit, with their logs in a folder beside the result."""
    submitit = imported("submitit", "slurm", "executor=slurm")
    try:
        executor = submitit.SlurmExecutor(result.with_suffix(".jobs").absolute())
    except RuntimeError:
        raise ConfigError(
            "executor=slurm finds no SLURM here: there is no srun. Start it where sbatch and srun work, or try "
            "executor=local."
        ) from None
    executor.update_parameters(job_name="grokjax", time=SLURM_MINUTES)
    yield executor


@contextlib.contextmanager
def _dask(execution: Execution, result: Path) -> Iterator[Any]:
    """The workers of a Dask scheduler."""
    distributed = imported("distributed", "dask", "executor=dask")
    try:
        client = distributed.Client(execution.address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"address={execution.address} is not that of a Dask scheduler that answers ({_reason(error)}). Start one "
            "with `dask scheduler`, which says its address."
        ) from None
    with client:
        yield client.get_executor()


_OPEN: dict[str, Callable[[Execution, Path], contextlib.AbstractContextManager]] = {
    "local": _local,
    "slurm": _slurm,
    "dask": _dask,
}
