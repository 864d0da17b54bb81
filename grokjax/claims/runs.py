"""The runs of a result as claims read them: a table, whatever the axes were, and their curves."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from grokjax import results
from grokjax.analysis.statistics import difference, log_ratio


class Runs:
    """Some runs of a result that have ended.

    `table` has a row per run: coordinates, per-run values, and of the settings that no axis varies those of the
    configuration. `step` is [steps]; `curve(name)` is [runs, steps].
    """

    def __init__(self, table: pd.DataFrame, step: np.ndarray, curves: dict[str, np.ndarray]):
        self.table, self.step, self._curves = table, step, curves

    @classmethod
    def of(cls, grid: xr.Dataset) -> "Runs":
        """The runs of a dataset from `grokjax.load`."""
        dims = grid["status"].dims
        table = results.runs(grid)
        config = json.loads(grid.attrs["meta"]).get("config", {})
        for name, value in config.items():
            if name not in table and isinstance(value, str | int | float):
                table[name] = value
        names = [name for name, curve in grid.data_vars.items() if "step" in curve.dims]
        shape = (len(table), grid.sizes["step"])
        curves = {name: grid[name].transpose(*dims, "step").values.reshape(shape) for name in names}
        ended = ~table["status"].isin(results.UNFINISHED).to_numpy()
        curves = {name: curve[ended] for name, curve in curves.items()}
        return cls(table[ended].reset_index(drop=True), grid["step"].values, curves)

    def __len__(self) -> int:
        return len(self.table)

    def curve(self, name: str) -> np.ndarray:
        """[runs, steps], filled with the last value after the end of a run; ValueError if the result has none."""
        if name not in self._curves:
            raise ValueError(f"These results have no curve {name}. Train them with --metrics={name.partition('_')[2]}.")
        return self._curves[name]

    def where(self, **values: Any) -> "Runs":
        """Those with these values, numbers to a relative 1e-6; none where the result has no such column."""
        keep = np.ones(len(self), bool)
        for name, value in values.items():
            if name not in self.table:
                keep[:] = False
            else:
                column = self.table[name].to_numpy()
                number = isinstance(value, int | float) and not isinstance(value, bool)
                near = number and column.dtype.kind in "fiu"
                keep &= np.isclose(column.astype(float), value, rtol=1e-6) if near else column == value
        return self.take(np.flatnonzero(keep))

    def by(self, *names: str) -> Iterator[tuple[tuple, "Runs"]]:
        """Groups that agree in some columns, in the order of the result."""
        for key in dict.fromkeys(zip(*(self.table[name] for name in names), strict=True)):
            keep = np.all(
                [self.table[name].to_numpy() == value for name, value in zip(names, key, strict=True)], axis=0
            )
            yield key, self.take(np.flatnonzero(keep))

    def values(self, name: str) -> list:
        """The values of a column, each once, rising."""
        return sorted(set(self.table[name])) if name in self.table else []

    def budget(self) -> np.ndarray:
        """[runs], the steps that each might have taken; one that stopped early took fewer."""
        if "epochs" in self.table:
            return (self.table["epochs"] * self.table["steps_per_epoch"]).to_numpy(np.float64)
        return self.table["steps"].to_numpy(np.float64)

    def crossing(self, part: str, level: int, horizon: np.ndarray | float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """Steps to an accuracy, and their brackets; later than the horizon is never, +inf.

        A run that diverged will never get there, so its bracket is +inf too: it is later than any that did.
        """
        if f"steps_to_{part}_{level}" not in self.table:
            raise ValueError(f"These results have no steps_to_{part}_{level}. Train them anew, with --overwrite.")
        times = self.table[f"steps_to_{part}_{level}"].to_numpy(np.float64)
        brackets = self.table[f"steps_to_{part}_{level}_bracket"].to_numpy(np.float64)
        late = times > horizon
        brackets = np.where(late, np.minimum(brackets, horizon), brackets)
        lost = np.isinf(times) & (self.table["status"] == "diverged").to_numpy()
        return np.where(late, np.inf, times), np.where(lost, np.inf, brackets)

    def arrives(self, part: str, level: int) -> bool:
        """Whether the median run gets to an accuracy within its own budget."""
        return len(self) > 0 and bool(np.isfinite(np.median(self.crossing(part, level)[0])))

    def delay(self, level: int = 99, horizon: np.ndarray | float = np.inf) -> np.ndarray:
        """[runs], ln of validation over training steps to an accuracy."""
        val, train = self.crossing("val", level, horizon), self.crossing("train", level, horizon)
        return log_ratio(val[0], train[0], val[1], train[1])

    def rise(self, name: str = "val_accuracy", level: int = 99) -> np.ndarray:
        """[runs], how much a curve gains after the training set is memorised, at its best; 0 if it never is."""
        train, _ = self.crossing("train", level)
        curve = self.curve(name).astype(np.float64)
        at = np.searchsorted(self.step, np.minimum(train, self.step[-1]))
        then = curve[np.arange(len(self)), at]
        later = self.step > train[:, None]
        best = np.where(later, curve, -np.inf).max(1)
        return np.where(later.any(1), best - then, 0.0)

    def take(self, places: np.ndarray) -> "Runs":
        """The runs at these places, in this order."""
        curves = {name: curve[places] for name, curve in self._curves.items()}
        return Runs(self.table.iloc[places].reset_index(drop=True), self.step, curves)


def paired(one: Runs, other: Runs) -> tuple[Runs, Runs]:
    """The runs of both with the seeds that both have, in the order of the seeds.

    Raises:
      ValueError: if a seed is in one of them twice, so that what is compared was not singled out.
    """
    for runs in (one, other):
        if len(set(runs.table["seed"])) != len(runs):
            raise ValueError("Several runs have one seed, so they cannot be paired by it. Select one cell of the grid.")
    shared = sorted(set(one.table["seed"]) & set(other.table["seed"]))
    return tuple(_in_order(runs, shared) for runs in (one, other))


class Compared(NamedTuple):
    """Times of two conditions, paired by seed, up to the smaller of their budgets.

    Attributes:
      values: [seeds], ln of a ratio; +-inf where one of the two never got there, 0 where neither did.
      unknown: [seeds], whether neither got there, so that nothing is known of the pair.
      late: how many got there after the other's budget, which counts as never.
      why: what is meant by unknown, after 'in 2 of 6 '.
    """

    values: np.ndarray
    unknown: np.ndarray
    late: int = 0
    why: str = "pairs neither got there"


def time_ratio(one: Runs, other: Runs, part: str = "val", level: int = 99) -> Compared:
    """ln of the ratio of steps to an accuracy, one to other."""
    one, other = paired(one, other)
    horizon = np.minimum(one.budget(), other.budget())
    upper, lower = one.crossing(part, level, horizon), other.crossing(part, level, horizon)
    values = log_ratio(upper[0], lower[0], upper[1], lower[1])
    return Compared(values, np.isinf(upper[0]) & np.isinf(lower[0]), _late(one, other, part, level))


def delay_ratio(one: Runs, other: Runs, level: int = 99) -> Compared:
    """ln of the ratio of validation / training steps to an accuracy, one to other."""
    one, other = paired(one, other)
    horizon = np.minimum(one.budget(), other.budget())
    upper, lower = one.delay(level, horizon), other.delay(level, horizon)
    fitted = [np.isfinite(runs.crossing("train", level, horizon)[0]) for runs in (one, other)]
    unknown = ~fitted[0] | ~fitted[1] | (np.isinf(upper) & np.isinf(lower))
    return Compared(difference(upper, lower), unknown, _late(one, other, "val", level))


def _late(one: Runs, other: Runs, part: str, level: int) -> int:
    """In how many pairs one got to an accuracy after the other's budget."""
    late = np.zeros(len(one), bool)
    for mine, others in ((one, other), (other, one)):
        times = mine.crossing(part, level)[0]
        late |= np.isfinite(times) & (times > others.budget())
    return int(late.sum())


def gain(one: Runs, other: Runs, name: str) -> np.ndarray:
    """[seeds], a per-run value of one less that of other, paired by seed."""
    one, other = paired(one, other)
    return one.table[name].to_numpy(np.float64) - other.table[name].to_numpy(np.float64)


def _in_order(runs: Runs, seeds: Sequence) -> Runs:
    places = {seed: i for i, seed in enumerate(runs.table["seed"])}
    return runs.take(np.array([places[seed] for seed in seeds], int))
