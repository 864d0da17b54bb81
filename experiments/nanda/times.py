"""When the measures of a run move: read off its curves and its snapshots, for claims and figures."""

from typing import NamedTuple

import numpy as np

from grokjax.analysis.phases import phases
from grokjax.claims.runs import Runs


class Series(NamedTuple):
    """A measure over the snapshots of one run, as far as there are some."""

    step: np.ndarray
    values: np.ndarray


def over_snapshots(runs: Runs, name: str) -> list[Series]:
    """A measure over training, of each run."""
    measured = runs.measured(name)
    steps, found = measured["snapshot"].values, []
    for line in measured.transpose("run", "snapshot").values.astype(np.float64):
        known = ~np.isnan(line)
        found.append(Series(steps[known], line[known]))
    return found


def evaluated_loss(runs: Runs) -> list[Series]:
    """The test loss at every evaluated step up to the last of each run."""
    ends = runs.column("last_step")
    curve = runs.curve("val_loss").astype(np.float64)
    return [Series(runs.step[runs.step <= end], line[runs.step <= end]) for end, line in zip(ends, curve, strict=True)]


def halved(series: Series) -> tuple[float, float]:
    """When a loss is first half its peak, and the step seen before.

    As of `doubled` and `below`: +inf and the last step if it never is, NaN of a run that has not been measured.
    """
    return _first(series, np.argmax, lambda values: values <= values.max() / 2)


def doubled(series: Series) -> tuple[float, float]:
    """When a loss has first doubled from its minimum, and the step seen before."""
    return _first(series, np.argmin, lambda values: values >= 2 * values.min())


def below(series: Series, level: float) -> tuple[float, float]:
    """When a loss is first below a level after its peak, and the step seen before."""
    return _first(series, np.argmax, lambda values: values < level)


def _first(series: Series, start, reached) -> tuple[float, float]:
    if not len(series.step):
        return np.nan, np.nan
    begin = start(series.values)
    after = np.flatnonzero(reached(series.values)[begin:])
    if not len(after):
        return np.inf, float(series.step[-1])
    at = begin + after[0]
    return float(series.step[at]), float(series.step[max(at - 1, 0)])


def ends_of_phases(runs: Runs) -> np.ndarray:
    """[runs, 3]: the ends of memorisation, circuit formation and clean-up."""
    lines, train = evaluated_loss(runs), runs.curve("train_accuracy")
    found = [phases(line.step, own[: len(line.step)], line.values) for line, own in zip(lines, train, strict=True)]
    return np.array([[float(one[name]) for name in one.data_vars] for one in found]).reshape(-1, 3)
