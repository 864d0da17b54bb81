"""The command `grokjax`: sweep, run, join, draw, explore, report, list, benchmark. Every verb is also a script.

    grokjax sweep --modulus=97 --train_fraction=0.3:0.8:0.05 --out=add.npz     any grid of runs
    grokjax run pku/optimizers --preset=quick                                  an experiment
    grokjax draw pku/optimizers                                                its figure
    grokjax explore results/add.npz                                            a page to click through its runs
    grokjax report                                                             which claims replicate
    grokjax list                                                               every experiment

Importing JAX takes seconds, so this module imports it late, and Ctrl-C ends a command in a sentence from its first
moment.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

VERBS = {
    "sweep": "train any grid of runs: every setting is a flag, one value, a list or a range",
    "run": "train an experiment of a study: grokjax run pku/optimizers --preset=quick",
    "join": "join what there is of a sweep in shares: grokjax join results/add.npz",
    "draw": "draw the figure of an experiment: grokjax draw pku/optimizers",
    "explore": "look at a result in a browser: grokjax explore results/add.npz",
    "report": "judge the studies' claims on the results that are there, and write what held",
    "list": "list every experiment: title, minutes, claims and verdicts",
    "benchmark": "measure run-steps per second against the machine's peak",
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command, from the command line; exits: 0 done, 1 refused or failed, 128 + n ended by signal n."""
    argv = list(sys.argv if argv is None else argv)
    with importing():
        from grokjax.cli import verbs
    verbs.main(argv)


def sweep(argv: Sequence[str] | None = None) -> None:
    """Trains any grid of runs from the command line, and exits as `main` does."""
    with importing():
        from grokjax.cli import training
    training.sweep_command(list(sys.argv if argv is None else argv))


def run(experiment, argv: Sequence[str] | None = None) -> None:
    """Runs an experiment from the command line of its script, and exits as `main` does.

    Args:
      experiment: a `grokjax.study.Experiment`.
      argv: program and arguments; default: of this process.
    """
    with importing():
        from grokjax.cli import training
    training.run(experiment, list(sys.argv if argv is None else argv))


def show(name: str, argv: Sequence[str] | None = None) -> None:
    """Draws the figure of an experiment from the command line of its script, and exits as `main` does.

    Args:
      name: of the experiment, such as 'pku/width'.
      argv: program and arguments; default: of this process.
    """
    with importing():
        from grokjax.cli import drawing
    drawing.show(name, list(sys.argv if argv is None else argv))


class importing:
    """While inside, Ctrl-C ends the process in a sentence.

    An exception in a signal's handler may be raised in code that does not expect it. There is nothing to save yet, so
    the handler itself ends the process.
    """

    def __enter__(self):
        handler = signal.getsignal(signal.SIGINT)
        self.ours = handler in (signal.default_int_handler, _end_at_once)
        if self.ours:
            signal.signal(signal.SIGINT, _end_at_once)

    def __exit__(self, *exception):
        if self.ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_at_once(number, frame) -> None:
    try:
        os.write(2, f"\n{sys.argv[0]}: Ended before anything was begun.\n".encode(errors="replace"))
    finally:
        os._exit(128 + number)


def _is_script() -> bool:
    """Whether this process runs a script of experiments/ or figures/, which imports JAX before it calls `run`."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return file is not None and bool({"experiments", "figures"} & set(Path(file).resolve().parts[-3:-1]))


if _is_script() and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_at_once)
