"""The runs of a result as claims read them: a table, whatever the axes were, and their curves."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from grokjax import results
from grokjax.analysis.statistics import Between, difference, log_ratio


class Runs:
    """Some runs of a result that have ended.

    `table` has a row per run: coordinates, per-run values, and of the settings that no axis varies those of the
    configuration, and measures that are one number per run. `step` is [steps]; `curve(name)` is [runs, steps];
    `measured(name)` is a measure with more axes.
    """

    def __init__(
        self, table: pd.DataFrame, step: np.ndarray, curves: dict[str, np.ndarray], measures: xr.Dataset | None = None
    ):
        self.table, self.step, self._curves = table, step, curves
        self._measures = xr.Dataset() if measures is None else measures

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
        more = [name for name, of in grid.data_vars.items() if "step" not in of.dims and set(of.dims) - set(dims)]
        measures = xr.Dataset(
            {
                name: (
                    ["run", *own],
                    grid[name].transpose(*dims, *own).values.reshape(-1, *(grid.sizes[d] for d in own)),
                )
                for name in more
                for own in [[dim for dim in grid[name].dims if dim not in dims]]
            },
            {dim: grid[dim].values for name in more for dim in grid[name].dims if dim not in dims},
        )
        measures = measures.isel(run=np.flatnonzero(ended)) if more else measures
        return cls(table[ended].reset_index(drop=True), grid["step"].values, curves, measures)

    def __len__(self) -> int:
        return len(self.table)

    def curve(self, name: str) -> np.ndarray:
        """[runs, steps], filled with the last value after the end of a run; ValueError if the result has none."""
        if name not in self._curves:
            raise ValueError(f"These results have no curve {name}. Train them with --metrics={name.partition('_')[2]}.")
        return self._curves[name]

    @property
    def curves(self) -> list[str]:
        """The names that `curve` knows."""
        return list(self._curves)

    def measured(self, name: str) -> xr.DataArray:
        """[run, ...], a measure with axes of its own; ValueError where nothing of that name was measured."""
        if name not in self._measures:
            raise ValueError(f"These results have no measure {name}. The command that trained them also measures them.")
        return self._measures[name]

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

    def column(self, name: str) -> np.ndarray:
        """[runs], a column of the table; ValueError if the result has none."""
        if name not in self.table:
            raise ValueError(f"These results have no {name}. Train them again, with --overwrite.")
        return self.table[name].to_numpy()

    def budget(self) -> np.ndarray:
        """[runs], the steps that each might have taken; one that stopped early took fewer."""
        if "epochs" in self.table:
            return self.column("epochs").astype(np.float64) * self.column("steps_per_epoch")
        return self.column("steps").astype(np.float64)

    def crossing(self, part: str, level: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps to an accuracy, +inf where never, and their brackets.

        A run that diverged will never get there, so its bracket is +inf too: it is later than any that did.
        """
        times, brackets = (self.column(f"steps_to_{part}_{level}{end}").astype(np.float64) for end in ("", "_bracket"))
        lost = np.isinf(times) & (self.column("status") == "diverged")
        return times, np.where(lost, np.inf, brackets)

    def arrives(self, part: str, level: int) -> bool:
        """Whether the median run gets to an accuracy within its own budget."""
        return len(self) > 0 and bool(np.isfinite(np.median(self.crossing(part, level)[0])))

    def delay(self, level: int = 99) -> Between:
        """[runs], ln of validation over training steps to an accuracy."""
        val, train = self.crossing("val", level), self.crossing("train", level)
        return log_ratio(val[0], train[0], val[1], train[1])

    def rise(self, name: str = "val_accuracy", level: int = 99) -> Between:
        """[runs], how much a curve gains after the training set is memorised, at its best; unknown if it never is."""
        train, _ = self.crossing("train", level)
        curve = self.curve(name).astype(np.float64)
        at = np.searchsorted(self.step, np.minimum(train, self.step[-1]))
        then = curve[np.arange(len(self)), at]
        later = self.step > train[:, None]
        best = np.where(later, curve, -np.inf).max(1)
        gained = np.where(later.any(1), best - then, 0.0)
        never = np.isinf(train)
        return Between(np.where(never, -np.inf, gained), np.where(never, np.inf, gained))

    def take(self, places: np.ndarray) -> "Runs":
        """The runs at these places, in this order."""
        curves = {name: curve[places] for name, curve in self._curves.items()}
        measures = self._measures.isel(run=places) if self._measures else self._measures
        return Runs(self.table.iloc[places].reset_index(drop=True), self.step, curves, measures)


def paired(one: Runs, other: Runs) -> tuple[Runs, Runs]:
    """The runs of both with the seeds that both have, in the order of the seeds.

    Raises:
      ValueError: if a seed is in one of them twice, so that what is compared was not singled out.
    """
    for runs in (one, other):
        if len(set(runs.column("seed"))) != len(runs):
            raise ValueError("Several runs have one seed, so they cannot be paired by it. Select one cell of the grid.")
    shared = sorted(set(one.table["seed"]) & set(other.table["seed"]))
    return tuple(_in_order(runs, shared) for runs in (one, other))


def time_ratio(one: Runs, other: Runs, part: str = "val", level: int = 99) -> Between:
    """[seeds], ln of the ratio of steps to an accuracy, one to other; known where both got there in their budgets."""
    one, other = paired(one, other)
    upper, lower = one.crossing(part, level), other.crossing(part, level)
    return log_ratio(upper[0], lower[0], upper[1], lower[1])


def delay_ratio(one: Runs, other: Runs, level: int = 99) -> Between:
    """[seeds], ln of the ratio of validation / training steps to an accuracy, one to other."""
    one, other = paired(one, other)
    return difference(one.delay(level), other.delay(level))


def gain(one: Runs, other: Runs, name: str) -> np.ndarray:
    """[seeds], a per-run value of one less that of other, paired by seed."""
    one, other = paired(one, other)
    return one.column(name).astype(np.float64) - other.column(name).astype(np.float64)


def _in_order(runs: Runs, seeds: Sequence) -> Runs:
    places = {seed: i for i, seed in enumerate(runs.table["seed"])}
    return runs.take(np.array([places[seed] for seed in seeds], int))
