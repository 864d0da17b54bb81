"""The numbers that a source recorded or printed, beside ours: of a replay of its code, and of the clean setting."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from grokjax import results
from grokjax.catalogue import REPLAY, nearness
from grokjax.claims.judge import Files
from grokjax.claims.runs import Runs


class Number(NamedTuple):
    """One number of a source.

    Attributes:
      experiment: of the study, without its name.
      label: what it is of.
      value: as recorded, in the unit.
      unit: '%' or 'epochs'.
      where: the settings of the runs that it is compared with, by column of `Runs.table`.
      measure: from those runs to one number each, in the unit.
    """

    experiment: str
    label: str
    value: float
    unit: str
    where: Mapping[str, object]
    measure: Callable[[Runs], np.ndarray]


def highest_accuracy(runs: Runs) -> np.ndarray:
    """[runs], the highest validation accuracy in percent."""
    return 100 * runs.column("max_val_accuracy").astype(np.float64)


def epochs_to_generalise(runs: Runs) -> np.ndarray:
    """[runs], epochs to 99 % validation accuracy; +inf where never."""
    return runs.crossing("val", 99)[0] / runs.column("steps_per_epoch")


def beside(study: str, numbers: Sequence[Number], files: Files) -> list[tuple[Number, str, str]]:
    """Each number with what the replay and the clean setting gave, for reading; '' where neither was run.

    Args:
      study: whose numbers.
      numbers: as the study's `recorded_numbers()` gives them.
      files: results, by experiment and preset.
    """
    read = {
        (name, preset): Runs.of(results.load(path))
        for name in dict.fromkeys(number.experiment for number in numbers)
        for preset, path in files.get(f"{study}/{name}", {}).items()
    }
    rows = []
    for number in numbers:
        presets = sorted((preset for name, preset in read if name == number.experiment), key=nearness)
        found = {}
        for preset in presets:
            runs = read[number.experiment, preset].where(**number.where)
            if len(runs):
                found.setdefault(preset == REPLAY, f"{spread(number.measure(runs), number.unit)} (`{preset}`)")
        rows.append((number, found.get(True, ""), found.get(False, "")))
    return [row for row in rows if row[1] or row[2]]


def spread(values: np.ndarray, unit: str) -> str:
    """'21 % [18, 25], 6 runs': the median, in which never is an observation, and the lowest and highest."""
    middle = float(results.median(values))
    many = f" [{in_unit(values.min())}, {in_unit(values.max())}]" if len(values) > 1 else ""
    named = in_unit(middle) if np.isinf(middle) else f"{in_unit(middle)}{' %' if unit == '%' else f' {unit}'}"
    return f"{named}{many}, {len(values)} run{'s' * (len(values) != 1)}"


def in_unit(value: float) -> str:
    """A number for reading; 'never' where it is infinite."""
    return "never" if np.isinf(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
