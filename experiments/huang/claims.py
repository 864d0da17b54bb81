"""The claims of the study of Huang et al., HUANG-1 to HUANG-11.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, as
`grokjax.claims.evidence` describes, and returns the parts that decide and the controls that are reported beside them.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from grokjax.analysis.correlation import spearman
from grokjax.analysis.dynamics import LABELS, classify, final
from grokjax.analysis.statistics import Between, difference
from grokjax.analysis.switches import switches
from grokjax.analysis.thresholds import least_reaching, ratio_bounds
from grokjax.analysis.u_shape import deepest_dip, u_shape
from grokjax.analysis.zones import ORDER
from grokjax.claims.evidence import Evidence, Findings, cells
from grokjax.claims.rules import Rule
from grokjax.claims.runs import Runs, paired
from grokjax.claims.verdicts import Part, effect, majority, no_more
from grokjax.experiments.huang.arms import BAND, CELLS, OWN_SIZES, mixed

THIRD = 1 / 3
"""Share of the budget at which the band of semi-grokking is reported beside the whole."""

NO_SIZE = "seeds both sizes may lie beyond those that ran"
NO_BAND = "seeds one end or both may lie beyond the sizes that ran"
NEVER_EMERGED = "seeds both emerge between the same two models, or one of them in none that ran"

BEGUN, GENERALISED = 0.1, 0.9
"""Validation accuracies between which a size is in the band, and between which the weight norm is compared."""

EMERGED, HELD = 0.5, 0.99
"""Accuracies: of a task that has emerged, and at which a run ends."""


def final_accuracy(runs: Runs, part: str = "val", share: float = 1.0) -> np.ndarray:
    """[runs], the mean over the last 1 % of the steps, of the whole run or of a share of its budget.

    Of a run that ended because its validation accuracy had held 99 % it is that at least: the few evaluations of its
    last 1 % may lie below what the median of the last 500 steps was.
    """
    ends = np.minimum(runs.column("last_step"), share * runs.budget())
    curves = runs.curve(f"{part}_accuracy")
    seen = [runs.step <= end for end in ends]
    found = np.array([final(runs.step[one], curve[one]) for curve, one in zip(curves, seen, strict=True)])
    held = (runs.column("status") == "stopped") & (runs.column("last_step") <= ends) & (part == "val")
    return np.where(held, np.maximum(found, HELD), found)


def kinds(runs: Runs) -> np.ndarray:
    """[runs], which dynamics each shows."""
    crossings = [runs.crossing(part, 99)[0] for part in ("train", "val")]
    curves = [runs.curve(f"{part}_accuracy") for part in ("train", "val")]
    ends, diverged = runs.column("last_step"), runs.column("status") == "diverged"
    return np.array(
        [
            classify(
                runs.step[runs.step <= end],
                *(curve[i][runs.step <= end] for curve in curves),
                *(float(crossing[i]) for crossing in crossings),
                diverged=bool(diverged[i]),
            )
            for i, end in enumerate(ends)
        ],
        dtype=f"<U{max(map(len, LABELS))}",
    )


def over(runs: Runs, name: str, values: np.ndarray) -> pd.DataFrame:
    """A row for each seed and a column for each value of an axis; NaN where there is no run."""
    table = pd.DataFrame({"seed": runs.column("seed"), "at": runs.column(name), "value": values})
    return table.pivot(index="seed", columns="at", values="value")


def _logs(values: Between) -> Between:
    """ln of values that are not negative."""
    with np.errstate(divide="ignore"):
        return Between(*(np.log(np.maximum(end, 0.0)) for end in values))


def _critical(runs: Runs, level: float = 0.99, share: float = 1.0) -> tuple[np.ndarray, Between]:
    """The seeds of one width, and of each the least rows with a final validation accuracy: what is known of it."""
    table = over(runs, "train_rows", final_accuracy(runs, share=share))
    return table.index.to_numpy(), least_reaching(table.columns.to_numpy(), table.to_numpy(), level).bounds()


def _critical_size_falls(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-1."""
    parts, sizes, used = [], {}, []
    for (width,), runs in cells(evidence, "critical_size", "width"):
        seeds, rows = _critical(runs)
        sizes[int(width)] = pd.DataFrame(_logs(rows)._asdict(), index=seeds)
        used.append(runs)
    if len(sizes) > 1:
        narrow, wide = min(sizes), max(sizes)
        shared = sizes[narrow].index.intersection(sizes[wide].index)
        ends = (Between(*sizes[d].loc[shared].to_numpy().T) for d in (narrow, wide))
        parts.append(effect(rule, f"width {narrow} / {wide}", difference(*ends), NO_SIZE))
    own = used[0].values("modulus") == [113] if used else False
    for width, claimed in OWN_SIZES.items() if own else ():
        if width in sizes:
            label = f"d={width} over {claimed:,} rows"
            known = Between(*sizes[width].to_numpy().T).shifted(-np.log(claimed))
            parts.append(no_more(rule, label, known, NO_SIZE, smallest=rule.about[label], about=True))
    return Findings(parts, used=used, by_level=False)


