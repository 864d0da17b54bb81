"""The tables of a sweep's tasks: each is built once, if the machine can hold it."""

from typing import Any

from grokjax.config import ConfigError, Task, program_part
from grokjax.sweeps import devices
from grokjax.tasks.table import Table

COPIES = 8
"""How often a table's inputs, of four bytes each, are held while it is built and its prefixes are found, generously."""


class Tables:
    """Builds the table of each task once."""

    def __init__(self):
        self._built: dict[Any, Table] = {}

    def of(self, task: Task) -> Table:
        """The table of a task; ConfigError, before it is built, if the machine cannot hold it."""
        task = program_part(task)
        if task not in self._built:
            check_memory(task)
            self._built[task] = task.table()
        return self._built[task]


def check_memory(task: Task) -> None:
    """ConfigError if the table of a task alone does not fit the machine; builds nothing."""
    available, needed = devices.host_memory(), task.num_examples * (task.length + 1) * 4 * COPIES
    if needed > available:
        raise ConfigError(
            f"The table of {task.name} has {task.num_examples:,} rows and needs about {size(needed)} of memory; this "
            f"machine has {size(available)}. Try a smaller --modulus."
        )


def size(num_bytes: float) -> str:
    """E.g. '3.2 GiB'."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = 0
    while num_bytes >= 1024 and power < len(units) - 1:
        num_bytes, power = num_bytes / 1024, power + 1
    return f"{num_bytes:.{min(power, 1)}f} {units[power]}"
