"""What studies there are, and what is written beside their experiments. Needs no JAX, and imports no experiment."""

import ast
import functools
import importlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from grokjax.config import unknown_name

PRESETS = ("claim", "paper", "text", "part", "grid", "small", "quick")
"""Names of presets, from the source's own grid down."""

REPLAY = "replay"
"""The preset that runs the source's code as it was, faults included: judged beside the others, never in their place."""


TWO_CORES = 50e9
"""Operations per second of two cores with AVX-512: 46 billion were seen on `melnik/periodicity --preset=small`, 56 on
`nanda/modular_addition --preset=part`, 18 on `huang/dynamics --preset=small`, whose models are of width 8 and 24."""

GPU = 15e12
"""The same of a large GPU in float32: assumed, not measured. Many runs of small models have to train at once for it."""


class Record(NamedTuple):
    """What a preset took and gave.

    Attributes:
      minutes: that training took.
      machine: on what.
      outcome: in a sentence or two.
    """

    minutes: float
    machine: str
    outcome: str


def nearness(preset: str) -> int:
    """The place of a preset in `PRESETS`, of one with another name the last."""
    return PRESETS.index(preset) if preset in PRESETS else len(PRESETS)


def studies() -> list[str]:
    """The studies that have claims."""
    return [name for name, folder in _folders().items() if (folder / "claims.toml").exists()]


@functools.cache
def experiments() -> Mapping[str, str]:
    """The docstring of every experiment by its name, such as 'pku/optimizers'."""
    found = {}
    for study, folder in _folders().items():
        for file in sorted(folder.glob("*.py")):
            module = ast.parse(file.read_text("utf-8"))
            assigned = [node.targets[0] for node in module.body if isinstance(node, ast.Assign)]
            if any(isinstance(target, ast.Name) and target.id == "EXPERIMENT" for target in assigned):
                found[f"{study}/{file.stem}"] = ast.get_docstring(module) or ""
    return found


def is_module(name: str) -> bool:
    """Whether a study has a module of this name, such as 'pku/common', an experiment or not."""
    study, _, short = name.partition("/")
    return study in _folders() and short.isidentifier() and (_folders()[study] / f"{short}.py").exists()


def title(experiment: str) -> str:
    """The first line of an experiment's docstring."""
    return experiments()[experiment].splitlines()[0].rstrip(".")


def records(study: str) -> dict[str, dict[str, Record]]:
    """What the presets of a study took and gave, by experiment and preset: its records.toml."""
    read = written(study, "records.toml")
    return {name: {preset: Record(**of) for preset, of in presets.items()} for name, presets in read.items()}


def hours(experiment: str, preset: str, rate: float = TWO_CORES) -> float | None:
    """Hours that a preset takes by its arithmetic, in operations.toml; None where that does not say.

    No run is taken to end early, and of an axis that is bisected all values are taken to be trained on. Models of
    small width take up to three times as long.
    """
    study, _, short = experiment.partition("/")
    counted = written(study, "operations.toml").get(short, {}).get(preset)
    return None if counted is None else counted["operations"] / rate / 3600


def size(experiment: str, preset: str) -> str:
    """What a preset trains, in words, after what it is "the same" as; '' where operations.toml has none."""
    study, _, short = experiment.partition("/")
    other = ""
    for name, counted in written(study, "operations.toml").get(short, {}).items():
        alike = counted["size"].startswith("the same")
        if name == preset:
            return f"{other}; {counted['size']}" if alike else counted["size"]
        other = other if alike else counted["size"]
    return ""


def duration(hours: float) -> str:
    """A rough time for reading: '3 minutes', '2.4 hours', '60 hours', '400 days', '3 years'."""
    if hours > 24 * 1000:
        return f"{hours / 24 / 365:.2g} years"
    if hours >= 240:
        return f"{float(f'{hours / 24:.2g}'):,.0f} days"
    if hours < 0.95:
        return f"{max(1, round(60 * hours))} minute{'s' if hours > 1.5 / 60 else ''}"
    return f"{hours:.1f} hours" if hours < 9.95 else f"{float(f'{hours:.2g}'):,.0f} hours"


@functools.cache
def written(study: str, file: str) -> Mapping:
    """What a TOML file of a study says; nothing where it has none. ConfigError for a study that there is not."""
    folders = _folders()
    if study not in folders:
        raise unknown_name("study", study, folders)
    path = folders[study] / file
    return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}


@functools.cache
def _folders() -> dict[str, Path]:
    """The folders under experiments/, where they are installed, by name."""
    package = importlib.import_module("grokjax.experiments")
    folders = (folder for place in package.__path__ for folder in Path(place).iterdir() if folder.is_dir())
    return {folder.name: folder for folder in sorted(folders) if folder.name.isidentifier()}
