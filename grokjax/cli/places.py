"""Where results and figures are: yours in results/ and figures/, those that ship in the package."""

import glob
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from grokjax.catalogue import experiments, nearness
from grokjax.config import unknown_name
from grokjax.results.measures import SUFFIX

OWN, FIGURES = Path("results"), Path("figures")
"""In the folder where a command runs."""


def reference() -> Path:
    """The folder of the results that ship."""
    return Path(str(resources.files("grokjax.reference").joinpath("README.md"))).parent


def results_in(folders: Sequence[Path], study: str = "*") -> dict[str, dict[str, Path]]:
    """The files STUDY/EXPERIMENT-PRESET.npz: {experiment: {preset: path}}; of equal names that in the first folder."""
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for path in _results(folder, f"{study}/*-*.npz"):
            name, _, preset = path.stem.rpartition("-")
            found.setdefault(f"{path.parent.name}/{name}", {}).setdefault(preset, path)
    return found


def find(name: str, preset: str | None) -> Path:
    """The result of an experiment to draw.

    Args:
      name: of the experiment, such as 'pku/width'.
      preset: of the result; None takes your newest, or of those that ship the one nearest to the source.

    Raises:
      ValueError: if there is no such experiment, or no result of it, naming the command that makes one.
    """
    pattern = f"{name}-{glob.escape(preset) if preset else '*'}.npz"
    own = sorted(_results(OWN, pattern), key=lambda path: path.stat().st_mtime)
    shipped = sorted(_results(reference(), pattern), key=lambda path: -nearness(path.stem.rpartition("-")[2]))
    if found := own or shipped:
        return found[-1]
    if name not in experiments():
        raise unknown_name("experiment", name, experiments())
    there = sorted(results_in([OWN, reference()]).get(name, {}), key=nearness)
    if preset and there:
        raise ValueError(
            f"There is no result of {name} with --preset={preset}, but of {', '.join(there)}. One of a preset is made "
            f"by: grokjax run {name} --preset=..., whose --help lists them."
        )
    raise ValueError(f"There is no result of {name}. It is made by: grokjax run {name}")


def _results(folder: Path, pattern: str) -> list[Path]:
    """The results of a folder, without the measures beside them."""
    return sorted(path for path in folder.glob(pattern) if not path.name.endswith(SUFFIX))


def drawn_to(result: Path) -> Path:
    """Where a result is drawn unless another place is given: figures/STUDY/EXPERIMENT-PRESET.png."""
    return FIGURES / result.parent.name / f"{result.stem}.png"
