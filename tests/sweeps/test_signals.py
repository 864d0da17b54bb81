"""Signals end a sweep in order, whenever they come: nothing is lost, no lock stays, and a sentence says so."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from test_checkpoints import LONG, interrupted_after
from tiny import run_steps, train

import grokjax as gj
from grokjax.sweeps import forecast
from grokjax.sweeps.signals import Listening


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_between_lock_and_training_gives_the_lock_back_and_says_so(tmp_path, monkeypatch, number):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def make(*_):
        assert (tmp_path / ".a.npz.lock").exists()
        signal.raise_signal(number)
        raise AssertionError("not reached")

    monkeypatch.setattr(forecast, "make", make)
    with pytest.raises(gj.Interrupted) as told:
        train(out=tmp_path / "a.npz")
    assert str(told.value) == "Interrupted before training began. The same command begins it."
    assert told.value.number == number and not list(tmp_path.iterdir())
    assert {each: signal.getsignal(each) for each in before} == before


def test_a_signal_that_is_ignored_as_under_nohup_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Listening() as listening:
            signal.raise_signal(signal.SIGHUP)
        assert not listening.heard and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_while_it_trains_a_signal_asks_to_stop_and_the_next_is_for_who_listened_before(capsys):
    heard = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: heard.append(number))
    try:
        with Listening() as listening:
            listening.training = True
            signal.raise_signal(signal.SIGHUP)
            assert listening.stop.is_set() and listening.heard == [signal.SIGHUP] and not heard
            signal.raise_signal(signal.SIGHUP)
            assert heard == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "Ending after the steps under way; once more ends at once." in capsys.readouterr().err


def test_a_thread_that_cannot_listen_trains():
    grids = []
    thread = threading.Thread(target=lambda: grids.append(train(steps=20)))
    thread.start()
    thread.join()
    assert (grids[0].status == "finished").all()


IMPORTS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has ignored in the background

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print("importing", flush=True)
            try:
                sys.stdin.read(1)
            except BaseException as error:  # as code does that does not expect an interruption while it is imported
                raise ImportError("swallowed") from error

sys.meta_path.insert(0, Slow())
sys.argv = ["grokjax", "sweep", "--help"]
from grokjax.cli import main
main()
"""


@pytest.mark.parametrize("module", ["numpy", "jax", "grokjax.cli.verbs"])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(module):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", IMPORTS.format(module=module)], **pipes) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert said == "\ngrokjax: Ended before anything was begun.\n" and process.returncode == 130


SCRIPT = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            print("importing", flush=True)
            try:
                sys.stdin.read(1)
            except BaseException as error:
                raise ImportError("swallowed") from error

sys.meta_path.insert(0, Slow())
sys.argv = [sys.argv[1], "--help"]
sys.modules["__main__"].__file__ = sys.argv[0]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize("script", ["experiments/pku/width.py", "experiments/sweep.py"])
def test_ctrl_c_while_a_script_imports_what_it_needs_is_no_traceback(script):
    script = os.path.join(os.path.dirname(os.path.dirname(gj.__file__)), script)
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", SCRIPT, script], **pipes) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert said == f"\n{script}: Ended before anything was begun.\n" and process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_dropped_connection_saves_as_a_termination_does(tmp_path, monkeypatch, capsys, number):
    out = tmp_path / "a.npz"
    said = interrupted_after(15, monkeypatch, out=out, number=number, **LONG)
    assert f"of 3 runs are saved in {out}, those under way beside it; the same command continues" in said
    first = run_steps(out)
    assert train(out=out, **LONG).status.values.tolist() == ["finished"] * 3 and first + run_steps(out) == 600


COMPILES = """
import signal, sys, threading, time
import jax
from grokjax.cli.training import sweep_command
from grokjax.sweeps import forecast

def make(*_):
    loop = jax.jit(lambda x: jax.lax.fori_loop(0, 10**7, lambda i, x: x * 0.5 + i, x))
    threading.Thread(target=lambda: [loop(float(i)).block_until_ready() for i in range(999)], daemon=True).start()
    time.sleep(0.5)
    signal.raise_signal(signal.SIGTERM)

forecast.make = make
sweep_command(["sweep", "--modulus=11", "--num_layers=1", "--width=16", "--num_heads=2", "--batch_size=32",
    "--out=" + sys.argv[1]])
"""


def test_a_signal_while_threads_are_inside_xla_ends_the_process_in_order(tmp_path):
    done = subprocess.run([sys.executable, "-c", COMPILES, tmp_path / "a.npz"], capture_output=True, text=True)
    assert done.stderr == "sweep: Interrupted before training began. The same command begins it.\n"
    assert done.returncode == 128 + signal.SIGTERM and not list(tmp_path.iterdir())
