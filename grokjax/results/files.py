"""The result of a sweep, one NPZ file.

A file holds plain arrays (`numpy.load(path, allow_pickle=False)` reads it) and one JSON string, `meta`, which
names the dimensions of every array. It is written whole or not at all, and read with checksums: a damaged
file is an error in one sentence, never wrong numbers. Schema 2:

* coordinates: one array per axis under its name; zipped axes lie along one dimension, named after the first;
  `step`.
* curves, float32 [axes..., step]: `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, and any more.
  NaN where not evaluated and after `last_step`.
* per run, [axes...]: `steps_to_{train,val}_{50,90,95,99}` (+inf = never reached, NaN = not ended) and the same
  with `_bracket`, `status` (one of `STATUSES`), `last_step` (-1 = not run), `max_val_accuracy`,
  `final_val_accuracy`, `num_train`, `steps_per_epoch`, `run_id`.
* `meta`: {"schema": 2, "dims": {array: [dims]}, "coords": [arrays that are coordinates], "long_name": {array:
  text}, "config": {...}, "params": folder of the final parameters, relative to the file, or null,
  "checksums": {array: its type, shape and SHA-256}, "checksum": of all of meta, ...}.

Schema 1 is read as well. It is the same without the checksum of meta, so an edited label is not noticed there.
"""

import hashlib
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from grokjax.results import meta as metadata
from grokjax.results.archives import (
    AGAIN,
    MOST_META,
    Archive,
    Member,
    head_of,
    opened,
    pack,
    path_of,
    replace_file,
    size_of,
    storable,
)
from grokjax.results.values import READS, REQUIRED, SCHEMA, STATUSES, ResultError, listed

_PER_RUN = re.compile(
    r"steps_to_(train|val)_\d+(_bracket)?|status|last_step|(max|final)_val_accuracy|num_train|steps_per_epoch|run_id"
)


