"""The right to write one result: held by one process at a time, and given back when that process dies."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from grokjax.config import ConfigError
from grokjax.sweeps.outputs import unwritable

PATIENCE = 0.2
"""Seconds to wait for a lock, for its last owner may be just removing its file."""

WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
"""Errors by which a file system says that it has no locks, as network file systems may."""


class Taken(ConfigError):
    """Another process has the right to write."""


@contextlib.contextmanager
def owned(path: Path) -> Iterator[None]:
    """While inside, no other process may enter for the same path.

    The lock is the system's, on a hidden file beside `path`, so that it ends with its owner, however that ends. Where
    the system or the file system has none, a file's existence is the lock, and `filelock` removes it once its owner is
    gone from this machine.

    Args:
      path: of a result that is to be written.

    Raises:
      Taken: if another process is inside, naming it.
      ConfigError: if no lock can be taken, saying why.
    """
    file = path.with_name(f".{path.name}.lock")
    lock = _acquired(file, path)
    try:
        yield
    finally:
        if not isinstance(lock, filelock.SoftFileLock):  # which is removed by its release
            with contextlib.suppress(OSError):
                file.unlink()
        lock.release()


def _acquired(file: Path, path: Path) -> filelock.BaseFileLock:
    try:
        lock = filelock.FileLock(file, timeout=PATIENCE, fallback_to_soft=False)
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            with contextlib.suppress(OSError):
                file.unlink()
            lock = filelock.SoftFileLock(file.with_suffix(".soft.lock"), timeout=PATIENCE)
            lock.acquire()
    except filelock.Timeout:
        raise Taken(_held(lock, path)) from None
    except OSError as error:
        raise ConfigError(unwritable(path, error)) from None
    if not isinstance(lock, filelock.SoftFileLock):  # which names its owner itself
        with contextlib.suppress(OSError):  # a name is no need
            file.write_text(f"{os.getpid()} on {socket.gethostname()}")
    return lock


def _held(lock: filelock.BaseFileLock, path: Path) -> str:
    """A sentence on who has the lock."""
    file, owner = Path(lock.lock_file), ""
    with contextlib.suppress(OSError):
        owner = " on ".join(file.read_text(errors="replace")[:200].split("\n")[:2])
    soft = f"; if that process has ended, remove {file}" if isinstance(lock, filelock.SoftFileLock) else ""
    return (
        f"{path} is being written by another process{owner and f' ({owner})'}. Wait for it, or choose another "
        f"--out{soft}."
    )
