"""What a sweep is asked for: its runs, and where they are kept."""

import dataclasses
import datetime
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.config import Config, evaluated_steps
from grokjax.sweeps import collect
from grokjax.sweeps.engine import Record
from grokjax.sweeps.grid import Grid, flat
from grokjax.sweeps.identity import Run


@functools.lru_cache
def snapshot_steps(eval_at: str, steps: int, count: int) -> tuple[int, ...]:
    """At most `count` of the steps at which a run is evaluated, evenly in the logarithm, 0 and the last among them."""
    if count < 2:
        return (steps,)[:count]
    schedule = evaluated_steps(eval_at, steps)
    spaced = np.geomspace(steps, schedule[1], count - 1) * (1 - 1e-9)  # none past the schedule's last
    return (0, *np.unique(schedule[np.searchsorted(schedule, spaced)]).tolist())


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """The runs that a sweep is asked for, and where they are kept.

    Attributes:
      grid: whose axes are the dimensions of the result.
      runs: all of the grid.
      path: of the result; None if it is not written.
      params: the folder of parameters; None if none are kept.
      snapshots: that each run keeps at most.
      is_part: whether other processes train the rest of a larger request, with the same folder of parameters.
    """

    grid: Grid
    runs: Sequence[Run]
    path: Path | None
    params: Path | None
    snapshots: int
    is_part: bool = False

    @classmethod
    def of(cls, grid: Grid, runs: Sequence[Run], path: Path | None, snapshots: int) -> "Request":
        """The whole of a grid, its parameters in the folder beside the result."""
        return cls(grid, runs, path, path and path.with_suffix(".params"), snapshots)

    def part(self, path: Path, runs: Sequence[Run]) -> "Request":
        """Some of its runs, which another process than that of the rest trains and writes to `path`."""
        grid, alone = flat(self.grid, runs)
        # The process may be in another folder than this one.
        return Request(grid, alone, path.absolute(), self.params.absolute(), self.snapshots, is_part=True)

    def described_as(self, described: Mapping[str, Any]) -> "Request":
        """The same, described as it was before it was pickled: a pickled class may be described otherwise."""
        vars(self)["described"] = described
        return self

    @functools.cached_property
    def configs(self) -> dict[str, Config]:
        """The configurations by run id: fewer than runs where several are the same run."""
        return {run.run_id: run.config for run in self.runs}

    @functools.cached_property
    def described(self) -> dict[str, Any]:
        """The part of meta that says which sweep it is."""
        return collect.described(self.grid, self.runs)

    def snapshot_steps(self, run_id: str) -> tuple[int, ...]:
        """The steps at which a run keeps its parameters."""
        if not self.snapshots:
            return ()
        config = self.configs[run_id]
        return snapshot_steps(config.eval_at, config.steps, self.snapshots)

    def result(self, records: Mapping[str, Record], trained: Mapping[str, Any]) -> tuple[dict, dict]:
        """The arrays and the meta of a result.

        Args:
          records: of the runs that have ended or are under way, by run id.
          trained: what meta says of how they were trained.
        """
        arrays, labels = collect.to_arrays(self.grid, self.runs, records)
        meta = self.described | labels | trained
        meta |= {
            "params": os.path.relpath(self.params, self.path.parent) if self.path else None,
            "precision": ",".join(sorted({run.config.precision for run in self.runs})),
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        return arrays, meta