def write(path: str | os.PathLike, arrays: Mapping[str, object], meta: Mapping[str, object]) -> None:
    """Writes a result file, whole or not at all; an older file at `path` is replaced only by a complete one.

    Two writes of the same content give the same bytes.

    Args:
      path: where to; its folder is made if need be.
      arrays: name -> array of numbers, booleans or unicode, as the schema above has them.
      meta: strict JSON (no NaN, no NumPy scalars) with at least "dims". "schema", "checksums", "checksum" and, if
        absent, "coords" are set here, in the file only. Without "coords", an array is a coordinate if it is named
        like its dimension, or is one-dimensional, has no step and has none of the schema's per-run names.

    Raises:
      ResultError: if arrays and meta do not fit together, or the file cannot be written.
    """
    path = path_of(path)
    arrays = {name: storable(path, name, value) for name, value in arrays.items()}
    checksums = {name: _checksum(SCHEMA, name, array) for name, array in arrays.items()}
    meta = dict(meta) | {"schema": SCHEMA, "checksums": checksums}
    if wrong := misfit(arrays, meta) or _misstated(arrays):
        raise ResultError(f"{path} was not written: {wrong}.")
    meta.setdefault("coords", coords_of(meta["dims"]))
    try:
        meta = metadata.parsed(metadata.dumped(meta))  # as it will be read
        text = np.array(metadata.dumped(meta | {"checksum": metadata.checksum(meta)}))
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(
            f"{path} was not written: its meta cannot be stored as strict JSON ({error}). Convert NumPy "
            "values with .item() or .tolist(), and NaN or infinity to null or text."
        ) from error
    if text.nbytes > MOST_META:
        raise ResultError(
            f"{path} was not written: its meta takes {size_of(text.nbytes)}, more than {size_of(MOST_META)}."
        )
    replace_file(path, lambda stream: pack(stream, {**arrays, "meta": text}))


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Reads a result file and checks all of it. What its arrays claim to be is checked before any is unpacked.

    Returns:
      (arrays, meta): what `write` was given, and meta with "schema", "checksums", "coords" and, from schema 2 on,
      "checksum".

    Raises:
      ResultError: if the file is missing, damaged, not a result, incomplete, of another schema, edited by hand (from
        schema 2 on), or unpacks to more than the machine's memory.
    """
    path = path_of(path)
    with opened(path, "result file", "Run the experiment that writes it, or check the path.") as archive:
        meta = _read_meta(path, archive)
        claimed = {name: member for name, member in archive.members.items() if name != "meta"}
        if wrong := misfit(claimed, meta) or _misclaimed(claimed, meta):
            raise ResultError(f"{path} is damaged: {wrong}. {AGAIN}")
        arrays = archive.read(claimed)
    if wrong := _misstated(arrays) or _tampered(arrays, meta):
        raise ResultError(f"{path} is damaged: {wrong}. {AGAIN}")
    return arrays, meta


def _read_meta(path: Path, archive: Archive) -> dict:
    """The meta of an open result file, checked but for how it fits the arrays."""
    if "meta" not in archive.members:
        raise ResultError(
            f"{path} is an NPZ but not a result of a sweep: it has no 'meta', only {listed(archive.members)}. "
            "Pass the file that a sweep wrote with --out."
        )
    if archive.members["meta"].nbytes > MOST_META:
        raise ResultError(
            f"{path} is not a result of a sweep: its 'meta' unpacks to {size_of(archive.members['meta'].nbytes)}, and "
            f"that of a result to {size_of(MOST_META)} at most. Pass the file that a sweep wrote with --out."
        )
    text = archive.read(["meta"])["meta"]
    try:
        meta = metadata.parsed(text.item())
        schema = meta["schema"]
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise ResultError(
            f"{path} is an NPZ but not a result of a sweep: its 'meta' is not the JSON of one. "
            "Pass the file that a sweep wrote with --out."
        ) from error
    if type(schema) is not int or schema not in READS:
        raise ResultError(
            f"{path} has schema {reprlib.repr(schema)} and this version of grokjax reads schema {listed(READS)}. "
            "Read it with the version that wrote it, or run the sweep again with --overwrite."
        )
    if schema >= 2 and meta.get("checksum") != metadata.checksum(meta):
        raise ResultError(
            f"{path} is damaged: its 'meta' is not the one that was written, so its labels and settings cannot be "
            f"relied on. {AGAIN}"
        )
    return meta


def coords_of(dims: Mapping[str, Sequence[str]]) -> list[str]:
    """The arrays that are coordinates, where meta does not say; the rule is in `write`."""
    return [
        name
        for name, d in dims.items()
        if list(d) == [name] or (len(d) == 1 and d[0] != "step" and not _PER_RUN.fullmatch(name))
    ]


def _checksum(schema: int, name: str, array: np.ndarray) -> str:
    """What `meta` keeps of an array: SHA-256 of its dtype, shape and values.

    From schema 2 on its name as well, so that two arrays cannot change places; dtype and shape stand before it, so that
    a file that claims to hold something else is refused before it is unpacked.
    """
    head = head_of(array)
    if schema == 1:
        return hashlib.sha256(head.encode() + array.tobytes()).hexdigest()
    return f"{head} {hashlib.sha256(f'{name} {head}'.encode() + array.tobytes()).hexdigest()}"


def misfit(arrays: Mapping[str, np.ndarray | Member], meta: Mapping[str, object]) -> str:
    """What is wrong between the shapes of arrays and meta, or with meta alone, in words; empty if nothing is."""
    dims = meta.get("dims")
    if dims is None:
        return "its meta has no 'dims', which name the dimensions of every array"
    if wrong := metadata.mistyped(meta):
        return wrong
    if "meta" in arrays:
        return "'meta' is the name of the JSON string and cannot be an array"
    if missing := [n for n in {*REQUIRED, *dims} if n not in arrays]:
        return f"the arrays {listed(sorted(missing))} are missing"
    if unnamed := [n for n in arrays if n not in dims]:
        return f"meta['dims'] does not name the dimensions of {listed(unnamed)}"
    if unknown := [n for n in meta.get("coords", ()) if n not in arrays]:
        return f"the coordinates {listed(unknown)} are missing"
    sizes = {}
    for name, array in arrays.items():
        if len(dims[name]) != len(array.shape) or len(set(dims[name])) != len(dims[name]):
            return f"{name} has shape {array.shape} and dimensions {list(dims[name])}"
        for dim, size in zip(dims[name], array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                return f"{name} has {size} values along {dim}, where another array has {sizes[dim]}"
    if lost := [d for d in sizes if list(dims.get(d, ())) != [d]]:
        return f"the axes {listed(lost)} have no coordinate of their name"
    if list(dims["run_id"]) != list(dims["status"]):
        return f"run_id lies along {list(dims['run_id'])} and status along {list(dims['status'])}"
    return ""


def _misstated(arrays: Mapping[str, np.ndarray]) -> str:
    """Which status is none, in words; empty if all are known."""
    unknown = set(np.unique(arrays["status"]).tolist()) - set(STATUSES)
    return f"status {listed(unknown)} is not one of {listed(STATUSES)}" if unknown else ""


def _misclaimed(claimed: Mapping[str, Member], meta: Mapping[str, object]) -> str:
    """Which arrays are not of the dtype and shape that were written, in words; empty if all are."""
    checksums = meta.get("checksums", {})
    if set(checksums) != set(claimed):
        return "its list of checksums does not cover its arrays"
    if meta["schema"] == 1:
        return ""
    changed = [name for name, member in claimed.items() if checksums[name].rpartition(" ")[0] != head_of(member)]
    return f"the values of {listed(changed)} are not those that were written" if changed else ""


def _tampered(arrays: Mapping[str, np.ndarray], meta: Mapping[str, object]) -> str:
    """Which arrays differ from the checksums of meta, in words; empty if none does."""
    schema, checksums = meta["schema"], meta["checksums"]
    changed = [name for name, array in arrays.items() if _checksum(schema, name, array) != checksums[name]]
    return f"the values of {listed(changed)} are not those that were written" if changed else ""
