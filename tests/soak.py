"""Kills a sweep at random moments, over and over, lets it finish, and compares its result with an undisturbed one.

    python tests/soak.py --kills=50

Each time the same command goes on. What is lost by a kill is what was done since the last checkpoint, so the age of
that is told: it may be little more than the interval.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from grokjax import results

INTERVAL = 4.0
"""Seconds between two checkpoints."""

SWEEP = (
    "--modulus=23 --num_layers=1 --width=32 --num_heads=2 --batch_size=64 --train_fraction=0.3,0.5 --num_seeds=3 "
    "--weight_decay=0,1 --eval_at=every:100 --snapshots=3 --progress=false"
)


def command(out: Path, steps: int, more: str = "") -> list[str]:
    """The command line of a sweep of 12 runs of so many steps."""
    minutes = f"--checkpoint_minutes={INTERVAL / 60}"
    flags = [*SWEEP.split(), f"--steps={steps}", minutes, f"--out={out}", *more.split()]
    return [sys.executable, "-m", "grokjax.sweeps.flags", *flags]


def killed(out: Path, steps: int, seconds: float, once_saved: bool = False) -> float | None:
    """Starts the sweep and kills it after so many seconds; the age in seconds of what it had last saved.

    With `once_saved` it lives until it has saved something, however long that takes.

    None if it had come to its end, NaN if it had not yet saved anything in this life.
    """
    begin = time.time()
    process = subprocess.Popen(command(out, steps), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def saved() -> list[float]:
        folders = out.with_suffix(".checkpoints").glob("[0-9]*")
        return [at for at in map(_committed, folders) if at > begin]

    while process.poll() is None and (time.time() < begin + seconds or (once_saved and not saved())):
        time.sleep(0.02)
    if process.poll() is None:
        mine, now = saved(), time.time()
        process.kill()
        process.communicate()
        return now - max(mine) if mine else float("nan")
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(f"The sweep failed by itself: {told}")
    return None


def _committed(folder: Path) -> float:
    """When a checkpoint was complete; 0 if it is not."""
    try:
        return folder.stat().st_mtime if folder.name.isdigit() else 0.0
    except FileNotFoundError:
        return 0.0


def finished(out: Path, steps: int) -> str:
    """Lets the sweep come to its end; what it says."""
    done = subprocess.run(command(out, steps), capture_output=True, text=True)
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


def soak(folder: Path, kills: int, steps: int, longest: float, seed: int) -> dict:
    """Kills a sweep so many times within `longest` seconds each, and lets it finish.

    Returns:
      What happened: 'kills', 'ages' of what was last saved at each kill (seconds), 'differences' from an undisturbed
      sweep, 'leftovers' in the folder, and 'seconds'.
    """
    begin, draw = time.time(), random.Random(seed)
    calm, out = folder / "calm.npz", folder / "killed.npz"
    finished(calm, steps)
    ages = []
    for number in range(kills):
        age = killed(out, steps, draw.uniform(0.5, longest), once_saved=not number)
        if age is None:
            break
        ages.append(age)
        print(f"kill {number + 1}: {age:.1f} s after the last checkpoint", file=sys.stderr, flush=True)
    finished(out, steps)
    expected = {"calm.npz", "calm.params", "killed.npz", "killed.params"}
    return dict(
        kills=len(ages),
        ages=[round(age, 2) for age in ages],
        differences=differences(calm, out),
        leftovers=sorted({path.name for path in folder.iterdir()} - expected),
        seconds=round(time.time() - begin),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=80_000, help="of each of the 12 runs")
    parser.add_argument("--longest", type=float, default=16.0, help="seconds that a life lasts at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, required=True, help="empty, to work in")
    told = parser.parse_args()
    found = soak(told.folder, told.kills, told.steps, told.longest, told.seed)
    print(json.dumps(found))
    sys.exit(bool(found["differences"] or found["leftovers"] or found["kills"] < told.kills))
