"""What a result was made with: versions of packages, and the commit of this one."""

import functools
import importlib.metadata
import subprocess
from pathlib import Path

from grokjax import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
"""Packages whose versions a result names, besides our own."""


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
