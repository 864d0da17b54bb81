"""The claims of the NANDA study on modular addition, NANDA-1 to 8 and NANDA-11, beside those of `sequence_claims`.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, and returns
the parts that decide and the controls beside them. The registry says in words what they compute.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from grokjax.analysis.statistics import Between, log_ratio
from grokjax.claims.evidence import TOO_EARLY, Evidence, Findings, cells, delayed, ended_early, once_fitted
from grokjax.claims.rules import Rule, recorded_of
from grokjax.claims.runs import Runs
from grokjax.claims.verdicts import Part, effect, majority, no_more, without_interval
from grokjax.experiments.nanda import sequence_claims
from grokjax.experiments.nanda.times import Series, doubled, ends_of_phases, evaluated_loss, halved, over_snapshots

SHARE = 0.25
"""The smallest effect of interest of a share of runs, above one half, in claims whose unit is another."""

WINDOW = (5_000, 20_000)
"""Steps between which the source's runs reach 99 % test accuracy."""

FEW = (3, 6)
"""Key frequencies of the source's networks, the fewest and the most."""

WEIGHTS = {
    "fall of the weight norm": ("weight_norm", -1),
    "rise of the embedding's Gini coefficient": ("gini.embedding", 1),
    "rise of the output map's Gini coefficient": ("gini.output_map", 1),
}
"""What weights do as they become sparse: curve and direction."""

NOT_GROKKED = "runs the test accuracy never came to 99 %"
NO_PHASES = "runs the phases have not all ended"
NO_TIMES = "runs neither came"


def _most(rule: Rule, label: str, hits, unknown=None, why: str = "") -> Part:
    """A part about a share of runs, in a claim of another unit."""
    return majority(dataclasses.replace(rule, smallest=SHARE), label, hits, unknown, why)


def _additions(evidence: Evidence) -> list[tuple[str, Runs]]:
    """The cells of `modular_addition`, with what a part calls them."""
    found = cells(evidence, "modular_addition", "modulus", "train_fraction")
    return [(f"p={modulus}, alpha={fraction}", runs) for (modulus, fraction), runs in found]


def _measured(evidence: Evidence) -> list[tuple[str, Runs]]:
    """The same, of the runs whose networks have been measured."""
    found = []
    for where, runs in _additions(evidence):
        norms = runs.measured("embedding_norm").transpose("run", ...).values.reshape(len(runs), -1)
        found.append((where, runs.take(np.flatnonzero(~np.isnan(norms).all(1)))))
    return found


def _never(runs: Runs, level: int) -> np.ndarray:
    """[runs], which never reach a test accuracy."""
    return np.isinf(runs.crossing("val", level)[0])


def _where(known: np.ndarray, values: np.ndarray) -> Between:
    """Values of which some are not known."""
    return Between(np.where(known, values, -np.inf), np.where(known, values, np.inf))


