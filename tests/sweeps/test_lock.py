"""One process writes a result at a time; what a lock fails by is said."""

import errno
import os
import signal
import subprocess
import sys
import warnings

import filelock
import pytest

import grokjax as gj
from grokjax.sweeps import lock
from grokjax.sweeps.lock import owned

TAKES = """
import sys
from pathlib import Path
{first}
from grokjax.sweeps.lock import owned
with owned(Path(sys.argv[1])):
    print("inside", flush=True)
    sys.stdin.read()
"""
WITHOUT_FCNTL = "import warnings; warnings.simplefilter('ignore'); sys.modules['fcntl'] = None"


def taken_by(out, first=""):
    """A process that has the lock."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = subprocess.Popen([sys.executable, "-c", TAKES.format(first=first), str(out)], **pipes)
    assert process.stdout.readline() == "inside\n"
    return process


@pytest.mark.parametrize("first", ["", WITHOUT_FCNTL], ids=["with the system's locks", "without"])
def test_a_lock_names_its_owner_and_dies_with_it(tmp_path, monkeypatch, first):
    out = tmp_path / "a.npz"
    if first:
        monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    with taken_by(out, first) as process:
        with pytest.raises(gj.ConfigError, match=rf"a.npz is being written by another process \({process.pid} on "):
            owned(out).__enter__()
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / ".a.npz.lock").exists()
    with owned(out):
        pass
    assert not list(tmp_path.iterdir())


def test_a_system_without_fcntl_is_one_that_sweeps_run_on(tmp_path):
    with taken_by(tmp_path / "a.npz", WITHOUT_FCNTL) as process:
        process.communicate("")
    assert process.returncode == 0 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", sorted(lock.WITHOUT_LOCKS))
def test_on_a_file_system_without_locks_the_file_is_the_lock(tmp_path, monkeypatch, number):
    fails_by(monkeypatch, number)
    out = tmp_path / "a.npz"
    with owned(out), pytest.raises(gj.ConfigError) as told:
        owned(out).__enter__()
    assert str(told.value).endswith(f"; if that process has ended, remove {tmp_path / '.a.npz.soft.lock'}.")
    assert f"({os.getpid()} on " in str(told.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "lies on a disk that is full ("), (errno.EIO, "lies in a folder that cannot be written to (")],
)
def test_other_errors_of_a_lock_are_not_taken_for_another_process(tmp_path, monkeypatch, number, said):
    fails_by(monkeypatch, number)
    with pytest.raises(gj.ConfigError) as told:
        owned(tmp_path / "a.npz").__enter__()
    assert said in str(told.value) and os.strerror(number) in str(told.value)


def fails_by(monkeypatch, number):
    """Has the system's locks fail by an error."""

    def flock(handle, operation):
        raise OSError(number, os.strerror(number))

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", flock)


def test_an_owner_whose_name_the_full_disk_has_no_room_for_has_the_lock_all_the_same(tmp_path, monkeypatch):
    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "a.npz"
    with monkeypatch.context() as patch, warnings.catch_warnings():
        patch.setattr(type(out), "write_text", no_space)
        with owned(out), pytest.raises(gj.ConfigError, match="is being written by another process. Wait for it"):
            owned(out).__enter__()
