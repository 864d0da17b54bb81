"""Where a sweep writes: checked before the first step, and its folders marked, so that others' files are never touched.

A result x.npz has up to three folders beside it, each made by a sweep and marked by a file in it: x.params with the
parameters, x.checkpoints with the runs under way, x.parts with the parts of a sweep in shares.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from pathlib import Path

from grokjax.config import ConfigError

MARK = ".grokjax"
"""The file by which a folder of ours is known."""

ROOM = 2**16
"""Bytes that a disk must have left for a sweep to begin."""

DEEPEST = 200
"""Characters that a checkpoint's files add to the path of its folder, at most."""

ENTRIES = {
    ".params": r"[0-9a-f]{16}(-\d+)?\.npz",
    ".checkpoints": r"\d+(\.orbax-checkpoint-tmp.*)?",
    ".parts": r"\d+-of-\d+\.(npz|checkpoints|json)|request\.json",
}
"""By the suffix of a folder, the names of what sweeps write into it, besides what is `TEMPORARY`."""

TEMPORARY = r"\.grokjax|\..*\.[0-9a-f]{8}\.tmp|\..*\.lock"
"""Names of the mark, of files that are being written, and of locks."""


def named(out) -> Path:
    """The path that `out` names, of a file that is there or may be made; ConfigError otherwise.

    A symbolic link is followed, so that its target is written and the link stays.
    """
    try:
        path = Path(out)
        usable = bool(str(out)) and b"\0" not in os.fsencode(path)
    except (TypeError, ValueError):  # of another type, or with characters that no name can have
        usable = False
    if not usable:
        raise ConfigError(f"out={out!r} is no name of a file. Try out='results/sweep.npz'.")
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder. Name a file in it, such as --out={path / 'sweep.npz'}.")
    if path.suffix != ".npz":
        raise ConfigError(f"out={out} does not end in .npz. Try --out={path.with_suffix('.npz')}.")
    if path.is_symlink():
        try:
            path = path.resolve()
        except (OSError, RuntimeError):
            raise ConfigError(f"out={out} is a link that leads back to itself. Choose another name.") from None
        if path.suffix != ".npz":
            raise ConfigError(f"out={out} is a link to {path}, which does not end in .npz. Choose another name.")
    if path.exists() and not path.is_file():
        raise ConfigError(f"out={out} is not a file that can be replaced. Choose another name.")
    if not path.parent.is_dir():
        raise ConfigError(f"out={out} lies in a folder that does not exist. Make {path.parent}, or choose another.")
    return path


def check(path: Path, suffixes: tuple[str, ...]) -> None:
    """ConfigError if a result, or what is kept in folders beside it, could not be written.

    Args:
      path: of the result, from `named`.
      suffixes: of the folders, among those of `ENTRIES`.
    """
    try:
        # The longest name of all that is written beside the result is that of the result while it is written.
        _try_to_write(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"))
        if len(os.fsencode(path.absolute())) + DEEPEST > _limit(path.parent, "PC_PATH_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise ConfigError(unwritable(path, error)) from None
    if _of_somebody_else(path):
        raise ConfigError(
            f"out={path} belongs to another user, and its folder lets nobody else replace it. Choose another name."
        )
    for suffix in suffixes:
        _check_folder(path, path.with_suffix(suffix))


def unwritable(path: Path, error: OSError) -> str:
    """A sentence on why a result cannot be written, from the error that trying gave."""
    reason = error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"out={path} lies on a disk that is full ({reason}). Free some space, or choose another."
    if error.errno == errno.ENAMETOOLONG:
        length, added = len(os.fsencode(path.name)), len("..12345678.tmp")
        longest = _limit(path.parent, "PC_NAME_MAX") - added
        if length > longest:
            return (
                f"out={path} has a name of {length} bytes, and {added} more are added while it is written. Choose a "
                f"name of at most {longest}."
            )
        return f"out={path} lies too deep for the files beside it ({reason}). Choose a folder with a shorter path."
    return f"out={path} lies in a folder that cannot be written to ({reason}). Choose another."


def _limit(folder: Path, name: str) -> int:
    """How long a name or a path may be there, in bytes; on systems that do not say, what most have."""
    try:
        return os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):
        return {"PC_NAME_MAX": 255, "PC_PATH_MAX": 4096}[name]


def _try_to_write(temporary: Path) -> None:
    """Writes a file and removes it again; OSError if that fails."""
    try:
        with open(temporary, "xb") as stream:
            stream.write(bytes(ROOM))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _of_somebody_else(path: Path) -> bool:
    """Whether a folder such as /tmp, where only its owner may replace a file, keeps us from replacing this one."""
    if not path.exists() or not hasattr(os, "geteuid"):
        return False
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (0, folder.st_uid, path.stat().st_uid)


def _check_folder(path: Path, folder: Path) -> None:
    """ConfigError if a folder beside a result is not ours, or cannot be written to."""
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise ConfigError(
                f"{folder} is not a folder, and a sweep with --out={path} writes to one of this name. Move it away, or "
                "choose another --out."
            )
        return
    if (foreign := _foreign(folder)) is not None:
        raise ConfigError(
            f"{folder} was not made by grokjax (it holds {foreign}), and a sweep with --out={path} writes to a folder "
            "of this name. Move it away, or choose another --out."
        )
    try:
        _try_to_write(folder / f".try.{uuid.uuid4().hex[:8]}.tmp")
    except OSError as error:
        raise ConfigError(unwritable(folder, error).replace("out=", "", 1)) from None


def _foreign(folder: Path) -> str | None:
    """What a folder without our mark holds that no sweep wrote; None if there is nothing of the kind."""
    if (folder / MARK).exists():
        return None
    return next((entry.name for entry in sorted(folder.iterdir()) if not _ours(entry)), None)


def _ours(entry: Path) -> bool:
    """Whether an entry of a folder beside a result is one that sweeps write."""
    if re.fullmatch(TEMPORARY, entry.name):
        return True
    if not re.fullmatch(ENTRIES[entry.parent.suffix], entry.name):
        return False
    # Others number their checkpoints too; only ours have a text of this name.
    return not (entry.name.isdigit() and entry.parent.suffix == ".checkpoints") or (entry / "told").is_dir()


def claim(folder: Path) -> None:
    """Makes a folder of a sweep, if need be, and marks it as ours; OSError if that cannot be."""
    folder.mkdir(exist_ok=True)
    mark = folder / MARK
    if not mark.exists():
        mark.write_text("Made by grokjax, which may remove what it has written here.\n")


def remove(folder: Path) -> None:
    """Removes what sweeps have written into a folder, and the folder unless it holds anything else."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name != MARK and re.fullmatch(f"{ENTRIES[folder.suffix]}|{TEMPORARY}", entry.name):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    entry.unlink()
    if {entry.name for entry in folder.iterdir()} <= {MARK}:
        with contextlib.suppress(OSError):
            (folder / MARK).unlink(missing_ok=True)
            folder.rmdir()
