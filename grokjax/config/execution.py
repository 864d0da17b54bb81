"""How a sweep is carried out: what decides none of its numbers."""

import dataclasses
from typing import Any

from grokjax.config.names import ConfigError, own_name, shown, unknown_name
from grokjax.config.settings import HOST, checked, setting, settings

CHECKPOINT_MINUTES = 5.0
"""Between two checkpoints, unless other minutes are given."""

LARGEST_COUNT = 10**9

SHARES = 64
"""Into how many shares the work of an executor is cut, unless another number is given."""

EXECUTORS = ("local", "slurm", "dask")
"""Executors that have a name: processes of this machine, jobs by submitit, the workers of a Dask scheduler."""


def _option(default, help: str, **bounds):
    return setting(default, help, role=HOST, **bounds)


def _count(help: str, low: int):
    return _option(None, help, kind=int, low=low, high=LARGEST_COUNT)


@dataclasses.dataclass(frozen=True)
class Execution:
    """The options of a sweep besides its settings, checked. Keywords of `grokjax.sweep` and flags are made from it.

    Each field's `help` is that of its flag; `grokjax.sweep` describes them as keywords.

    Raises:
      ConfigError: for a value of another type, or out of range.
    """

    out: Any = dataclasses.field(
        default=None, metadata={"help": "the result file, an .npz; its missing runs are trained", "kind": str}
    )
    lanes: int | None = _count(
        "runs that advance together on a device; default: 1 on a CPU, on an accelerator as measured", low=1
    )
    num_devices: int | None = _count("devices, of a CPU cores, that train; default: all", low=1)
    snapshots: int = _option(
        0, "times, log-spaced, that a run's parameters are kept at most", low=0, high=LARGEST_COUNT
    )
    process_id: int | None = _count(
        "which of several processes this is, from 0; default: as SLURM, Open MPI or PMI say", low=0
    )
    num_processes: int | None = _count(
        "how many share the sweep through the folder of --out; default: likewise, or 1", low=1
    )
    coordinator: str | None = _option(
        None, "host:port, or auto: have all processes meet by jax.distributed first, as pods of TPUs need", kind=str
    )
    executor: Any = dataclasses.field(
        default=None, metadata={"help": f"what trains shares of the sweep: {', '.join(EXECUTORS)}", "kind": str}
    )
    shares: int | None = _count(f"into how many an executor's work is cut; default: {SHARES}", low=1)
    address: str | None = _option(None, "host:port of the scheduler of --executor=dask", kind=str)
    checkpoint_minutes: float = _option(
        CHECKPOINT_MINUTES,
        f"between two times that everything so far is saved; default: {CHECKPOINT_MINUTES:g}",
        above=0.0,
        high=1e6,
    )
    overwrite: bool = _option(False, "replace what --out holds")
    dry_run: bool = _option(False, "print the grid and what it needs, and train nothing")
    progress: bool = _option(True, "show progress")
    keep_checkpoints: bool = _option(False, "leave the checkpoints of the runs under way when all have ended")

    def __post_init__(self):
        for name, example in (("coordinator", "'auto' or 'host:port'"), ("address", "'host:port'")):
            if not isinstance(given := getattr(self, name), str | None):
                raise ConfigError(f"{name}={shown(given)} is not a name. Try {name}={example}.")
        for name, field in settings(self).items():
            object.__setattr__(self, name, checked(name, getattr(self, name), field))
        self._check_executor()

    def _check_executor(self) -> None:
        """ConfigError for an executor that is none, or for options that do not go with it."""
        executor = self.executor
        if isinstance(executor, str):
            executor = own_name(executor, EXECUTORS)
            if executor not in EXECUTORS:
                raise unknown_name("executor", executor, EXECUTORS)
            object.__setattr__(self, "executor", executor)
        elif executor is not None and (isinstance(executor, type) or not callable(getattr(executor, "submit", None))):
            raise ConfigError(
                f"executor={shown(executor)} is no executor. Try executor='local', or an object with the interface of "
                "concurrent.futures.Executor."
            )
        if executor is None and self.shares is not None:
            raise ConfigError(f"shares={self.shares} are those of an executor. Try --executor=local.")
        if (executor == "dask") != (self.address is not None):
            raise ConfigError("executor=dask and address belong together. Try --executor=dask --address=host:8786.")
        for name in ("process_id", "num_processes", "coordinator"):
            if executor is not None and getattr(self, name) is not None:
                raise ConfigError(f"executor and {name} are both given. An executor starts its processes itself.")

    @property
    def speaks(self) -> bool:
        """Whether it says what it does."""
        return self.progress or self.dry_run


OPTIONS = {field.name: field for field in dataclasses.fields(Execution)}
"""The options by name."""

SWEEP_KEYWORDS = (*OPTIONS, "zip", "num_seeds", "variant")
"""Keywords of `grokjax.sweep` besides the settings."""
