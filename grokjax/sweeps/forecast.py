"""What a sweep will need: programs, arithmetic, memory and time, before anything is trained."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from grokjax.config import ConfigError
from grokjax.runs import EVALUATION_ROWS
from grokjax.sweeps import devices
from grokjax.sweeps.engine import Group, widths
from grokjax.sweeps.grid import Grid
from grokjax.sweeps.identity import Run
from grokjax.sweeps.programs import compiled, state_bytes, step_operations
from grokjax.sweeps.progress import clock
from grokjax.sweeps.tables import size

TYPICAL_SHARE = 0.5
"""Share of the matrix-multiply peak that the estimated time assumes."""


@dataclasses.dataclass(frozen=True)
class Requirements:
    """What one group needs on one device.

    Attributes:
      runs: how many it has.
      lanes: that advance together, to begin with.
      most_lanes: that may do so once it has been measured that they are worthwhile.
      state: bytes of one run's state.
      table: bytes of the table.
      workspace: bytes of everything between; None where not compiled.
      operations: of one step; None if unknown.
      steps: budgets of its runs, added.
    """

    runs: int
    lanes: int
    most_lanes: int
    state: int
    table: int
    workspace: int | None
    operations: int | None
    steps: int

    @property
    def memory(self) -> int:
        """Bytes on one device. Twice the state: a run's final parameters and its successor's may be there at once."""
        return self.table + 2 * self.lanes * self.state + (self.workspace or 0)


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a sweep will need, printed by `--dry_run`."""

    grid: Grid
    num_runs: int
    needs: tuple[Requirements, ...]
    where: tuple[jax.Device, ...]
    available: int

    def check(self) -> None:
        """ConfigError if a device has not the memory for a group."""
        worst = max(self.needs, key=lambda one: one.memory)
        if worst.memory > self.available:
            fewer = "fewer --lanes, " if worst.lanes > 1 else ""
            raise ConfigError(
                f"A device would need about {size(worst.memory)} for {worst.lanes} "
                f"{'lane' if worst.lanes == 1 else 'lanes'}, and has {size(self.available)}. "
                f"Try {fewer}a smaller --batch_size, --width or --modulus."
            )

    def __str__(self):
        lines = [f"grid        {self._axes()} = {self.num_runs} runs, {self._to_train()} to train"]
        lines.append(f"programs    {len(self.needs)}, on {devices.describe(list(self.where))}")
        lanes = sorted({one.lanes for one in self.needs})
        most = max(one.most_lanes for one in self.needs)
        measured = f", then up to {most} as measured" if most > lanes[-1] else ""
        lines.append(f"lanes       {', '.join(map(str, lanes))} per device{measured}")
        lines.append(f"memory      {size(max(one.memory for one in self.needs))} of {size(self.available)} per device")
        lines.append(f"run-steps   {sum(one.steps for one in self.needs):,} at most")
        if all(one.operations is not None for one in self.needs):
            total = sum(one.operations * one.steps for one in self.needs)
            peak = devices.matmul_peak(list(self.where))
            seconds = total / (TYPICAL_SHARE * peak)
            each = sorted({one.operations for one in self.needs})
            span = f"{each[0] / 1e6:,.1f}" if len(each) == 1 else f"{each[0] / 1e6:,.1f} to {each[-1] / 1e6:,.1f}"
            lines.append(f"arithmetic  {span} million operations a step, {total:.2g} in all")
            lines.append(
                f"time        about {clock(seconds)} at most, at {TYPICAL_SHARE:.0%} of the {peak / 1e9:,.0f} GFLOP/s "
                "measured now"
            )
        return "\n".join(lines)

    def _axes(self) -> str:
        return " x ".join(f"{axis.names[0]} {len(axis)}" for axis in self.grid.axes) or "1"

    def _to_train(self) -> int:
        return sum(one.runs for one in self.needs)


def make(
    grid: Grid, runs: Sequence[Run], groups: Sequence[Group], where: Sequence[jax.Device], lanes: int | None
) -> Forecast:
    """What the groups need; the one with the largest state and batch is compiled, to learn its workspace.

    It is compiled for every device at once, so that training finds it ready.

    Args:
      grid: the whole.
      runs: all of it.
      groups: those to train.
      where: the devices.
      lanes: per device, or None for the default.

    Raises:
      ConfigError: if a device has not the memory for a group.
    """
    needs = [requirements(group, where[0], lanes) for group in groups]
    available = devices.memory(where[0])
    forecast = Forecast(grid, len(runs), tuple(needs), tuple(where), available)
    forecast.check()
    largest = max(range(len(groups)), key=lambda i: needs[i].memory + _rows(groups[i]) * groups[i].program.batch_rows)
    group, most = groups[largest], needs[largest]
    distinct = list(dict.fromkeys(where))
    with ThreadPoolExecutor(len(distinct)) as pool:
        compiling = [
            pool.submit(compiled, group.program, group.values, group.arrays, most.lanes, device) for device in distinct
        ]
    needs[largest] = dataclasses.replace(most, workspace=compiling[0].result().workspace)
    forecast = dataclasses.replace(forecast, needs=tuple(needs))
    forecast.check()
    return forecast


def _rows(group: Group) -> int:
    return min(EVALUATION_ROWS, group.table.num_examples)


def requirements(group: Group, device: jax.Device, lanes: int | None) -> Requirements:
    """What a group needs on a device, nothing being compiled."""
    possible = widths(device, len(group.pending), lanes)
    return Requirements(
        runs=len(group.pending),
        lanes=possible[0],
        most_lanes=possible[-1],
        state=state_bytes(group.program, group.values, group.arrays),
        table=sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(group.arrays)),
        workspace=None,
        operations=step_operations(group.program, group.arrays),
        steps=sum(run.config.steps for run in group.pending),
    )
