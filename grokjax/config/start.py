"""Given weights that a run starts from, in place of those that its seed draws."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.config.names import ConfigError, shown


@dataclasses.dataclass(frozen=True)
class Start:
    """Given weights that a run starts from, known by their content.

    It holds them, or reads their file when a run begins, so that a grid of branches stays small and can be sent to
    other processes.

    Attributes:
      content: hash of the names, types, shapes and values, 16 hexadecimal digits; it enters the run's identity.
      file: that holds them, an .npz; None if `held` does.
      held: the arrays by name, "/" joining the keys; None if `file` has them.
      run_id, step: of the parent, if they are those of a run.
    """

    content: str
    file: str | None = None
    held: Mapping[str, np.ndarray] | None = dataclasses.field(default=None, compare=False, repr=False)
    run_id: str | None = None
    step: int | None = None

    @classmethod
    def of(cls, given: Any) -> "Start":
        """The weights that a user gives: a nested dict of arrays, the path of an .npz of them, or a `Start`.

        Raises:
          ConfigError: for anything else, or a file that cannot be read.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, str | os.PathLike):
            file = str(Path(given).absolute())
            return cls(_content(_arrays_in(file)), file)
        if isinstance(given, Mapping):
            held = dict(_flat(given))
            return cls(_content(held), held=held)
        raise ConfigError(
            f"start={shown(given)} holds no weights. Give a nested dict of arrays, as grokjax.params returns, or the "
            "path of an .npz of them."
        )

    @classmethod
    def of_run(cls, file: str | os.PathLike, params: Mapping[str, Any], run_id: str, step: int) -> "Start":
        """The parameters of a run at one step, which `file` holds."""
        return cls(_content(dict(_flat(params))), str(Path(file).absolute()), run_id=run_id, step=step)

    @property
    def title(self) -> str:
        """How messages call it."""
        if self.run_id is not None:
            return f"the weights of run {self.run_id} at step {self.step}"
        return f"the weights in {self.file}" if self.file else "the weights given as start"

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, such as 'block_0/w_q'; ConfigError where they are gone, or no longer those."""
        if self.held is not None:
            return dict(self.held)
        if self.file is None:
            raise ConfigError(f"Of {self.title} only the hash is known here. Pass them, as start=...")
        arrays = _arrays_in(self.file)
        if _content(arrays) != self.content:
            raise ConfigError(f"{self.file} no longer holds {self.title}. Restore it, or start from what it holds now.")
        return arrays


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Pairs of "/"-joined name and array of a nested dict; the arrays are copied."""
    for key, value in tree.items():
        if not isinstance(key, str) or not key:
            raise ConfigError(
                f"start has the key {shown(repr(key))}. Its keys must be names, as in a model's parameters."
            )
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
            continue
        array = np.array(value)
        if array.dtype.kind not in "iufV":
            raise ConfigError(f"start has {prefix}{key} of type {array.dtype}. Weights must be arrays of numbers.")
        yield f"{prefix}{key}", array


def _arrays_in(file: str) -> dict[str, np.ndarray]:
    """The weights in an .npz, but for what a sweep says there of whose they are."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            return dict(_flat({name: archive[name] for name in archive.files if "//" not in name}))
    except ConfigError:
        raise
    except Exception as error:  # damage surfaces as any of a dozen types
        reason = getattr(error, "strerror", None) or "it is damaged, or not an .npz of plain arrays"
        raise ConfigError(f"start={file} cannot be read: {reason}. Check the path.") from None


def _content(arrays: Mapping[str, np.ndarray]) -> str:
    """What tells weights from others."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str}{array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()[:16]
