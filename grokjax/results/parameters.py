"""Parameters of runs, final and snapshots: a file each, tied to its run."""

import glob
import json
import math
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grokjax.results.archives import AGAIN, opened, pack, path_of, replace_file, storable
from grokjax.results.files import coords_of, read
from grokjax.results.values import UNFINISHED, ResultError, listed


def write_params(
    folder: str | os.PathLike, run_id: str, tree: Mapping[str, object], *, step: int, final: bool = True
) -> Path:
    """Writes the parameters of one run at one step, whole or not at all: <folder>/<run_id>.npz, -<step> for a snapshot.

    The file also says whose they are and of which step, so that it cannot pass for that of another run.

    Args:
      folder: made if need be; the sweep's meta["params"] names it relative to the result file.
      run_id: names the run within its sweep and the file.
      tree: nested dict of arrays; "/" joins the keys, as in "block_0/w_q". Empty dicts are not kept.
      step: updates done.
      final: whether the run ended there; if not, they are a snapshot.

    Returns:
      The path written.

    Raises:
      ResultError: if a key or dtype cannot be stored, or the file cannot be written.
    """
    if not names_a_file(run_id):
        raise ResultError(f"run_id={run_id!r} cannot name a file of parameters. Use a name without slashes.")
    path = path_of(folder) / f"{run_id if final else snapshot_name(run_id, step)}.npz"
    arrays = {name: storable(path, name, value) for name, value in _flatten(path, tree)}
    arrays[_OWNER] = np.array(json.dumps({"run_id": run_id, "step": int(step)}))
    replace_file(path, lambda stream: pack(stream, arrays))
    return path


def params(path: str | os.PathLike, /, step: int | None = None, **selection) -> dict:
    """The parameters of exactly one run, final or at an earlier step.

    Args:
      path: the result file of its sweep.
      step: one of those that `--snapshots` kept; None: the final parameters.
      **selection: coordinate = value, for every axis with more than one value; zipped coordinates work as
        well. Numbers are matched to a relative 1e-6.

    Returns:
      Nested dict of NumPy arrays.

    Raises:
      ResultError: if a coordinate or value is not there, more than one run is left, nothing was kept of
        the run, or not at this step, or the file of its parameters is that of another run or step.
    """
    path = path_of(path)
    arrays, meta = read(path)
    return params_of_run(path, arrays, meta, only_run(path, arrays, meta, selection), step)[1]


def params_of_run(
    path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping, run: tuple[int, ...], step
) -> tuple[Path, dict]:
    """The file of the parameters of one run of a result that has been read, and the parameters; as `params`."""
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | np.integer)):
        raise ResultError(f"step={reprlib.repr(step)} is not a whole number. Try one that --snapshots kept, or None.")
    run_id = str(arrays["run_id"][run])
    ended = arrays["status"][run] not in UNFINISHED
    if step is None and not ended:
        raise ResultError(f"Run {run_id} of {path} has not ended, so it has no final parameters. Continue the sweep.")
    if not meta.get("params"):
        raise ResultError(
            f"{path} was written without final parameters, so there are none of run {run_id}. "
            "Run its sweep again, keeping the parameters."
        )
    folder = _params_folder(path, meta["params"])
    if not names_a_file(run_id):
        raise ResultError(f"{path} is damaged: its run {run_id!r} cannot name a file of parameters. {AGAIN}")
    remedy = f"Move the folder {folder} along with {path.name}, or run the sweep again."
    last_step = int(arrays["last_step"][run])
    if step is None or (ended and step == last_step):
        file, what, step = folder / f"{run_id}.npz", "file of final parameters", last_step
        return file, _params_of(file, what, remedy, run_id, step)
    file = folder / f"{snapshot_name(run_id, step)}.npz"
    if not os.path.exists(file):
        kept = (other.stem.rpartition("-")[2] for other in folder.glob(f"{glob.escape(run_id)}-*.npz"))
        have = sorted(int(number) for number in kept if number.isdecimal())
        raise ResultError(
            f"{path} has no snapshot of run {run_id} at step {step}, only {listed(have, 24)}. Try one of these, "
            "or run the sweep again with --snapshots."
        )
    return file, _params_of(file, "snapshot", remedy, run_id, int(step))


def _params_folder(path: Path, named: str) -> Path:
    """The folder of parameters that a result names; ResultError if that lies elsewhere than where sweeps keep it."""
    path = path.resolve()  # of a link, the folder is beside its target
    home = path.parent.parent if path.parent.suffix == ".parts" else path.parent  # that of a part is the whole's
    folder = path.parent / named
    if "\0" in named or Path(os.path.abspath(home)) not in Path(os.path.abspath(folder)).parents:
        raise ResultError(
            f"{path} names {named!r} as the folder of its parameters, which does not lie beside it. "
            "If that is meant, read them from there with numpy.load."
        )
    return folder


def _params_of(file: Path, what: str, remedy: str, run_id: str, step: int) -> dict:
    """The parameters in a file, which must be those of this run at this step where it says whose they are."""
    with opened(file, what, remedy) as archive:
        if _OWNER in archive.members:  # older versions did not write it
            owner = json.loads(archive.read([_OWNER])[_OWNER].item())
            if (owner["run_id"], owner["step"]) != (run_id, step):
                raise ResultError(
                    f"{file} holds the parameters of run {owner['run_id']} at step {owner['step']}, not those of run "
                    f"{run_id} at step {step}: another file was copied over it. {AGAIN}"
                )
        return _unflatten(archive.read(name for name in archive.members if name != _OWNER))


