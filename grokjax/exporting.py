"""A grid in an experiment tracker: every run with its settings, its curves by step and its numbers.

    for each run of the grid that ran:
        its settings, as hyperparameters
        at each evaluated step, every curve
        at its last step, every per-run number

Needs no JAX. The trackers are optional extras, imported when they are asked for.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from grokjax import results
from grokjax.config import ConfigError, imported, own_name, unknown_value
from grokjax.results import ResultError

Scalar = str | bool | int | float
"""What a tracker takes as a setting."""


class TrackedRun(NamedTuple):
    """One run as trackers want it.

    Attributes:
      name: its place in the grid, such as 'train_fraction=0.3,seed=0'; no two runs share one.
      settings: all that it was configured with, and its `run_id` and `status`.
      steps: [steps], at which any run was evaluated, up to the run's last.
      curves: by name [steps], NaN where the run was not evaluated.
      numbers: by name what it has one each of, such as `steps_to_val_99`; inf is never, NaN is left out.
      last_step: the step of `numbers`.
    """

    name: str
    settings: Mapping[str, Scalar]
    steps: np.ndarray
    curves: Mapping[str, np.ndarray]
    numbers: Mapping[str, float]
    last_step: int

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Each evaluated step and the curves there."""
        for i, step in enumerate(self.steps.tolist()):
            if values := {name: float(curve[i]) for name, curve in self.curves.items() if not np.isnan(curve[i])}:
                yield step, values


def export(
    grid: xr.Dataset | str | os.PathLike,
    tracker: str,
    folder: str | os.PathLike,
    project: str | None = None,
) -> list[str]:
    """Writes every run of a grid into an experiment tracker: settings, curves by step, per-run numbers.

    * 'tensorboard': a folder of event files for each run, `folder`/name; numbers are scalars 'summary/...', and with
      the settings they make the table of the HParams tab. `tensorboard --logdir folder` shows them, in float32.
    * 'wandb': a run each of Weights & Biases in the group `project`, kept in `folder`/wandb; numbers are its summary.
      With WANDB_MODE=offline nothing is sent, and `wandb sync` sends it later.
    * 'trackio': a run each in the database in `folder`, which one process can choose once; numbers are logged at the
      last step as 'summary/...'. `TRACKIO_DIR=folder trackio show` shows them.

    Runs that were not run are left out. Of a dataset filled by `grokjax.load`, carried values are written up to a run's
    last step; a path is read without filling.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one; or the path of a result.
      tracker: 'tensorboard', 'wandb' or 'trackio'.
      folder: where it is written; made if need be.
      project: what wandb and trackio call all of it; None: the name of the result file, or 'grokjax'.

    Returns:
      The names of the runs that were written.

    Raises:
      ConfigError: for another tracker, or one that is not installed.
      ResultError: if the result cannot be read, no run has run, or `folder` holds an earlier export of a run.
    """
    tracker = own_name(str(tracker), TRACKERS)
    if tracker not in TRACKERS:
        raise unknown_value("tracker", tracker, tuple(TRACKERS))
    if not isinstance(grid, xr.Dataset):
        project = Path(grid).stem if project is None else project
        grid = results.load(grid, fill=None)
    runs = tracked(grid)
    if not runs:
        raise ResultError("No run of this grid has run, so there is nothing to export. Train it first.")
    folder = Path(folder).resolve()
    TRACKERS[tracker](folder, runs, project or "grokjax")
    return [run.name for run in runs]


def tracked(grid: xr.Dataset) -> list[TrackedRun]:
    """The runs of a grid that ran, in the order of `status`.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one.

    Raises:
      ResultError: if it is no result.
    """
    if missing := [name for name in results.REQUIRED if name not in grid]:
        raise ResultError(
            f"This grid has no {missing[0]}. Pass a dataset from grokjax.load, or a selection of one that keeps its "
            "variables."
        )
    table, curves = results.runs(grid), results.curve_rows(grid)
    steps, settings, found = grid["step"].values, _shared(grid), []
    points, names = _points(grid), _names(grid)
    for i, row in enumerate(table.to_dict("records")):
        if row["status"] == "not run":
            continue
        told = {name: row[name] for name in (*grid.coords, "run_id", "status") if name in row}
        numbers = {n: float(v) for n, v in row.items() if n not in told and not isinstance(v, str)}
        shown = steps <= row["last_step"]
        found.append(
            TrackedRun(
                name=names[i],
                settings={n: _scalar(v) for n, v in (settings | points[i] | told).items() if v is not None},
                steps=steps[shown],
                curves={name: values[i][shown] for name, values in curves.items()},
                numbers={name: value for name, value in numbers.items() if not np.isnan(value)},
                last_step=int(row["last_step"]),
            )
        )
    return found


