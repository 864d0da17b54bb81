"""Ends a sweep at random moments, over and over, lets it finish, and compares its result with an undisturbed one.

    python tests/soak.py --kills=50 --folder=EMPTY

Most lives end by SIGKILL, some by SIGTERM or SIGHUP, after which a life must end by itself, saying so, and give back
its lock. In some lives standard error or standard output cannot be written. Before the first, folders that somebody
else made stand beside the result: the sweep must refuse them and leave them alone.

Each time the same command goes on. What is lost by a kill is what was done since the last checkpoint, so the age of
that is told: it may be little more than the interval.
"""

import argparse
import json
import math
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grokjax import results

SWEEP = (
    "--model=mlp --modulus=23 --num_layers=1 --width=32 --batch_size=64 --train_fraction=0.3,0.5 --num_seeds=3 "
    "--weight_decay=0,1 --eval_at=every:100 --snapshots=3 --progress=false"
)


def command(out: Path, steps: int, interval: float) -> list[str]:
    """The command line of a sweep of 12 runs of so many steps, with so many seconds between checkpoints."""
    flags = [*SWEEP.split(), f"--steps={steps}", f"--checkpoint_minutes={interval / 60}", f"--out={out}"]
    return [sys.executable, "-m", "grokjax", "sweep", *flags]


ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
"""What ends a life, each as likely as its share."""

STREAMS = ("", "", "stderr", "stdout")
"""What cannot be written in a life, likewise; '' is nothing."""


def killed(
    argv: Sequence[str],
    out: Path,
    seconds: float,
    end: int = signal.SIGKILL,
    broken: str = "",
    once_saved: bool = False,
) -> float | None:
    """Starts the sweep and ends it by a signal after so many seconds; the age in seconds of what it had last saved.

    The seconds count from when it has the lock; negative ones, which end it before, from its start. With `once_saved`
    it lives until it has saved something, however long that takes. `broken` names a stream that cannot be written.

    None if it had come to its end, NaN if it had not yet saved anything in this life. A life that another signal than
    SIGKILL ended while it trained has saved everything: its age is 0.

    Raises:
      SystemExit: if it failed by itself, or did not end as it should.
    """
    begin = time.time()
    with open("/dev/full", "w") as full:
        pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) | ({broken: full} if broken else {})
        process = subprocess.Popen(argv, text=True, **pipes)

    def saved() -> list[float]:
        folders = out.with_suffix(".checkpoints").glob("[0-9]*")
        return [at for at in map(_committed, folders) if at > begin]

    def lives() -> bool:
        nonlocal locked_at
        locked_at = locked_at or (_owner(out) == process.pid and time.time())
        over = time.time() >= (locked_at or math.inf) + seconds if seconds >= 0 else time.time() >= begin - seconds
        return not over or (once_saved and not saved())

    locked_at = 0.0
    while process.poll() is None and lives():
        time.sleep(0.02)
    if running := process.poll() is None:
        mine, now = saved(), time.time()
        locked = _owner(out) == process.pid
        process.send_signal(end)
    _, said = process.communicate()
    if running and process.returncode and end == signal.SIGKILL:
        return now - max(mine) if mine else float("nan")
    if running and process.returncode == -end and not locked:
        return float("nan")  # while it imported what it needs, before there was anything to lose
    if running and process.returncode == 128 + end:
        if out.with_name(f".{out.name}.lock").exists():
            raise SystemExit(f"After signal {end} the lock is still there.")
        if broken != "stderr" and not re.search("the same command (continues|begins it)", said, re.IGNORECASE):
            raise SystemExit(f"After signal {end} it says: {said}")
        return 0.0 if broken == "stderr" or "continues" in said else float("nan")
    if process.returncode:
        raise SystemExit(f"The sweep failed by itself ({process.returncode}): {said}")
    return None


