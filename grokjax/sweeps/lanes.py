"""A bank of lanes on one device: runs that advance together, each lane refilled when its run is done."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from grokjax.analysis.crossings import stop_step
from grokjax.config import evaluated_steps
from grokjax.sweeps.grid import Run
from grokjax.sweeps.programs import Compiled, initial_state
from grokjax.training import Measured, Program, RunValues, TableArrays

LONGEST_DISPATCH = 1000
"""Steps after which the host gets to look in, whatever the evaluation interval: it shows progress and hears Ctrl-C."""


@dataclasses.dataclass
class Live:
    """A run in a lane, and what has been measured of it.

    Attributes:
      run: which.
      schedule: [evaluations] steps at which it is evaluated; the last is its budget.
      step: updates done.
      names: of the metrics, once there is an evaluation.
      metrics: one [metrics] array per evaluation so far.
      status: '' while it goes on; then 'finished', 'stopped' or 'diverged'.
    """

    run: Run
    schedule: np.ndarray
    step: int = 0
    names: tuple[str, ...] = ()
    metrics: list[np.ndarray] = dataclasses.field(default_factory=list)
    status: str = ""

    @classmethod
    def of(cls, run: Run) -> "Live":
        """A run before its first evaluation."""
        return cls(run, evaluated_steps(run.config.eval_at, run.config.steps))

    @property
    def next_evaluation(self) -> int:
        """The step of the next evaluation."""
        return int(self.schedule[len(self.metrics)])

    def latest(self, name: str) -> float:
        """A metric as last measured."""
        return float(self.metrics[-1][self.names.index(name)])

    def curve(self, name: str) -> np.ndarray:
        """[evaluations] float32: a metric so far."""
        i = self.names.index(name)
        return np.array([metrics[i] for metrics in self.metrics], np.float32)

    def record(self, metrics: np.ndarray, names: tuple[str, ...]) -> None:
        """Takes the metrics of the evaluation that was due, and ends the run where it is to end."""
        self.names = names
        self.metrics.append(metrics)
        config = self.run.config
        if not np.isfinite(self.latest("train_loss" if config.num_train else "val_loss")):
            self.status = "diverged"
        elif self.step == self.schedule[-1]:
            self.status = "finished"
        elif config.stop_loss is not None and self.latest("val_loss") <= config.stop_loss:
            self.status = "stopped"
        elif config.stop_accuracy is not None:
            accuracy = self.curve("val_accuracy")
            steps = self.schedule[: len(accuracy)]
            if stop_step(steps, accuracy, config.stop_accuracy, config.hold_steps) is not None:
                self.status = "stopped"


class Bank:
    """W lanes of one program on one device.

    Its runs share a program and a table. One lane holds its state as it is; several hold theirs stacked.

    Args:
      program: static.
      compiled: the same for so many lanes and this device.
      arrays: the table, in NumPy.
      lanes: how many.
      device: where.
    """

    def __init__(self, program: Program, compiled: Compiled, arrays: TableArrays, lanes: int, device: jax.Device):
        self.program, self.compiled, self.arrays, self.device = program, compiled, arrays, device
        self.table = jax.device_put(arrays, device)
        self.lanes: list[Live | None] = [None] * lanes
        self.state: Any = None
        self.values: Any = None

    @property
    def stacked(self) -> bool:
        """Whether the state has a leading lane axis."""
        return len(self.lanes) > 1

    def put(self, lane: int, run: Run) -> None:
        """Starts a run in a lane."""
        values = RunValues.of(run.config)
        state = initial_state(self.program, values, self.arrays, self.device)
        values = jax.device_put(values, self.device)
        if not self.stacked:
            self.values, self.state = values, state
        elif self.state is None:
            self.values, self.state = _repeat((values, state), len(self.lanes))
        else:
            self.values, self.state = _insert((self.values, self.state), (values, state), lane)
        self.lanes[lane] = Live.of(run)

    def advance(self) -> tuple[int, list[int]]:
        """Advances all lanes by the steps to the nearest evaluation.

        Lanes whose evaluation it is record it, and those that end get their status.

        Returns:
          Run-steps done, added over lanes, and the lanes that were evaluated.
        """
        live = [lane for lane in self.lanes if lane is not None]
        ahead = min(lane.next_evaluation - lane.step for lane in live)
        num_steps = min(ahead, LONGEST_DISPATCH)
        evaluates = num_steps == ahead
        due = [lane is not None and lane.step + num_steps == lane.next_evaluation for lane in self.lanes]
        self.state, measured = self.dispatch(num_steps, evaluates, due)
        metrics = np.asarray(measured.values).reshape(len(self.lanes), -1)
        for lane in live:
            lane.step += num_steps
        recorded = [i for i, is_due in enumerate(due) if is_due]
        for i in recorded:
            self.lanes[i].record(metrics[i], measured.names)
        return num_steps * len(live), recorded

    def dispatch(self, num_steps: int, evaluates: bool, due: list[bool]) -> tuple[Any, Measured]:
        """Has the device advance all lanes; `due` says whose evaluation it is. Does not wait, and keeps nothing."""
        told = np.int32(num_steps), np.bool_(evaluates), np.array(due) if self.stacked else np.bool_(due[0])
        return self.compiled.advance(self.values, self.table, self.state, *told)

    @property
    def memory(self) -> int:
        """Bytes that it needs on its device; the state counts twice, see `Need.memory`."""
        return self.compiled.workspace + sum(
            count * leaf.nbytes for count, tree in ((1, self.table), (2, self.state)) for leaf in jax.tree.leaves(tree)
        )

    def widened(self, compiled: Compiled, lanes: int) -> "Bank":
        """A bank of more lanes with the runs of this one, each as it stands. This one is of no use afterwards."""
        bank = Bank(self.program, compiled, self.arrays, lanes, self.device)
        bank.lanes[: len(self.lanes)] = self.lanes
        held = self.values, self.state
        bank.values, bank.state = _widen(held, lanes) if self.stacked else _repeat(held, lanes)
        return bank

    def params(self, lane: int) -> dict:
        """The parameters of the run in a lane, in NumPy."""
        params = self.state.params
        return jax.device_get(jax.tree.map(lambda x: x[lane], params) if self.stacked else params)


@functools.partial(jax.jit, static_argnums=1)
def _repeat(tree, lanes: int):
    return jax.tree.map(lambda x: jax.numpy.repeat(x[None], lanes, axis=0), tree)


@functools.partial(jax.jit, static_argnums=1)
def _widen(tree, lanes: int):
    def widen(x):
        return jax.numpy.concatenate([x, jax.numpy.repeat(x[:1], lanes - len(x), axis=0)])

    return jax.tree.map(widen, tree)


@functools.partial(jax.jit, donate_argnums=0)
def _insert(stacked, tree, lane):
    return jax.tree.map(lambda s, x: s.at[lane].set(x), stacked, tree)