def _every_seed_groks(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-1."""
    parts, used = [], []
    for where, runs in _additions(evidence):
        parts.append(delayed(rule, where, runs, level))
        used.append(runs)
        if all(runs.values(name) == rule.own[name] for name in ("modulus", "train_fraction")):
            times = runs.crossing("val", level)[0]
            inside = (times >= WINDOW[0]) & (times <= WINDOW[1])
            label = f"{where}: after {WINDOW[0]:,} to {WINDOW[1]:,} steps"
            parts.append(_most(rule, label, inside, np.isinf(times) & ended_early(runs, rule), TOO_EARLY))
    return Findings(parts, used=used)


def _a_few_key_frequencies(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-2."""
    parts, controls, used = [], [], []
    for where, runs in _measured(evidence):
        keys, of_embedding = (_mask(runs, name) for name in ("key", "embedding_key"))
        never, counts = _never(runs, level), keys.sum(1)
        few = (counts >= FEW[0]) & (counts <= FEW[1])
        parts.append(_most(rule, f"{where}: {FEW[0]} to {FEW[1]} key frequencies", few, never, NOT_GROKKED))
        alone = np.array([(keys == one).all(1).sum() == 1 for one in keys], bool)
        parts.append(_most(rule, f"{where}: a set that no other seed has", alone, never, NOT_GROKKED))
        for label, values in (("key frequencies", counts), ("by the embedding", of_embedding.sum(1))):
            number = effect(rule, f"{where}: number, {label}", values.astype(float), unit="frequencies", smallest=1.0)
            controls.append(number)
        used.append(runs)
    return Findings(parts, controls, used)


def _mask(runs: Runs, name: str) -> np.ndarray:
    """[runs, frequencies] bool: a measure that says of each frequency whether it is a key."""
    return runs.measured(name).values == 1


def _hidden_progress_comes_first(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-3."""
    parts, used = [], []
    for where, runs in _measured(evidence):
        drop, seen = np.array([halved(line) for line in evaluated_loss(runs)]).T
        measures = (
            ("excluded loss doubled to test loss halved", doubled, "excluded_loss"),
            ("restricted loss halved to test loss halved", halved, "restricted_loss"),
        )
        for label, crossing, name in measures:
            times, before = np.array([crossing(line) for line in over_snapshots(runs, name)]).T
            parts.append(effect(rule, f"{where}: {label}", log_ratio(drop, times, seen, before), NO_TIMES))
        used.append(runs)
    return Findings(parts, used=used, by_level=False)


def _key_frequencies_do_the_work(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-4."""
    parts, used = [], []
    for where, runs in _measured(evidence):
        whole, without, alone = (
            runs.column(name).astype(np.float64)
            for name in ("whole_test_loss", "test_loss_without_keys", "test_loss_of_keys_alone")
        )
        grokked = ~_never(runs, level)
        chance = without >= 0.9 * np.log(runs.column("modulus").astype(float))
        parts.append(_most(rule, f"{where}: without them no better than chance", chance, ~grokked, NOT_GROKKED))
        better = _where(grokked, np.log(whole / alone))
        parts.append(effect(rule, f"{where}: test loss, whole to them alone", better, NOT_GROKKED))
        used.append(runs)
    return Findings(parts, used=used)


def _neurons_and_logits_are_cosines(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-5."""
    parts, used = [], []
    for where, runs in _measured(evidence):
        grokked = ~_never(runs, level)
        for label, name in (
            ("neurons of one frequency, less one half", "single_frequency_neurons"),
            ("logit variance in the key cosines, less one half", "key_logit_variance"),
        ):
            values = _where(grokked, runs.column(name).astype(np.float64) - 0.5)
            parts.append(effect(rule, f"{where}: {label}", values, NOT_GROKKED))
        used.append(runs)
    return Findings(parts, used=used)


def _clean_up_is_when_weights_fall(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-6."""
    parts, controls, used = [], [], []
    for where, runs in _additions(evidence):
        ends = ends_of_phases(runs)
        parts += _changes(rule, f"{where}: ", "in clean-up", runs, ends)
        half = np.array([halved(line)[0] for line in evaluated_loss(runs)])
        from_half = np.stack([ends[:, 0], half, ends[:, 2]], axis=1)
        controls += _changes(rule, f"{where}: ", "after the test loss is half its peak", runs, from_half)
        used.append(runs)
    return Findings(parts, controls, used, by_level=False)


def _changes(rule: Rule, where: str, when: str, runs: Runs, ends: np.ndarray) -> list[Part]:
    """How much of what weights do before and after a step happens after it, less the share of the steps.

    Args:
      rule, where, when: of the parts, and what their labels say.
      runs: of a cell.
      ends: [runs, 3], where the first stretch begins, where it ends, where the second ends; +inf where not known.
    """
    known = np.isfinite(ends).all(1) & (ends[:, 0] < ends[:, 1]) & (ends[:, 1] < ends[:, 2])
    at = np.searchsorted(runs.step, np.where(known[:, None], ends, 0))
    parts = []
    with np.errstate(invalid="ignore", divide="ignore"):
        share_of_steps = (ends[:, 2] - ends[:, 1]) / (ends[:, 2] - ends[:, 0])
        for label, (name, sign) in WEIGHTS.items():
            before, after = sign * np.diff(np.take_along_axis(runs.curve(name).astype(np.float64), at, 1)).T
            values = _where(known, after / (abs(before) + abs(after)) - share_of_steps)
            parts.append(effect(rule, f"{where}{label} {when}", values, NO_PHASES))
    return parts


def _too_little_and_much_data(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-7."""
    found = {fraction: runs for (fraction,), runs in cells(evidence, "data_size", "train_fraction")}
    if len(found) < 2:
        return Findings([])
    fractions = sorted(found)
    least, most = (found[fractions[i]] for i in (0, -1))
    memorised, never = np.isfinite(least.crossing("train", level)[0]), _never(least, level)
    label = f"least data, alpha={fractions[0]}: memorise and do not generalise"
    parts = [_most(rule, label, memorised & never, never & ended_early(least, rule), TOO_EARLY)]
    used = [least, most]
    for fraction in fractions[1:-1]:
        if found[fraction].arrives("val", level):
            parts.append(delayed(rule, f"more data, alpha={fraction}", found[fraction], level))
            used.append(found[fraction])
            break
    no_gap = no_more(rule, f"most data, alpha={fractions[-1]}", most.delay(level))
    parts.append(once_fitted(no_gap, most, level))
    return Findings(parts, used=used)


def _decay_sets_the_time(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-8."""
    found = {decay: runs for (decay,), runs in cells(evidence, "weight_decay", "weight_decay")}
    if len(found) < 2:
        return Findings([])
    decays = sorted(found)
    weak = [decay for decay in decays if decay <= 1]
    parts, used = [], list(found.values())
    if len(weak) > 1:
        why = "seeds not every decay up to 1 got there"
        label = f"decay {weak[0]:g} to {weak[-1]:g}: fall of the time"
        parts.append(effect(rule, label, _falls(evidence["weight_decay"], weak, level), why))
    if 1.0 in found:
        one = found[1.0]
        never = _never(one, level)
        groks = ~never & (one.delay(level).least >= np.log(2))
        parts.append(_most(rule, "decay 1: groks", groks, never & ended_early(one, rule), TOO_EARLY))
    strongest = found[decays[-1]]
    never = _never(strongest, level)
    label = f"decay {decays[-1]:g}: never generalises"
    parts.append(_most(rule, label, never, never & ended_early(strongest, rule), TOO_EARLY))
    return Findings(parts, used=used)


def _falls(runs: Runs, decays: Sequence[float], level: int) -> Between:
    """[seeds], minus the slope of ln(steps to a test accuracy) on ln(decay); unknown where a run never gets there."""
    slopes = []
    for _, mine in runs.by("seed"):
        own = [mine.where(weight_decay=decay) for decay in decays]
        if any(len(one) != 1 for one in own):
            continue
        times = np.array([one.crossing("val", level)[0][0] for one in own])
        slopes.append(-np.polyfit(np.log(decays), np.log(times), 1)[0] if np.isfinite(times).all() else np.nan)
    slopes = np.array(slopes, float)
    return _where(~np.isnan(slopes), np.nan_to_num(slopes))


def _circuits_form_gradually(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-11."""
    parts, controls, used = [], [], []
    for where, runs in _measured(evidence):
        windows = ends_of_phases(runs)[:, :2]
        halves = [halved(line)[0] for line in evaluated_loss(runs)]
        for label, name, sign in (
            ("rise of the excluded loss", "excluded_loss", 1),
            ("fall of the restricted loss", "restricted_loss", -1),
        ):
            lines = over_snapshots(runs, name)
            parts.append(_steady(rule, f"{where}: {label}", lines, windows, sign))
            starts = [line.step[np.argmin(sign * line.values)] for line in lines]
            longer = np.stack([starts, halves], axis=1)
            told = f"{where}: {label}, from its turn until the test loss is half its peak, less that of a random walk"
            controls.append(_steady(rule, told, lines, longer, sign, FROM_ITS_TURN))
        used.append(runs)
    return Findings(parts, controls, used, by_level=False)


FROM_ITS_TURN = float(np.sqrt(np.pi / 2))
"""Deviations by which a random walk rises in the mean from its own lowest point on: what is chosen so always rises."""


def _steady(rule: Rule, label: str, lines: Sequence[Series], windows, sign: int, less: float = 0.0) -> Part:
    """A part about how much more steady a measure's change in a window of each run is than a random walk's."""
    drifts = np.array([sign * _drift(line, *window) for line, window in zip(lines, windows, strict=True)]) - less
    return effect(rule, label, _where(~np.isnan(drifts), np.nan_to_num(drifts)), NO_PHASES)


def _drift(series: Series, start: float, end: float) -> float:
    """The change of ln of a measure in a window, in deviations of a random walk with its increments; NaN of too few."""
    inside = (series.step >= start) & (series.step <= end) & np.isfinite(end)
    changes = np.diff(np.log(series.values[inside]))
    size = np.sqrt((changes**2).sum())
    return float(changes.sum() / size) if len(changes) > 2 and size > 0 else np.nan


CLAIMS = {
    "NANDA-1": _every_seed_groks,
    "NANDA-2": _a_few_key_frequencies,
    "NANDA-3": _hidden_progress_comes_first,
    "NANDA-4": _key_frequencies_do_the_work,
    "NANDA-5": _neurons_and_logits_are_cosines,
    "NANDA-6": _clean_up_is_when_weights_fall,
    "NANDA-7": _too_little_and_much_data,
    "NANDA-8": _decay_sets_the_time,
    "NANDA-11": _circuits_form_gradually,
} | sequence_claims.CLAIMS


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The parts of a claim on the numbers that the source recorded; none where it recorded none that decide."""
    told = recorded_of(rule.study)["modular_addition"]
    if rule.id == "NANDA-1":
        delay = np.log(told["steps_to_test_drop"][0] / told["steps_to_train_99"])
        return [without_interval(rule, "p=113, alpha=0.3, start of the drop", delay)]
    return sequence_claims.on_recorded_numbers(rule)