def refuses_foreign_folders(argv: Sequence[str], out: Path) -> bool:
    """Whether folders that somebody else made are refused, each in a sentence, and left as they are."""
    for kind, name in (("params", "weights.pt"), ("checkpoints", "3/weights.pt")):
        folder = out.with_suffix(f".{kind}")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 1 or f"{folder} was not made by grokjax" not in done.stderr or out.exists():
            return False
        if (folder / name).read_text() != "mine":
            return False
        shutil.rmtree(folder)
    return True


def _owner(out: Path) -> int | None:
    """Which process has, or had when it was killed, the lock of a result; None if none has."""
    try:
        return int(out.with_name(f".{out.name}.lock").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def _committed(folder: Path) -> float:
    """When a checkpoint was complete; 0 if it is not."""
    try:
        return folder.stat().st_mtime if folder.name.isdigit() else 0.0
    except FileNotFoundError:
        return 0.0


def finished(argv: Sequence[str]) -> str:
    """Lets the sweep come to its end; what it says."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The sweep failed by itself: {done.stderr}")
    return done.stderr


def differences(one: Path, other: Path) -> list[str]:
    """Names of what is not the same to the bit in two results, parameters and snapshots included."""
    (ours, _), (theirs, _) = results.read(one), results.read(other)
    found = [name for name in sorted({*ours, *theirs}) if not _same(ours.get(name), theirs.get(name))]
    folders = [path.with_suffix(".params") for path in (one, other)]
    names = [{file.name for file in folder.glob("*.npz")} for folder in folders]
    found += sorted(names[0] ^ names[1])
    for name in sorted(names[0] & names[1]):
        params = [np.load(folder / name) for folder in folders]
        if set(params[0]) != set(params[1]) or not all(_same(params[0][k], params[1][k]) for k in params[0]):
            found.append(name)
    return found


def _same(a, b) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def soak(folder: Path, kills: int, steps: int, longest: float, seed: int, interval: float = 4.0) -> dict:
    """Ends a sweep so many times within `longest` seconds each, and lets it finish; it saves every `interval` seconds.

    Returns:
      What happened: 'kills', 'ends' by signal, 'ages' of what was last saved at each (seconds), 'differences' from an
      undisturbed sweep, 'leftovers' in the folder, whether foreign folders were 'refused', and 'seconds'.
    """
    begin, draw = time.time(), random.Random(seed)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # else a sweep would ignore it, as it must under nohup, if this does
    calm, out = folder / "calm.npz", folder / "killed.npz"
    argv = command(out, steps, interval)
    finished(command(calm, steps, interval))
    refused = refuses_foreign_folders(argv, out)
    ages, ends = [], []
    for number in range(kills):
        end, broken = (draw.choice(ENDS), draw.choice(STREAMS)) if number else (signal.SIGKILL, "")
        seconds = draw.uniform(-longest / 4, longest)
        age = killed(argv, out, seconds, end, broken, once_saved=not number)
        if age is None:
            break
        ages.append(age)
        ends.append(signal.Signals(end).name)
        where = f", {broken} full" if broken else ""
        print(f"{number + 1}: {ends[-1]}{where}, {age:.1f} s after the last checkpoint", file=sys.stderr, flush=True)
    finished(argv)
    expected = {"calm.npz", "calm.params", "killed.npz", "killed.params"}
    return dict(
        kills=len(ages),
        ends={name: ends.count(name) for name in sorted(set(ends))},
        ages=[round(age, 2) for age in ages],
        differences=differences(calm, out),
        leftovers=sorted({path.name for path in folder.iterdir()} - expected),
        refused=refused,
        seconds=round(time.time() - begin),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=80_000, help="of each of the 12 runs")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds that a life trains at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, required=True, help="empty, to work in")
    told = parser.parse_args()
    found = soak(told.folder, told.kills, told.steps, told.longest, told.seed)
    print(json.dumps(found))
    failed = found["differences"] or found["leftovers"] or not found["refused"] or found["kills"] < told.kills
    sys.exit(bool(failed))