def _shared(grid: xr.Dataset) -> dict:
    """The settings that all runs share."""
    return dict(json.loads(grid.attrs.get("meta", "{}")).get("config", {}))


def _points(grid: xr.Dataset) -> list[dict]:
    """[runs], what the points of the axes set for each run; of an axis of which a part is selected, coordinates say."""
    axes = json.loads(grid.attrs.get("meta", "{}")).get("axes", {})
    whole = {dim: points for dim, points in axes.items() if grid.sizes.get(dim) == len(points)}
    dims = grid["status"].dims
    return [
        {
            name: value
            for dim, at in zip(dims, place, strict=True)
            if dim in whole
            for name, value in whole[dim][at].items()
        }
        for place in np.ndindex(*grid["status"].shape)
    ]


def _names(grid: xr.Dataset) -> list[str]:
    """[runs], names that can name a folder: the coordinates along axes of several values; numbered if two are alike."""
    dims, found = grid["status"].dims, []
    for place in np.ndindex(*grid["status"].shape):
        parts = [
            f"{dim}={grid[dim].values[at] if dim in grid.coords else at}"
            for dim, at in zip(dims, place, strict=True)
            if grid.sizes[dim] > 1
        ]
        found.append(re.sub(r"[^\w.=,+-]+", "_", ",".join(parts))[:200] or "run")
    return found if len(set(found)) == len(found) else [f"{i},{name}" for i, name in enumerate(found)]


def _scalar(value) -> Scalar:
    """A setting as every tracker takes it: NumPy's scalars as Python's, lists as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, Scalar) else json.dumps(value)


def _write_tensorboard(folder: Path, runs: Sequence[TrackedRun], project: str) -> None:
    """Writes an event file for each run."""
    board = imported("tensorboardX", "tensorboard", "Exporting to tensorboard")
    if held := [run.name for run in runs if (folder / run.name).exists()]:
        raise ResultError(f"{folder} holds {held[0]} of an earlier export. Try another folder, or remove that one.")
    for run in runs:
        numbers = {f"summary/{name}": value for name, value in run.numbers.items()}
        with board.SummaryWriter(str(folder / run.name)) as writer:
            for part in board.summary.hparams(dict(run.settings), numbers):
                writer.file_writer.add_summary(part)
            for step, values in run.rows():
                for name, value in values.items():
                    writer.add_scalar(name, value, step)
            for name, value in numbers.items():
                writer.add_scalar(name, value, run.last_step)


def _write_wandb(folder: Path, runs: Sequence[TrackedRun], project: str) -> None:
    """Logs each run; whether anything is sent is wandb's own setting."""
    wandb = imported("wandb", "wandb", "Exporting to wandb")
    folder.mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(console="off", silent=True)
    for run in runs:
        with wandb.init(
            project=project,
            group=project,
            name=run.name,
            config=dict(run.settings),
            dir=folder,
            settings=quiet,
            reinit="create_new",
        ) as logged:
            for step, values in run.rows():
                logged.log(values, step=step)
            logged.summary.update(dict(run.numbers))


def _write_trackio(folder: Path, runs: Sequence[TrackedRun], project: str) -> None:
    """Logs each run to the database in the folder, which trackio takes from the environment when it is imported."""
    os.environ.setdefault("TRACKIO_DIR", str(folder))
    trackio = imported("trackio", "trackio", "Exporting to trackio")
    if Path(trackio.utils.TRACKIO_DIR).resolve() != folder:
        raise ConfigError(
            f"trackio writes to {trackio.utils.TRACKIO_DIR} in this process, not to {folder}. Try TRACKIO_DIR={folder} "
            "in a new process."
        )
    for run in runs:
        trackio.init(project, run.name, config=dict(run.settings), embed=False, auto_log_gpu=False, auto_log_cpu=False)
        for step, values in run.rows():
            trackio.log(values, step=step)
        trackio.log({f"summary/{name}": value for name, value in run.numbers.items()}, step=run.last_step)
        trackio.finish()


TRACKERS: Mapping[str, Callable[[Path, Sequence[TrackedRun], str], None]] = {
    "tensorboard": _write_tensorboard,
    "wandb": _write_wandb,
    "trackio": _write_trackio,
}
"""What writes runs to a tracker, by its name: given the folder, the runs and the project."""
