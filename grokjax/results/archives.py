"""NPZ archives: written whole or not at all, and looked at before they are unpacked."""

import contextlib
import errno
import glob
import math
import os
import reprlib
import stat
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from grokjax.results.values import ResultError

AGAIN = "Restore it from a copy, or run the sweep again with --overwrite."


MOST_META = 256 * 2**20
"""Bytes that a meta may take, unpacked: those of a million runs."""


def path_of(path: object) -> Path:
    """What was given as a path; ResultError if it cannot be one."""
    try:
        return Path(path)
    except TypeError:
        raise ResultError(
            f"path={reprlib.repr(path)} is not a path. Pass that of a file, such as 'results/add.npz'."
        ) from None


def storable(path: Path, name: str, value) -> np.ndarray:
    """`value` as an array that NumPy reads back without pickle, or ResultError."""
    array = np.asarray(value)
    if array.dtype.kind not in _KINDS:
        raise ResultError(
            f"{path} was not written: {name} has dtype {array.dtype}, which plain NPZ cannot hold. "
            "Convert it to numbers, booleans or str first (bfloat16 to float32)."
        )
    return array


def head_of(array: "np.ndarray | Member") -> str:
    """What an array is but for its values, e.g. '<f4(3, 20)'."""
    return f"{array.dtype.str}{array.shape}"


def pack(stream: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an NPZ. As np.savez_compressed, but any array name is allowed."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


class Member(NamedTuple):
    """What an array of an NPZ claims to be, by its header.

    Attributes:
      info: where it lies in the archive.
      dtype, shape: of the array.
      nbytes: that it takes, unpacked.
    """

    info: zipfile.ZipInfo
    dtype: np.dtype
    shape: tuple[int, ...]
    nbytes: int


class Archive:
    """An open NPZ of plain arrays, of which all headers are read, and no values yet.

    A file of 3 MB may unpack to 3 GB. So an array is unpacked only once its header has been seen, to the size that this
    claims and no more, and only where the machine has the memory.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self._archive = path, archive
        self.members: dict[str, Member] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in self.members:
                raise ValueError(f"it holds {name} twice")
            self.members[name] = self._member(info)

    def _member(self, info: zipfile.ZipInfo) -> Member:
        with self._archive.open(info) as stream:
            read_header = _HEADERS[np.lib.format.read_magic(stream)]
            shape, _, dtype = read_header(stream)
            nbytes = dtype.itemsize * math.prod(shape)
            if dtype.kind not in _KINDS or min(shape, default=0) < 0 or stream.tell() + nbytes != info.file_size:
                raise ValueError(f"{info.filename} is not the plain array that it says it is")
        return Member(info, dtype, shape, nbytes)

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Some of its arrays; ResultError if they take more than the machine's memory."""
        names = list(names)
        if (needs := sum(self.members[name].nbytes for name in names)) > memory():
            raise ResultError(
                f"{self.path} unpacks to {size_of(needs)}, more than the {size_of(memory())} of memory of this "
                "machine. Read it on a larger one."
            )
        return {name: self._array(self.members[name]) for name in names}

    def _array(self, member: Member) -> np.ndarray:
        with self._archive.open(member.info) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # at its end the member's CRC is checked
        return array


_KINDS = "biufcU"


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextlib.contextmanager
def opened(path: Path, what: str, remedy: str) -> Iterator[Archive]:
    """An open NPZ. ResultError with `what` and `remedy` if it is missing or damaged, also where the body notices."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):  # a pipe or a device may block, or never end
            raise ResultError(f"{path} is not a regular file, and a {what} is one. Check the path.")
        stream = open(path, "rb")  # noqa: SIM115 - closed below; what goes wrong there is damage, not a wrong path
    except FileNotFoundError as error:
        raise ResultError(f"There is no {what} {path}. {remedy}") from error
    except OSError as error:
        raise ResultError(f"The {what} {path} cannot be read: {error.strerror}. {remedy}") from error
    except ValueError as error:  # a path with a null byte
        raise ResultError(f"The {what} {str(path)!r} cannot be read: {error}. {remedy}") from error
    with stream:
        if stream.read(2) != b"PK":
            raise ResultError(f"{path} is not an NPZ file, and a {what} is one. Check the path.")
        try:
            with zipfile.ZipFile(stream) as archive:
                yield Archive(path, archive)
        except ResultError:
            raise
        except Exception as error:  # damage surfaces as any of a dozen types: BadZipFile, zlib.error, EOFError, ...
            why = "is cut short, damaged, or not an NPZ of plain arrays"
            raise ResultError(f"{path} {why} ({error}). {AGAIN}") from error


def memory() -> int:
    """Bytes of the machine's memory; without bound where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def size_of(count: int) -> str:
    """Bytes for reading."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def replace_file(path: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Writes a file by `fill(stream)`, to disk, under its name only once it is complete."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ResultError(
            f"{path} cannot be written: {error.strerror or error}; what was there before is untouched. "
            "Free some space or choose another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_unfinished(path: str | os.PathLike) -> None:
    """Removes what killed processes had begun to write as `path` or, where that is a folder, into it.

    Only for whom nobody else writes there.
    """
    path = Path(path)
    name, digits = "*.npz" if path.is_dir() else glob.escape(path.name), "[0-9a-f]" * 8  # as `_replace` has them
    for left in (path if path.is_dir() else path.parent).glob(f".{name}.{digits}.tmp"):
        with contextlib.suppress(OSError):
            left.unlink()


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut, on the systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
