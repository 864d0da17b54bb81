"""What a result was made with: versions of packages, the commit of this one, and who trained it on what."""

import functools
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from grokjax import __version__
from grokjax.sweeps import devices

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
"""Packages whose versions a result names, besides our own."""

COUNTED = ("wall_seconds", "run_steps")
"""What is added over the processes that have trained a result, one after another."""

SHARED = ("versions", "commit", "device", "platform", "thread_pool")
"""What several processes say once if it is the same for all, and one by one if not."""


def versions() -> dict[str, str]:
    """Versions of the packages that decide the numbers."""
    return {"grokjax": __version__} | {name: importlib.metadata.version(name) for name in PACKAGES}


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that grokjax runs from, with '-dirty' where it was changed; None outside one."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def here(where: Sequence[jax.Device], lanes: list[int], seconds: float, run_steps: int) -> dict[str, Any]:
    """What meta says of this process.

    Args:
      where: the devices.
      lanes: that advanced together, each number once.
      seconds: since training began.
      run_steps: done by this process.
    """
    return {
        "versions": versions(),
        "commit": commit(),
        "device": devices.describe(list(where)),
        "platform": where[0].platform,
        "thread_pool": devices.thread_pool(),
        "lanes": lanes,
        "wall_seconds": round(seconds, 3),
        "run_steps": run_steps,
    }


def together(mine: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What meta says of how a result was trained: by this process, and, one by one, by all that had a hand in it.

    Args:
      mine: of this process, by `here`.
      earlier: of each process before it.
    """
    trained_by = [*earlier, mine]
    totals = {name: sum(one[name] for one in trained_by) for name in COUNTED}
    return dict(mine) | totals | {"trained_by": trained_by}


def joined(metas: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What meta says of how a result was trained by several processes at the same time.

    Args:
      metas: of the part that each has trained.
      earlier: of each process that has trained runs of the result before.
    """
    trained: dict[str, Any] = {}
    for name in SHARED:
        different = list({json.dumps(meta[name]): meta[name] for meta in metas}.values())
        trained[name] = different[0] if len(different) == 1 else different
    before = {name: sum(one[name] for one in earlier) for name in COUNTED}
    trained["wall_seconds"] = before["wall_seconds"] + max(meta["wall_seconds"] for meta in metas)
    trained["run_steps"] = before["run_steps"] + sum(meta["run_steps"] for meta in metas)
    trained["trained_by"] = [*earlier, *(one for meta in metas for one in meta["trained_by"])]
    trained["lanes"] = sorted({width for meta in metas for width in meta["lanes"]})
    return trained | {"processes": len(metas)}
