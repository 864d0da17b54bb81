"""Records of runs <-> the labelled arrays of a result."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from grokjax import losses, metrics, results
from grokjax.analysis.crossings import LEVELS, crossing
from grokjax.config import STREAMS, Config, ConfigError, settings
from grokjax.runs import METRICS
from grokjax.sweeps import code
from grokjax.sweeps.components import COMPONENTS
from grokjax.sweeps.engine import Record
from grokjax.sweeps.grid import Grid
from grokjax.sweeps.identity import Run, describe


def to_arrays(grid: Grid, runs: Sequence[Run], records: Mapping[str, Record]) -> tuple[dict, dict]:
    """The arrays of a result, and what its meta says of them.

        coordinates: the steps at which any run was evaluated, and each axis
        curves [axes..., step]: NaN where a run was not evaluated
        one value per run [axes...]: its status, when it reached each level, and what it was made of

    Args:
      grid: whose axes are the dimensions.
      runs: all of the grid.
      records: of the runs that have ended or are under way, by run id.

    Returns:
      arrays by name as `grokjax.results` describes them, and {"dims", "coords", "long_name", perhaps "units"}.
    """
    steps = np.unique(np.concatenate([[0], *(record.steps for record in records.values())])).astype(np.int64)
    named = {n: (axis.names[0], v) for axis in grid.axes for n, v in zip(axis.names, axis.labels, strict=True)}
    coords = {"step": steps} | {name: np.array(labels) for name, (_, labels) in named.items()}
    curves = _curves(grid, runs, records, steps)
    scalars = {n: v for n, v in _per_run(grid, runs, records).items() if n not in coords and n not in curves}
    dims = {"step": ["step"]} | {name: [dim] for name, (dim, _) in named.items()}
    dims |= {name: [*grid.dims, "step"] for name in curves} | {name: list(grid.dims) for name in scalars}
    arrays = coords | curves | scalars
    labels = {"dims": dims, "coords": list(coords), "long_name": _long_names(runs, arrays)}
    if any(run.config.loss == "mse" for run in runs):
        labels["units"] = {f"{part}_loss": "1" for part in ("train", "val")}  # otherwise nats
    return arrays, labels


def _curves(
    grid: Grid, runs: Sequence[Run], records: Mapping[str, Record], steps: Int[np.ndarray, " steps"]
) -> dict[str, Float[np.ndarray, "..."]]:
    """[axes..., step] float32 by name: what evaluations measured, NaN elsewhere."""
    more = {name for record in records.values() for name in record.metrics} - set(METRICS)
    shape = (*grid.shape, len(steps))
    curves = {name: np.full(shape, np.nan, np.float32) for name in (*METRICS, *sorted(more))}
    for run in runs:
        if record := records.get(run.run_id):
            at = np.searchsorted(steps, record.steps)
            for name, curve in record.metrics.items():
                curves[name][run.index][at] = curve
    return curves


def _per_run(grid: Grid, runs: Sequence[Run], records: Mapping[str, Record]) -> dict[str, np.ndarray]:
    """[axes...] by name: `_scalars` of each run."""
    rows = [_scalars(run, records.get(run.run_id)) for run in runs]
    columns = {}
    for name, like in rows[0].items():
        values = np.array([row[name] for row in rows])
        text = values.dtype.kind == "U"  # whose length is that of the longest
        columns[name] = (values if text else values.astype(np.asarray(like).dtype)).reshape(grid.shape)
    return columns


def _long_names(runs: Sequence[Run], arrays: Mapping[str, Any]) -> dict[str, str]:
    """How a figure's axis names the settings that an array has the name of, where the name alone would not do."""
    owners = {Config, *(type(getattr(run.config, which)) for run in runs for which in COMPONENTS)}
    labels = {name: field.metadata["label"] for owner in owners for name, field in settings(owner).items()}
    return {name: labels[name] for name in arrays if labels.get(name)}


