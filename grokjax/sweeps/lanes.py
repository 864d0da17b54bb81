"""A bank of lanes on one device: runs that advance together, each lane refilled when its run is done."""

import dataclasses
import functools
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from grokjax.analysis.crossings import stop_step
from grokjax.config import ConfigError, evaluated_steps
from grokjax.runs import Measured, Program, RunState, RunValues, TableArrays
from grokjax.sweeps.identity import Run
from grokjax.sweeps.programs import Compiled, initial_state, state_shapes

FIRST_STEPS, LONGEST_SECONDS = 100, 2.0
"""Steps of the first dispatch at most, and seconds of the others, roughly, whatever the evaluation interval: then the
host looks in, shows progress, hears Ctrl-C and takes checkpoints."""


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

    def copy(self) -> "Live":
        """The same, which what is measured later leaves as it is."""
        return dataclasses.replace(self, metrics=list(self.metrics))

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
        self.settle()

    def settle(self) -> None:
        """Ends the run if what was measured last says so."""
        config = self.run.config
        if not self.metrics:
            return
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


class SavedRuns(NamedTuple):
    """Runs under way, as they stood between two chunks.

    Attributes:
      lives: what is known of them.
      state: [lives, ...] each leaf of their states, in NumPy, by its path.
    """

    lives: list[Live]
    state: Mapping[str, np.ndarray]

    def of(self, i: int) -> "SavedRuns":
        """One of them alone."""
        return SavedRuns([self.lives[i]], {path: leaf[i : i + 1] for path, leaf in self.state.items()})


class Bank:
    """W lanes of one program on one device.

    Its runs share a program and a table. One lane holds its state as it is; several hold theirs stacked.

    Args:
      program: static.
      compiled: the same for this number of lanes and this device.
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
        self.longest = FIRST_STEPS

    @property
    def stacked(self) -> bool:
        """Whether the state has a leading lane axis."""
        return len(self.lanes) > 1

    def put(self, lane: int, run: Run, held: SavedRuns | None = None) -> None:
        """Starts a run in a lane, or goes on with it as it was `held` alone."""
        values = RunValues.of(run.config)
        if held is None:
            live = Live.of(run)
            state = initial_state(self.program, values, self.arrays, self.device, run.config.start)
        else:
            live = held.lives[0].copy()
            state = jax.device_put(_restored(state_shapes(self.program, values, self.arrays), held), self.device)
            live.settle()
        values = jax.device_put(values, self.device)
        if not self.stacked:
            self.values, self.state = values, state
        elif self.state is None:
            self.values, self.state = _repeat((values, state), len(self.lanes))
        else:
            self.values, self.state = _insert((self.values, self.state), (values, state), lane)
        self.lanes[lane] = live

    def advance(self) -> tuple[int, list[int]]:
        """Advances all lanes by the steps to the nearest evaluation.

        Lanes whose evaluation it is record it, and those that end get their status.

        Returns:
          Run-steps done, added over lanes, and the lanes that were evaluated.
        """
        live = [lane for lane in self.lanes if lane is not None]
        ahead = min(lane.next_evaluation - lane.step for lane in live)
        num_steps = min(ahead, self.longest)
        evaluates = num_steps == ahead
        due = [lane is not None and lane.step + num_steps == lane.next_evaluation for lane in self.lanes]
        begin = time.perf_counter()
        self.state, measured = self.dispatch(num_steps, evaluates, due)
        metrics = np.asarray(measured.values).reshape(len(self.lanes), -1)
        if num_steps:
            self.longest = max(1, int(num_steps * LONGEST_SECONDS / max(time.perf_counter() - begin, 1e-9)))
        for lane in live:
            lane.step += num_steps
        recorded = [i for i, is_due in enumerate(due) if is_due]
        for i in recorded:
            self.lanes[i].record(metrics[i], measured.names)
        return num_steps * len(live), recorded

    def dispatch(self, num_steps: int, evaluates: bool, due: list[bool]) -> tuple[Any, Measured]:
        """Has the device advance all lanes; `due` says whose evaluation it is. Does not wait, and keeps nothing."""
        scalars = np.int32(num_steps), np.bool_(evaluates), np.array(due) if self.stacked else np.bool_(due[0])
        return self.compiled.advance(self.values, self.table, self.state, *scalars)

    @property
    def memory(self) -> int:
        """Bytes that it needs on its device; the state counts twice, see `Requirements.memory`."""
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

    def held(self) -> SavedRuns:
        """Its runs under way, copied: what it does next leaves them as they are.

        A run that has ended, but that nobody took yet, counts as under way at its last step.
        """
        live = [i for i, lane in enumerate(self.lanes) if lane is not None]
        leaves = _by_path(self.state).items() if live else ()
        state = {path: np.array(leaf)[live] if self.stacked else np.array(leaf)[None] for path, leaf in leaves}
        return SavedRuns([dataclasses.replace(self.lanes[i].copy(), status="") for i in live], state)

    def params(self, lane: int) -> dict:
        """The parameters of the run in a lane, in NumPy."""
        params = self.state.params
        return jax.device_get(jax.tree.map(lambda x: x[lane], params) if self.stacked else params)


def _by_path(tree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _restored(shapes: RunState, held: SavedRuns) -> RunState:
    """The state of the one run held; ConfigError if states look otherwise now."""
    form = {path: (leaf.shape, leaf.dtype) for path, leaf in _by_path(shapes).items()}
    if form != {path: (leaf.shape[1:], leaf.dtype) for path, leaf in held.state.items()}:
        raise ConfigError(
            "The checkpoint holds states of another form than runs have now. Go on with the version that wrote it, or "
            "remove its folder to start the runs under way again."
        )
    return jax.tree.unflatten(jax.tree.structure(shapes), [held.state[path][0] for path in form])


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
