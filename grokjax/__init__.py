"""grokjax: the grokking literature as grids of runs.

`import grokjax as gj` is cheap: what needs JAX is imported when it is first used, so that results can be loaded and
drawn without it.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Config": "grokjax.config",
    "ConfigError": "grokjax.config",
    "sweep": "grokjax.sweeps",
    "search": "grokjax.sweeps.bisection",
    "Interrupted": "grokjax.sweeps",
    "ShareError": "grokjax.sweeps",
    "join": "grokjax.sweeps",
    "open_run": "grokjax.live",
    "snapshots": "grokjax.live",
    "branch": "grokjax.branching",
    "measure": "grokjax.measuring",
    "explore": "grokjax.explorer",
    "export": "grokjax.exporting",
    "ResultError": "grokjax.results",
    "load": "grokjax.results",
    "params": "grokjax.results",
    "peek": "grokjax.results",
    "tidy": "grokjax.results",
    "grokked": "grokjax.results",
    "summary": "grokjax.results",
    "format_summary": "grokjax.results",
}
_MODULES = ("losses", "models", "optimizers", "plot", "results", "runs", "tasks")

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"grokjax.{name}")
    else:
        raise AttributeError(f"module 'grokjax' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
