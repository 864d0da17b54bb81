"""Several processes that somebody has started, on one machine or many: which of them this is."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import jax

from grokjax.config import ConfigError

LAUNCHERS = {
    "SLURM": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "PMI": ("PMI_RANK", "PMI_SIZE"),
}
"""Environment variables by which what has started several processes tells each of them its number and their count."""

ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
"""Those by which SLURM tells each job of an array its number, the smallest number and their count."""


class Place(NamedTuple):
    """A process among those that share a sweep: its number, from 0, and their count."""

    number: int
    count: int


def find_place(process_id: int | None, num_processes: int | None, coordinator: str | None) -> Place:
    """Which process this is.

    Args:
      process_id, num_processes: as given; None to find out from what has started the process (`LAUNCHERS`, `ARRAY`).
      coordinator: address host:port at which `jax.distributed` is to meet, where devices need that all processes know
        of each other, such as a pod of TPUs; 'auto' to have it find out everything, None to do without.

    Raises:
      ConfigError: for numbers that do not fit, or a meeting that fails.
    """
    if (process_id is None) != (num_processes is None) and num_processes != 1:
        raise ConfigError("process_id and num_processes belong together. Give both, or neither.")
    if num_processes is not None:
        place = Place(process_id or 0, num_processes)
        if not (isinstance(place.number, int) and isinstance(place.count, int) and 0 <= place.number < place.count):
            raise ConfigError(
                f"process_id={process_id} of num_processes={num_processes} is out of range: processes are counted from "
                "0, and there is at least one."
            )
    else:
        place = _launched(os.environ)
    if coordinator is None:
        return place
    try:
        if coordinator == "auto":
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(coordinator, place.count, place.number)
    except Exception as error:  # of addresses that are none come errors of several types
        why = str(error).strip().partition("\n")[0][:200]
        raise ConfigError(f"coordinator={coordinator} could not bring the processes together ({why}).") from None
    return Place(jax.process_index(), jax.process_count())


def _launched(told: Mapping[str, str]) -> Place:
    """The place that environment variables tell: of a task among those of its job, and of the job in its array."""
    task = job = Place(0, 1)
    for number, count in LAUNCHERS.values():
        if number in told and count in told:
            task = Place(int(told[number]), int(told[count]))
            break
    if all(name in told for name in ARRAY):
        number, first, count = (int(told[name]) for name in ARRAY)
        job = Place((number - first) // int(told.get("SLURM_ARRAY_TASK_STEP", 1)), count)
        if job.number >= job.count:
            raise ConfigError(
                f"SLURM_ARRAY_TASK_ID={number} of an array of {count} from {first} leaves open which of them this is. "
                f"Number the array without gaps (--array=0-{count - 1}), or give --process_id and --num_processes."
            )
    return Place(job.number * task.count + task.number, job.count * task.count)
