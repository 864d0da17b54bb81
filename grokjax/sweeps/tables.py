"""The tables of a sweep's tasks: each is built once, if the machine can hold it."""

from collections.abc import Iterable
from typing import Any

from grokjax.config import ConfigError, program_part
from grokjax.sweeps import devices
from grokjax.tasks.table import Table

COPIES = 8
"""How often a table's int32 inputs are held while it is built and its prefixes are found, generously."""


class Tables:
    """Builds the table of each task once.

    Args:
      tasks: of which there may be tables.

    Raises:
      ConfigError: if a table alone does not fit the machine; nothing has been built then.
    """

    def __init__(self, tasks: Iterable[Any]):
        self._built: dict[Any, Table] = {}
        available = devices.host_memory()
        for task in {program_part(task) for task in tasks}:
            needed = task.num_examples * (task.length + 1) * 4 * COPIES
            if needed > available:
                raise ConfigError(
                    f"The table of {task.name} has {task.num_examples:,} rows and needs about {size(needed)} of "
                    f"memory; this machine has {size(available)}. Try a smaller --modulus."
                )

    def of(self, task) -> Table:
        """The table of one of the tasks."""
        task = program_part(task)
        if task not in self._built:
            self._built[task] = task.table()
        return self._built[task]


def size(num_bytes: float) -> str:
    """E.g. '3.2 GiB'."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = 0
    while num_bytes >= 1024 and power < len(units) - 1:
        num_bytes, power = num_bytes / 1024, power + 1
    return f"{num_bytes:.{min(power, 1)}f} {units[power]}"