def check_names(grid: Grid, runs: Sequence[Run]) -> None:
    """ConfigError for an axis or a metric whose name is that of something else in the result."""
    always = {*METRICS, "step", "meta", *_scalars(runs[0], None)}
    if clash := sorted(always & {name for axis in grid.axes for name in axis.names}):
        raise ConfigError(f"{clash[0]} cannot be an axis: it is the name of something else in a result. Rename it.")
    for config in {run.config.metrics: run.config for run in runs}.values():
        parts = (Config, *(getattr(config, which) for which in COMPONENTS))
        taken = {*always, *grid.dims, *COMPONENTS, *(name for part in parts for name in settings(part))}
        _check_metric_names(metrics.chosen(config.metrics), taken)


def _check_metric_names(chosen: Sequence[metrics.Metric], taken: set[str]) -> None:
    """ConfigError for a metric whose name is none, or that would be kept under a name that is taken."""
    for name, _ in chosen:
        if not name.isidentifier():
            raise ConfigError(f"metrics has the name {name!r}. It must be made of letters, digits and '_'.")
    always_measured = {n for n, metric in chosen if n in METRICS and metric is metrics.METRICS.get(n)}
    kept = [name for metric in chosen for name in metrics.kept_as(metric)]
    for i, name in enumerate(kept):
        if name in kept[:i] or name in taken - always_measured:
            raise ConfigError(
                f"metrics would keep something as {name}, the name of something else. Choose another name."
            )


def _scalars(run: Run, record: Record | None) -> dict[str, Any]:
    """What a result holds of one run besides its curves."""
    scalars = {
        "status": record.status if record else "not run",
        "last_step": np.int64(record.last_step if record else -1),
        "num_train": np.int64(run.config.num_train),
        "steps_per_epoch": np.int64(run.config.steps_per_epoch),
        "run_id": run.run_id,
    }
    ended = record is not None and record.status not in results.UNFINISHED  # else none of what follows is known
    curves = record.metrics if ended else dict.fromkeys(METRICS, np.array([]))
    steps = record.steps if ended else np.array([], np.int64)
    for part in ("train", "val"):
        for level in LEVELS:
            name = f"steps_to_{part}_{level}"
            reached = crossing(steps, curves[f"{part}_accuracy"], level / 100, run.config.hold_steps)
            scalars[name], scalars[f"{name}_bracket"] = map(np.float64, reached)
    val = curves["val_accuracy"]
    val = val[~np.isnan(val)]
    scalars["max_val_accuracy"] = np.float32(val.max() if len(val) else np.nan)
    scalars["final_val_accuracy"] = np.float32(val[-1] if len(val) else np.nan)
    return scalars


