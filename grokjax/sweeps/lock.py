"""The right to write one result: held by one process at a time, and given back when that process dies."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from grokjax.config import ConfigError


@contextlib.contextmanager
def owned(path: Path) -> Iterator[None]:
    """While inside, no other process may enter for the same path.

    The lock is the system's, on a hidden file beside `path`, so that it ends with its owner, however that ends.

    Args:
      path: of a result that is to be written.

    Raises:
      ConfigError: if another process is inside, naming it.
    """
    file = path.with_name(f".{path.name}.lock")
    handle = _locked(file, path)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
        os.close(handle)


def _locked(file: Path, path: Path) -> int:
    """A handle of the lock's file, locked."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(handle, 200, 0).decode(errors="replace")
            os.close(handle)
            raise ConfigError(
                f"{path} is being written by another process{owner and f' ({owner})'}. Wait for it, or choose another "
                "--out."
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.stat(file).st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)  # its last owner removed it meanwhile
