"""The least value of a setting with which runs reach a level, by bisection instead of a whole grid.

(The file is not called search, so that `grokjax.search` can be the function, whatever is imported first.)
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Int

from grokjax import results
from grokjax.config import CHECKPOINT_MINUTES, Config, ConfigError
from grokjax.sweeps import collect, sweep
from grokjax.sweeps.grid import Grid, make_grid
from grokjax.sweeps.identity import Run

PROBE = "probe"
"""The axis of the sweep that trains the probes, while it goes on."""


def search(
    config: Config,
    name: str,
    *,
    level: float = 0.99,
    value: str = "max_val_accuracy",
    out: str | os.PathLike | None = None,
    zip: Sequence[Sequence[str]] = (),
    progress: bool = True,
    lanes: int | None = None,
    num_devices: int | None = None,
    snapshots: int = 0,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    overwrite: bool = False,
    **values: Any,
) -> xr.Dataset:
    """Bisects an axis of a grid, such as train_fraction, for all seeds and other settings at once.

        until every line of the grid along the axis has neighbours of which the lower fails and the upper reaches:
            the middle of what is open on each line is trained, as one sweep

    A line of n values takes about log2(n + 1) runs. What a search finds is what the whole grid would show if runs above
    the least value that reaches the level all reach it.

    Args:
      config: one run; what `values` do not say.
      name: the axis to bisect, one of `values`, which gives it at least two numbers.
      level: to reach.
      value: what is to reach it, a value that a result has per run.
      out: where to write the result, an .npz, as for `sweep`. The same call continues an interrupted search, and a
        `sweep` of the same grid trains the cells that are left.
      zip, progress, lanes, num_devices, snapshots, checkpoint_minutes, overwrite: as for `sweep`.
      **values: settings by name, as for `sweep`.

    Returns:
      The dataset of the whole grid, in which each probe is an ordinary run and the other cells are 'not run'.
      `grokjax.analysis.least_fraction` reads the least value off it.

    Raises:
      ConfigError: for a grid that cannot be run, an axis that cannot be bisected, or a value that results do not have.
      ResultError: if `out` cannot be read or written.
      Interrupted: as `sweep`.
    """
    grid = make_grid(config, values, zip)
    runs = grid.runs()
    axis, order = _bisected(grid, name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.npz" if out is None else Path(out)
        records = {} if overwrite else _known(grid, runs, path)
        while True:
            arrays, labels = collect.to_arrays(grid, runs, records)
            if value not in arrays or arrays[value].shape != grid.shape:
                raise ConfigError(f"value={value} is not a value that a result has per run. Try max_val_accuracy.")
            ended = np.isin(arrays["run_id"], list(records))
            chosen = next_probes(ended, arrays[value] >= level, axis, order)
            if not chosen.any():
                break
            distinct = {run.run_id: run for run in runs if (ended | chosen)[run.index]}
            probes = {grid.name_of(run): _overrides(grid, run) for run in distinct.values()}
            options = dict(progress=progress, lanes=lanes, num_devices=num_devices, snapshots=snapshots)
            options |= dict(checkpoint_minutes=checkpoint_minutes, overwrite=overwrite and not records)
            sweep(config, out=path, **options, **{PROBE: probes})
            records = collect.to_records(*results.read(path))
        _, meta = results.read(path)
        meta = meta | collect.described(grid, runs) | labels
        results.write(path, arrays, meta)
        return results.load(path)


def probes_at_most(count: int) -> int:
    """How many of `count` values a bisection trains on each line at most: the logarithm of count + 1 to base 2."""
    return count.bit_length()


def next_probes(
    ended: Bool[np.ndarray, "..."], reached: Bool[np.ndarray, "..."], axis: int, order: Int[np.ndarray, " values"]
) -> Bool[np.ndarray, "..."]:
    """The cells to train next: on each line along the axis, the middle between the largest value that fails and the
    least that reaches; none where these are neighbours.

    Args:
      ended: [axes...] cells that ran.
      reached: [axes...] whether they reach the level; not read where they did not run.
      axis: to bisect.
      order: of the values along it, from the least.

    Returns:
      [axes...], at most one True on each line.
    """
    lines = [np.moveaxis(np.take(cells, order, axis), axis, -1) for cells in (ended & reached, ended & ~reached)]
    chosen = np.zeros(lines[0].shape, bool)
    count = len(order)
    for line in np.ndindex(chosen.shape[:-1]):
        reaches, fails = (np.flatnonzero(cells[line]) for cells in lines)
        upper = reaches[0] if len(reaches) else count
        lower = max(fails[fails < upper], default=-1)
        if upper - lower > 1:
            chosen[line][(lower + upper) // 2] = True
    return np.take(np.moveaxis(chosen, -1, axis), np.argsort(order), axis)


def _bisected(grid: Grid, name: str) -> tuple[int, np.ndarray]:
    """Which axis of a grid has a setting, and the order of its values from the least; ConfigError if it has none."""
    for place, axis in enumerate(grid.axes):
        if name in axis.names and not (axis.labelled and name == axis.names[0]):
            labels = np.array(axis.labels[axis.names.index(name)])
            if labels.dtype.kind in "iuf" and len(np.unique(labels)) > 1:
                return place, np.argsort(labels, kind="stable")
    raise ConfigError(
        f"{name} has no list of numbers to bisect. Give it several values, such as {name}=[0.2, 0.3, 0.4]."
    )


def _known(grid: Grid, runs: Sequence[Run], path: Path) -> dict:
    """The records of the runs that a result holds already; ConfigError if it holds runs of another grid."""
    if not path.exists():
        return {}
    arrays, meta = results.read(path)
    if not set(arrays["run_id"][arrays["status"] != "not run"].tolist()) <= {run.run_id for run in runs}:
        collect.check_same_sweep(path, meta, collect.described(grid, runs))
    return collect.to_records(arrays, meta)


def _overrides(grid: Grid, run: Run) -> dict[str, Any]:
    """What a run sets beside the base configuration."""
    overrides = dict(grid.fixed)
    for axis, point in zip(grid.axes, run.index, strict=True):
        overrides |= axis.overrides[point]
    return overrides