def to_records(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> dict[str, Record]:
    """The records of the runs that have ended in a result, by run id: what `to_arrays` made the arrays from."""
    names = [name for name, dims in meta["dims"].items() if name != "step" and "step" in dims]
    records = {}
    for index in np.argwhere(~np.isin(arrays["status"], results.UNFINISHED)):
        index = tuple(index)
        curves = {name: arrays[name][index] for name in names}
        evaluated = ~np.all([np.isnan(curves[name]) for name in METRICS], axis=0)
        records[str(arrays["run_id"][index])] = Record(
            steps=arrays["step"][evaluated],
            metrics={name: curve[evaluated] for name, curve in curves.items()},
            status=str(arrays["status"][index]),
            last_step=int(arrays["last_step"][index]),
        )
    return records


def described(grid: Grid, runs: Sequence[Run]) -> dict[str, Any]:
    """The part of meta that says which sweep it is: what all runs share, the axes, each run's seeds and start."""
    config = describe(runs[0].config) | {"seed": runs[0].config.seed}
    points = [_points(grid, runs, place) for place in range(len(grid.axes))]
    varying = {name for of_axis in points for overrides in of_axis for name in overrides}
    if any(run.config.epochs for run in runs):
        config["epochs"] = runs[0].config.epochs
        varying |= {"steps"}
    if "seed" in varying:
        varying |= {f"{stream}_seed" for stream in STREAMS if getattr(grid.base, f"{stream}_seed") is None}
    seeds = {
        stream: np.array([run.config.seeds[stream] for run in runs], np.int64).reshape(grid.shape).tolist()
        for stream in STREAMS
    }
    return {
        "config": {name: value for name, value in config.items() if name not in varying},
        "axes": {axis.names[0]: list(map(_plain, of_axis)) for axis, of_axis in zip(grid.axes, points, strict=True)},
        "seeds": seeds,
        **_starts(grid, runs),
        "code": code.as_meta(piece for run in runs for piece in run.code),
    }


def _starts(grid: Grid, runs: Sequence[Run]) -> dict[str, Any]:
    """The part of meta that says which weights each run starts from, and of which run they are, if given to any."""
    starts = [run.config.start for run in runs]
    if not any(starts):
        return {}
    told = {name: [getattr(start, name, None) for start in starts] for name in ("content", "run_id", "step")}
    return {"starts": {n: np.array(values, object).reshape(grid.shape).tolist() for n, values in told.items()}}


def _contents(described: Mapping[str, Any]) -> set[str | None]:
    """What the runs of a sweep start from, by its hashes."""
    return set(np.array(described.get("starts", {}).get("content", []), object).ravel().tolist())


def _points(grid: Grid, runs: Sequence[Run], place: int) -> list[dict[str, Any]]:
    """What each point of an axis sets, and what it leaves at a value that other points of the axis do not have.

    Points that exchange a component have its defaults, such as a weight decay of 0 or 1, and a point may leave alone
    what another sets. A run can only be configured again from its points if these say so.
    """
    overrides = [dict(point) for point in grid.axes[place].overrides]
    named = [set(point) for point in overrides]
    partial = set.union(*named) - set.intersection(*named)
    exchanged = set.union(*named) & set(COMPONENTS)
    if not (partial or exchanged):
        return overrides
    stride = math.prod(grid.shape[place + 1 :])
    whole = [describe(runs[i * stride].config) for i in range(len(overrides))]
    other = {name for i, axis in enumerate(grid.axes) if i != place for of in axis.overrides for name in of}
    other |= {f"{stream}_seed" for stream in STREAMS} | ({"steps"} if "epochs" in set.union(*named) else set())
    differing = {name for of in whole for name in of if any(of[name] != more.get(name) for more in whole)}
    for point, of in zip(overrides, whole, strict=True):
        left = sorted((differing - other - set(point)) & set(of))
        point |= {name: of[name] for name in left if isinstance(of[name], str | int | float | None)}
    return overrides


def _plain(overrides: Mapping[str, Any]) -> dict[str, Any]:
    given = {n: losses.name_of(v) if n == "loss" else v for n, v in overrides.items()}
    return {n: v if isinstance(v, str | int | float | None) else repr(v) for n, v in given.items()}


def check_same_sweep(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuses a result whose runs are not all among those asked for, naming what differs.

    Args:
      path: of the result.
      old, new: `described` of what it holds and of what is asked for.
    """
    reasons = code.differences(old.get("code", []), new.get("code", []), path)
    held, asked = old.get("config", {}), new["config"]  # what another script wrote need not have all that a sweep has
    for name in sorted({*held, *asked}):
        if name in held and name in asked and held[name] != asked[name]:
            reasons.append(f"{name} is {held[name]} there and {asked[name]} here")
    if _contents(old) - _contents(new):
        reasons.append("its runs start from other weights")
    for name, points in old.get("axes", {}).items():
        wanted = new["axes"].get(name, [{n: asked.get(n) for n in points[0]}])
        if missing := [point for point in points if point not in wanted]:
            reasons.append(f"it has {', '.join(_point(p) for p in missing[:4])}, which are not asked for")
    what = "; ".join(reasons) or "its runs have other settings, perhaps those of another version of grokjax"
    raise ConfigError(
        f"{path} holds another sweep: {what}. Choose another --out, ask for all its values and more, or --overwrite it."
    )


def _point(point: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in point.items())
