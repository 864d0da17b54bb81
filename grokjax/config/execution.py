"""How a sweep is carried out: what decides none of its numbers."""

import dataclasses
from typing import Any

from grokjax.config.names import ConfigError, shown
from grokjax.config.settings import HOST, checked, setting, settings

CHECKPOINT_MINUTES = 5.0
"""Between two checkpoints, unless other minutes are given."""

LARGEST_COUNT = 10**9


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
        if self.coordinator is not None and not isinstance(self.coordinator, str):
            raise ConfigError(
                f"coordinator={shown(self.coordinator)} is not a name. Try coordinator='auto' or 'host:port'."
            )
        for name, field in settings(self).items():
            object.__setattr__(self, name, checked(name, getattr(self, name), field))

    @property
    def speaks(self) -> bool:
        """Whether it says what it does."""
        return self.progress or self.dry_run


OPTIONS = {field.name: field for field in dataclasses.fields(Execution)}
"""The options by name."""

SWEEP_KEYWORDS = (*OPTIONS, "zip", "num_seeds", "variant")
"""Keywords of `grokjax.sweep` besides the settings."""