def one_run(
    path: str | os.PathLike, /, **selection
) -> tuple[dict[str, np.ndarray], dict[str, object], tuple[int, ...]]:
    """(arrays, meta, index): a result as `read` gives it, and the place of the one run that `params` would select.

    Raises:
      ResultError: as `params`, where no run or more than one is left.
    """
    arrays, meta = read(path)
    return arrays, meta, only_run(Path(path), arrays, meta, selection)


def snapshot_steps(path: str | os.PathLike, /, **selection) -> list[int]:
    """The steps at which parameters of one run were kept, increasing; its last step among them if it has ended.

    Raises:
      ResultError: as `params`.
    """
    arrays, meta, run = one_run(path, **selection)
    if not meta.get("params"):
        return []
    run_id, folder = str(arrays["run_id"][run]), Path(path).parent / str(meta["params"])
    steps = {int(file.stem.rpartition("-")[2]) for file in folder.glob(f"{snapshot_name(run_id, '*')}.npz")}
    if (folder / f"{run_id}.npz").exists():
        steps.add(int(arrays["last_step"][run]))
    return sorted(steps)


def snapshot_name(run_id: str, step: int | str) -> str:
    """What names the parameters of a run at a step that is not its last, as its `run_id` names the final ones."""
    return f"{run_id}-{step}"


def only_run(path: Path, arrays, meta, selection: Mapping[str, object]) -> tuple[int, ...]:
    """Index of the only run of a result whose coordinates have the values of `selection`."""
    dims = list(meta["dims"]["run_id"])
    left = selected(path, arrays, meta, selection)
    still = [dim for dim, mask in left.items() if mask.sum() > 1]
    if still:
        count = np.prod([left[d].sum() for d in left])
        axes = "; ".join(f"{d} ({listed(arrays[d][left[d]].tolist())})" for d in still)
        raise ResultError(f"{count} runs of {path} match, and one was asked for: select also by {axes}.")
    return tuple(int(np.flatnonzero(left[d])[0]) for d in dims)


def selected(path: Path, arrays, meta, selection: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Per axis of a result, which of its points have the values of `selection`; ResultError where none has."""
    dims = list(meta["dims"]["run_id"])
    coords = [n for n in meta.get("coords", coords_of(meta["dims"])) if meta["dims"][n] in [[d] for d in dims]]
    left = {d: np.ones(n, bool) for d, n in zip(dims, arrays["run_id"].shape, strict=True)}
    for name, value in selection.items():
        if name not in coords:
            raise ResultError(f"{name} is not an axis of {path}, only {listed(coords)}. Select by these.")
        if not isinstance(value, bool | int | float | str | np.generic):
            raise ResultError(
                f"{name}={reprlib.repr(value)} is not one value, and one run is asked for. "
                f"Try one of {listed(np.unique(arrays[name]).tolist())}."
            )
        matching = _matching(arrays[name], value)
        if not matching.any():
            raise ResultError(
                f"No run of {path} has {name}={value}; it has {listed(np.unique(arrays[name]).tolist())}."
                f"{_nearest(arrays[name], value)}"
            )
        left[meta["dims"][name][0]] &= matching
    for dim, mask in left.items():
        if not mask.any():
            together = ", ".join(f"{n}={v}" for n, v in selection.items() if meta["dims"][n] == [dim])
            raise ResultError(f"No run of {path} has {together}: these vary together. Select by fewer.")
    return left


def _matching(values: np.ndarray, value) -> np.ndarray:
    """Where a coordinate has a value: numbers to a relative 1e-6, anything else exactly."""
    if values.dtype.kind in "fiu" and isinstance(value, int | float | np.number):
        return np.isclose(values.astype(float), _as_float(value), rtol=1e-6, atol=1e-15, equal_nan=True)
    return np.array([v == value for v in values.tolist()], bool)


def _nearest(values: np.ndarray, value) -> str:
    """A hint at the nearest number of a coordinate, or nothing."""
    if values.dtype.kind not in "fiu" or not isinstance(value, int | float | np.number):
        return ""
    finite = values[np.isfinite(values.astype(float))]
    return f" The nearest is {finite[np.argmin(np.abs(finite - _as_float(value)))]:g}." if finite.size else ""


def _as_float(value) -> float:
    """A number as a float; infinity if it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_OWNER = "grokjax//run"
"""The array that says whose parameters a file holds. No parameter can have its name, for none has an empty key."""


def names_a_file(run_id: str) -> bool:
    """Whether an id, read from a file that anybody may have edited, is a plain file name and leads to no folder."""
    return bool(run_id) and os.path.basename(run_id) == run_id and "\0" not in run_id


def _flatten(path: Path, tree: Mapping[str, object], prefix: str = ""):
    """Pairs of "/"-joined name and leaf of a nested dict."""
    for key, value in tree.items():
        if not isinstance(key, str) or not key or "/" in key:
            raise ResultError(f"{path} was not written: {key!r} is no key for parameters. Use names without '/'.")
        if isinstance(value, Mapping):
            yield from _flatten(path, value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _unflatten(arrays: Mapping[str, np.ndarray]) -> dict:
    """The nested dict of arrays named by "/"-joined keys."""
    tree = {}
    for name, array in arrays.items():
        *parents, leaf = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array
    return tree
