"""Throws random command lines at the program: each must be refused in one sentence, or be one that could train.

    python tests/fuzz.py --count=10000

Nothing is trained: where training would begin, the attempt counts as accepted. No attempt may raise, hang, write to the
terminal what is no sentence, or leave a file.
"""

import argparse
import collections
import contextlib
import io
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from grokjax.cli.flags import SWEEP_FLAGS, SWEEP_SWITCHES, all_settings
from grokjax.cli.training import sweep_command as main
from grokjax.config import OTHER_NAMES, OTHER_VALUES, SENTENCES
from grokjax.sweeps import devices, forecast
from grokjax.sweeps.components import COMPONENTS
from grokjax.sweeps.training import Training

LONGEST = 30
"""Seconds after which an attempt hangs."""

ELSEWHERE = [*OTHER_NAMES, *SENTENCES]
"""What other projects call settings."""

NUMBERS = ["0", "1", "2", "3", "5", "7", "11", "13", "16", "32", "64", "97", "0.1", "0.5", "1e-3", "1", "1.0"]
EXTREMES = [
    "-1",
    "128",
    "1e7",
    "1e9",
    "1e18",
    "-1e400",
    "1e400",
    "nan",
    "inf",
    "-0",
    "1e-300",
    "2147483648",
    "9223372036854775808",
    "1e5000",
    "1e-5000",
    "-1e999999999",
    "1e999999999",
    "1e-999999999",
    "1e99999999999999999999",
    "1e-999",
    "1e-340",
    "1e-46",
    "9" * 5000,
    "0." + "9" * 5000,
    "0.44999999999999996",
    "0.44999998807907104",
    "0:1e5000:1",
    "0:1:1e-5000",
    "0:1e300:1",
    "0:1e18:1e17",
    "0:1:0.1",
    "1e999999999:1e999999999:1",
    "every:" + "9" * 5000,
]
MALFORMED = [
    "",
    " ",
    ",",
    "1,",
    ",1",
    "1,,2",
    ":",
    "1:2",
    "1:2:0",
    "2:1:1",
    "0:1e9:1",
    "a",
    "none",
    "None",
    "true",
    "0x10",
]
STRANGE = [
    "ü",
    "'",
    '"',
    "\\",
    "a=b",
    "--seed=1",
    "*",
    "x^2",
    "(x+y",
    "x/0",
    "x" * 500,
    "\x00",
    "%s",
    "{}",
    "../a",
    "a.py:b",
    "task=a.py:b",
    "task=a.py:b : seed=1",
    "a: task=a.py:b; b: seed=1",
    "a:b:c",
    "ADD",
    "Adam-W",
    "+",
    "*",
    "-",
    "/",
]
TEXTS = [
    "add",
    "x+y",
    "x^3+x*y",
    "a b =",
    "a o b =",
    "<eos> a o b = c <eos>",
    "every:50",
    "log:300",
    "every:0",
    "log:-1",
]


def command_line(draw: random.Random) -> list[str]:
    """A few flags, some of them misspelt, each with a value that may be anything."""
    known = all_settings()
    names = [*known, *known, *COMPONENTS, *SWEEP_FLAGS, *SWEEP_SWITCHES]
    flags = []
    for name in draw.choices(names, k=draw.randint(1, 5)):
        name = draw.choice(ELSEWHERE) if draw.random() < 0.03 else name
        if name in ("out", "num_processes", "process_id", "coordinator", "dry_run", "help", "version"):
            continue
        flags.append(
            f"--{_misspelt(draw, name)}{'=' * draw.choices([1, 0, 2], [50, 2, 1])[0]}{_value(draw, name, known)}"
        )
    return flags


def _misspelt(draw: random.Random, name: str) -> str:
    if draw.random() > 0.05:
        return name
    place = draw.randrange(len(name))
    return draw.choice(
        [
            name[:place] + name[place + 1 :],
            name[:place] + "x" + name[place:],
            name.upper(),
            name.replace("_", "-"),
            name[::-1],
        ]
    )


def _value(draw: random.Random, name: str, known) -> str:
    pools = [NUMBERS, EXTREMES, MALFORMED, STRANGE, TEXTS]
    choices = known[name].metadata["choices"] if name in known else list(COMPONENTS.get(name, ()))
    weights = [10, 4, 2, 2, 2]
    if choices:
        pools, weights = [*pools, list(map(str, choices))], [*weights, 30]
        pools, weights = [*pools, [str(choice).title() for choice in choices]], [*weights, 5]
    if name in OTHER_VALUES:
        pools, weights = [*pools, list(OTHER_VALUES[name])], [*weights, 5]
    values = [draw.choice(draw.choices(pools, weights)[0]) for _ in range(draw.choices([1, 2, 3], [8, 1, 1])[0])]
    return ",".join(values)


class Accepted(Exception):
    """Training would have begun."""


class Hangs(BaseException):
    """The attempt took too long."""


def attempt(arguments: list[str], folder: Path) -> str:
    """Tries a command line; 'refused' or 'accepted', or what is wrong with how it was answered."""

    def refused(error: SystemExit, out: str, err: str) -> bool:
        one_line = len(err.strip().splitlines()) == 1 and err.startswith("sweep: ") and "Traceback" not in err
        return error.code == 1 and one_line and not out

    return tried(lambda: main(["sweep", *arguments, f"--out={folder / 'a.npz'}"]), SystemExit, refused, folder)


def tried(call, errors, refused, folder: Path) -> str:
    """What a call of a sweep, which is not to train, comes to.

    Args:
      call: makes it, without arguments.
      errors: kinds of exception by which it may refuse.
      refused: of such an exception and of what was printed to standard output and error, whether it refuses well.
      folder: in which it may leave nothing.

    Returns:
      'refused' or 'accepted', or what is wrong with how it was answered.
    """

    def begins(*_, **__):
        raise Accepted

    def hangs(*_):
        raise Hangs

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LONGEST)
    try:
        with (
            mock.patch.object(Training, "train", begins),
            mock.patch.object(forecast, "make", _needs),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            call()
        verdict = "ended without training"
    except Accepted:
        verdict = "accepted"
    except errors as error:
        well = refused(error, out.getvalue(), err.getvalue())
        verdict = "refused" if well else f"said {err.getvalue()!r}, {error!r}"
    except Hangs:
        verdict = f"hangs for {LONGEST} s"
    except BaseException as error:
        verdict = f"raised {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    left = [path.name for path in folder.iterdir()]
    return f"left {left}" if left else verdict


def _needs(grid, runs, groups, where, lanes):
    """What a forecast checks before it compiles anything."""
    needs = tuple(forecast.requirements(group, where[0], lanes) for group in groups)
    forecast.Forecast(grid, len(runs), needs, tuple(where), devices.memory(where[0])).check()


def fuzz(count: int, seed: int) -> dict:
    """Makes so many attempts; how many were refused and accepted, the slowest, and what went wrong."""
    draw, verdicts, wrong, slowest = random.Random(seed), collections.Counter(), [], (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            arguments, begin = command_line(draw), time.monotonic()
            verdict = attempt(arguments, Path(folder))
            slowest = max(slowest, (round(time.monotonic() - begin, 2), " ".join(arguments)))
            verdicts[verdict if verdict in ("refused", "accepted") else "wrong"] += 1
            if verdict not in ("refused", "accepted"):
                wrong.append(f"{arguments}: {verdict[:300]}")
                print(wrong[-1], file=sys.stderr, flush=True)
    return dict(verdicts, wrong=wrong, slowest=slowest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    found = fuzz(told.count, told.seed)
    print(json.dumps(found))
    sys.exit(bool(found["wrong"]))
