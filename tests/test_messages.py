"""A message that cannot be written ends nothing, and what is lost by it is the message."""

import os
import subprocess
import sys

import pytest
from tiny import tiny

import grokjax as gj
from grokjax.messages import STANDARD_ERROR, say, show

FULL = "/dev/full"
SWEEP = """
import sys
from grokjax.cli.training import sweep_command as main
main(["sweep", "--modulus=11", "--num_layers=1", "--width=16", "--num_heads=2", "--batch_size=32", "--num_seeds=2",
    "--steps=40", "--eval_at=every:20", "--num_devices=1", *sys.argv[1:]])
"""


class Broken:
    """A stream whose every use fails, as that of a terminal which is gone."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    flush = isatty = fileno = lambda self, *_: self.write("")


ERRORS = [
    OSError(5, "Input/output error"),
    BrokenPipeError(32, "Broken pipe"),
    ValueError("I/O operation on closed file"),
]


@pytest.mark.parametrize("stream", [*map(Broken, ERRORS), None], ids=["terminal gone", "pipe", "closed", "none"])
def test_a_sweep_whose_messages_cannot_be_written_saves_its_curves(tmp_path, monkeypatch, stream):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        assert not STANDARD_ERROR.isatty()
        grid = gj.sweep(tiny(), out=tmp_path / "a.npz", num_devices=1)
    assert gj.load(tmp_path / "a.npz").identical(grid)


def test_a_message_of_none_is_not_printed_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    say("to nobody")
    assert capsys.readouterr().out == ""


def test_a_bar_whose_terminal_goes_while_it_is_shown_ends_no_training(monkeypatch):
    class Terminal(Broken):
        encoding, left = "utf-8", 1

        def write(self, text):
            self.left -= 1
            if self.left < 0:
                raise self.error
            return len(text)

        def isatty(self):
            return True

        def flush(self):
            pass

    terminal = Terminal(ERRORS[0])
    monkeypatch.setattr(sys, "stderr", terminal)
    grid = gj.sweep(tiny(), num_devices=1)
    assert (grid.status == "finished").all() and terminal.left < 0


@pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no device that is always full")
def test_a_full_disk_under_standard_output_and_then_under_error_is_no_traceback(tmp_path):
    out, table = tmp_path / "a.npz", []
    for streams in ("stdout", "stderr"):
        with open(FULL, "w") as full:
            pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE) | {streams: full}
            done = subprocess.run([sys.executable, "-c", SWEEP, f"--out={out}"], text=True, **pipes)
        assert done.returncode == 0 and (gj.load(out).status == "finished").all()
        table.append(done)
    assert table[0].stderr.endswith("Standard output cannot be written (No space left on device).\n")
    assert "Traceback" not in table[0].stderr and table[1].stdout.startswith("runs")


def test_a_reader_that_has_had_enough_is_no_error():
    code = "from grokjax.messages import show; [show('x' * 80) for _ in range(10_000)]"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


def test_what_an_encoding_has_not_is_escaped():
    code = "from grokjax.messages import show; show('loss \u2264 1')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "loss \\u2264 1\n", "")


def test_what_is_printed_is_printed(capsys):
    show("a table")
    say("a message")
    say("a secret", aloud=False)
    assert capsys.readouterr() == ("a table\n", "a message\n")