def _capacity_rises(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-2."""
    runs = evidence.get("capacity")
    if runs is None or len(runs.values("width")) < 3:
        return Findings([])
    rows = np.rint(final_accuracy(runs, "train") * runs.column("num_train"))
    table = over(runs, "width", rows).dropna()
    found = np.array([spearman(table.columns.to_numpy(), row).value for row in table.to_numpy()])
    label = f"width {table.columns[0]} to {table.columns[-1]}"
    return Findings([effect(rule, label, found[~np.isnan(found)])], used=[runs], by_level=False)


def _four_cells_four_dynamics(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-3."""
    parts, used = [], []
    for cell in CELLS:
        for _, runs in _cell(evidence, cell.name):
            shown = kinds(runs)
            part = majority(rule, f"{_size(runs)}: {cell.name}", shown == cell.kind)
            counts = ", ".join(f"{number} {kind}" for kind, number in Counter(shown.tolist()).most_common())
            parts.append(dataclasses.replace(part, note="; ".join(filter(None, (part.note, counts)))))
            used.append(runs)
    return Findings(parts, used=used, by_level=False)


def _cell(evidence: Evidence, name: str) -> list[tuple[str, Runs]]:
    """The runs of one of `CELLS`, once; nothing if they were not run."""
    return [(key, runs) for (key,), runs in cells(evidence, "dynamics", "variant") if key == name]


def _size(runs: Runs) -> str:
    """'d=8, N=3000'."""
    return f"d={runs.column('width')[0]}, N={runs.column('num_train')[0]}"


def u_depths(runs: Runs) -> tuple[np.ndarray, np.ndarray, float]:
    """The seeds that have every width, how deep the U of each is, and the p-value against monotone curves.

    Of one seed the depth is that of its own deepest dip, and the p-value NaN.
    """
    table = over(runs, "width", final_accuracy(runs)).dropna()
    if len(table.columns) < 3 or not len(table):
        return np.array([]), np.array([]), np.nan
    if len(table) == 1:
        return table.index.to_numpy(), np.array([deepest_dip(table.to_numpy()[0]).depth]), np.nan
    found = u_shape(table.to_numpy(), seed=0)
    return table.index.to_numpy(), found.depths, found.p_value


def _u_over_width(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-4."""
    found = {rows: u_depths(runs) for (rows,), runs in cells(evidence, "width", "train_rows")}
    found = {rows: found[rows] for rows in sorted(found) if len(found[rows][1])}
    if not found:
        return Findings([])
    first, *rest = found
    parts = [_against_monotone(effect(rule, f"N={first}: depth", found[first][1]), found[first][2])]
    if rest:
        one, other = (pd.Series(found[rows][1], index=found[rows][0]) for rows in (first, rest[0]))
        parts.append(effect(rule, f"N={first} less N={rest[0]}", (one - other).dropna().to_numpy()))
    parts += [_against_monotone(no_more(rule, f"none at N={n}", found[n][1]), found[n][2]) for n in rest[1:]]
    return Findings(parts, used=[evidence["width"]], by_level=False)


def _against_monotone(part: Part, p_value: float) -> Part:
    """The part, with the p-value of a dip as deep in monotone curves."""
    if np.isnan(p_value):
        return part
    said = f"monotone curves show as deep a dip with p = {p_value:.2g}"
    return dataclasses.replace(part, note="; ".join(filter(None, (part.note, said))))


def _square_deepens(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-5."""
    found = {name: (runs, *u_depths(runs)) for (name,), runs in cells(evidence, "square", "operation")}
    if len(found) < 2:
        return Findings([])
    depths = {name: pd.Series(depth, index=seeds) for name, (_, seeds, depth, _) in found.items()}
    (square,) = (name for name in depths if name != "add")
    less = (depths[square] - depths["add"]).dropna().to_numpy()
    controls = [effect(rule, f"{name}: depth", depth.to_numpy()) for name, depth in depths.items()]
    used = [runs for runs, *_ in found.values()]
    return Findings([effect(rule, f"{square} less x+y", less)], controls, used, by_level=False)


def _emergent(runs: Runs, count: Callable[..., int]) -> tuple[np.ndarray, object]:
    """The seeds of one arm, and of each the least parameters with which the addition emerges."""
    columns = (runs.column(name) for name in ("width", "modulus", "num_layers"))
    sizes = [count(int(width), int(modulus), int(layers)) for width, modulus, layers in zip(*columns, strict=True)]
    placed = Runs(runs.table.assign(parameters=sizes), runs.step, {})
    table = over(placed, "parameters", runs.column("max_val_accuracy").astype(np.float64))
    return table.index.to_numpy(), least_reaching(table.columns.to_numpy(), table.to_numpy(), EMERGED, log=True)


def _size_ratio(one: Runs, other: Runs) -> Between:
    """[seeds], ln of the ratio of emergent sizes, one to other: what the models that ran leave open."""
    seeds = sorted(set(one.table["seed"]) & set(other.table["seed"]))
    arms = [runs.take(np.flatnonzero(runs.table["seed"].isin(seeds).to_numpy())) for runs in (one, other)]
    (_, upper), (_, lower) = (_emergent(arm, mixed) for arm in arms)
    return _logs(Between(*ratio_bounds(upper, lower)))


def _labels_delay_emergence(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-6."""
    found = {int(rows): runs for (rows,), runs in cells(evidence, "emergence", "second_rows")}
    if len(found) < 2 or 0 not in found:
        return Findings([])
    parts = [
        effect(rule, f"{rows} random rows", _size_ratio(runs, found[0]), NEVER_EMERGED)
        for rows, runs in sorted(found.items())
        if rows
    ]
    return Findings(parts, used=list(found.values()), by_level=False)


def _split_lowers_emergence(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-9."""
    found = {bool(split): runs for (split,), runs in cells(evidence, "split_feed_forward", "split_mlp")}
    if len(found) < 2:
        return Findings([])
    part = effect(rule, "whole / split", _size_ratio(found[False], found[True]), NEVER_EMERGED)
    return Findings([part], used=list(found.values()), by_level=False)


def _norm_falls_or_rises(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-7."""
    runs = evidence.get("dynamics")
    if runs is None:
        return Findings([])
    shown, parts, used = kinds(runs), [], []
    for kind, sign, told in (("grokking", -1, "falls"), ("progression", 1, "rises")):
        those = runs.take(np.flatnonzero(shown == kind))
        changes = pd.Series(sign * norm_change(those)).groupby(those.column("seed")).mean().dropna()
        parts.append(effect(rule, f"{told} in {kind}", changes.to_numpy()))
        used.append(those)
    return Findings(parts, used=used, by_level=False)


def norm_change(runs: Runs) -> np.ndarray:
    """[runs], ln of weight norm at 90 % validation accuracy, or at the end, over that at 10 %; NaN if never at 10 %."""
    changes = []
    for accuracy, norm in zip(runs.curve("val_accuracy"), runs.curve("weight_norm").astype(np.float64), strict=True):
        begun, done = (np.flatnonzero(accuracy >= level) for level in (BEGUN, GENERALISED))
        changes.append(np.log(norm[done[0] if len(done) else -1] / norm[begun[0]]) if len(begun) else np.nan)
    return np.array(changes, np.float64)


def _band_is_a_thousand_rows(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-8."""
    parts, controls, used = [], [], []
    for (width,), runs in cells(evidence, "critical_size", "width"):
        expected = BAND * float(runs.column("modulus")[0]) ** 2
        for share, into in ((1.0, parts), (THIRD, controls)):
            (_, begins), (_, ends) = (_critical(runs, at, share) for at in (BEGUN, GENERALISED))
            known = _logs(difference(ends, begins)).shifted(-np.log(expected))
            told = f"d={width}: band over {expected:.0f} rows"
            label = told if share == 1.0 else f"{told}, at a third of the budget"
            into.append(no_more(rule, label, known, NO_BAND, smallest=rule.about["d="], about=True))
        used.append(runs)
    return Findings(parts, controls, used, by_level=False)


def _semi_grokking_switches(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-10."""
    cells_of = {name: runs for name in ("semi-grokking", "grokking") for _, runs in _cell(evidence, name)}
    if len(cells_of) < 2:
        return Findings([])
    arms = [runs.take(np.flatnonzero(kinds(runs) == name)) for name, runs in cells_of.items()]
    counts = [switches(runs.curve("val_accuracy")).astype(np.float64) for runs in paired(*arms)]
    part = effect(rule, "semi-grokking less grokking", counts[0] - counts[1])
    controls = [
        effect(rule, f"{_size(runs)}: {name}", switches(runs.curve("val_accuracy")).astype(np.float64))
        for name, runs in cells_of.items()
    ]
    return Findings([part], controls, arms, by_level=False)


def _zones_in_order(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """HUANG-11."""
    parts, used = [], []
    for i, (rows, runs) in enumerate(sorted((key[0], runs) for key, runs in cells(evidence, "width", "train_rows"))):
        if i < 2:
            label = f"N={rows}: order of the zones"
            places = np.array([ORDER.index(kind) if kind in ORDER else np.nan for kind in kinds(runs)])
        else:
            label, places = f"N={rows}: validation accuracy rises", np.minimum(final_accuracy(runs), HELD)
        table = over(runs, "width", places)
        rank = [spearman(row.dropna().index.to_numpy(), row.dropna().to_numpy()).value for _, row in table.iterrows()]
        parts.append(effect(rule, label, np.array(rank)[~np.isnan(rank)]))
        used.append(runs)
    return Findings(parts, used=used, by_level=False)


CLAIMS = {
    "HUANG-1": _critical_size_falls,
    "HUANG-2": _capacity_rises,
    "HUANG-3": _four_cells_four_dynamics,
    "HUANG-4": _u_over_width,
    "HUANG-5": _square_deepens,
    "HUANG-6": _labels_delay_emergence,
    "HUANG-7": _norm_falls_or_rises,
    "HUANG-8": _band_is_a_thousand_rows,
    "HUANG-9": _split_lowers_emergence,
    "HUANG-10": _semi_grokking_switches,
    "HUANG-11": _zones_in_order,
}


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The source recorded no numbers that decide a claim."""
    return []
