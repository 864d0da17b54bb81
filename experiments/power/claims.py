"""The claims of the POWER study, POWER-1 to POWER-17.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, and returns
the parts that decide and the controls beside them. The registry says in words what they compute."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from grokjax.analysis.correlation import spearman
from grokjax.analysis.learning_rate_window import window
from grokjax.analysis.second_descent import second_descent
from grokjax.analysis.statistics import Between, Estimate, log_ratio
from grokjax.analysis.thresholds import Threshold, least_reaching
from grokjax.claims.evidence import (
    TOO_EARLY,
    UNFITTED,
    Evidence,
    Findings,
    arms_of,
    cells,
    ended_early,
    once_generalised,
)
from grokjax.claims.rules import Rule, recorded_of
from grokjax.claims.runs import Runs, gain, time_ratio
from grokjax.claims.verdicts import Part, effect, majority, no_more, without_interval
from grokjax.experiments.power.arms import DECAYS, KINDS_OF_DECAY, MODULAR, NOISES, REGULARISATIONS, RELATED

CLAIMED = float(np.log(1.45))
"""The middle of '40 to 50 % more', as ln of a ratio."""

MILD = 1000 / 14_400
"""The largest share of outliers in the table of S5 that is claimed to be mild."""


def least_fractions(runs: Runs, level: int) -> tuple[list, Threshold]:
    """The seeds, and the least train fraction with which each reaches a validation accuracy.

    Args:
      runs: of one arm, over fractions and seeds.
      level: in percent.
    """
    fractions, seeds = runs.values("train_fraction"), runs.values("seed")
    highest = np.full((len(seeds), len(fractions)), np.nan)
    columns = (runs.column(name) for name in ("seed", "train_fraction", "max_val_accuracy"))
    for seed, fraction, accuracy in zip(*columns, strict=True):
        highest[seeds.index(seed), fractions.index(fraction)] = accuracy
    return seeds, least_reaching(np.array(fractions, np.float64), highest.astype(np.float32), level / 100)


def data_ratio(more: Runs, less: Runs, level: int) -> Between:
    """[seeds], ln of the ratio of two least fractions, paired by seed: what is known of it.

    One that is reached at the smallest fraction that ran may be any smaller one. Two that lie between the same two
    fractions of the grid may differ by as much as these do.
    """
    (seeds, upper), (others, lower) = least_fractions(more, level), least_fractions(less, level)
    shared = [seed for seed in seeds if seed in others]
    upper, lower = (
        Threshold(*(values[[own.index(seed) for seed in shared]] for values in found))
        for own, found in ((seeds, upper), (others, lower))
    )
    known = log_ratio(upper.at, lower.at, upper.bracket, lower.bracket)
    tie = (known.least == 0) & (known.most == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(tie, np.log(upper.bracket) - np.log(lower.at), known.least)
        most = np.where(tie, np.log(upper.at) - np.log(lower.bracket), known.most)
    return Between(
        np.where(np.isneginf(upper.bracket), -np.inf, least), np.where(np.isneginf(lower.bracket), np.inf, most)
    )


NEITHER_NEEDS = "pairs both lie between the same two fractions, or neither inside the grid"


def _needs_more(rule: Rule, label: str, more: Runs, less: Runs, level: int, **changes) -> Part:
    """Whether one arm needs more data than another."""
    return effect(rule, label, data_ratio(more, less, level), NEITHER_NEEDS, **changes)


def _memorises_long_before_it_generalises(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-1."""
    arms = arms_of(evidence, "division", "none")
    if not arms:
        return Findings([])
    (runs,) = arms
    train, val = runs.crossing("train", level)[0], runs.crossing("val", level)[0]
    early = ended_early(runs, rule)
    ratio = effect(
        rule, "99 % validation / training", runs.delay(level), UNFITTED, unit="ln ratio", smallest=np.log(100)
    )
    parts = [
        majority(rule, "99 % training within 10^3 steps", train <= 1e3, np.isinf(train) & (runs.budget() < 1e3)),
        once_generalised(ratio, runs, level),
        majority(rule, "99 % validation within 10^6 steps", val <= 1e6, np.isinf(val) & early, TOO_EARLY),
    ]
    controls = []
    if decayed := arms_of(evidence, "division", "decay"):
        label = "with decay, 99 % validation / training"
        controls.append(effect(rule, label, decayed[0].delay(level), UNFITTED, unit="ln ratio", smallest=np.log(2)))
        sooner = time_ratio(runs, decayed[0], "val", level)
        controls.append(
            effect(rule, "99 % validation without / with decay", sooner, unit="ln ratio", smallest=np.log(2))
        )
    return Findings(parts, controls, arms)


def _validation_loss_descends_twice(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-14."""
    parts, used = [], []
    for (id,), runs in cells(evidence, "division", "variant"):
        found = np.array([second_descent(loss).found for loss in runs.curve("val_loss").astype(np.float64)])
        unknown = ~found & ended_early(runs, rule) & np.isinf(runs.crossing("val", level)[0])
        parts.append(majority(rule, DECAYS.get(id, id), found, unknown, TOO_EARLY))
        used.append(runs)
    return Findings(parts, used=used, by_level=False)


def _fractions(runs: Runs, low: float, high: float) -> list[float]:
    """The fractions of the source's range that ran, or all where fewer than two of these did."""
    own = [value for value in runs.values("train_fraction") if low - 1e-6 <= value <= high + 1e-6]
    return own if len(own) > 1 else runs.values("train_fraction")


def _slope(runs: Runs, fractions: Sequence[float], level: int) -> Between:
    """[seeds], slope of ln steps to validation per 1 % of the table less, a line per seed; what is known of it.

    A run that never got there has a bound at its last step, which bounds the slope on the side to which it pulls.
    """
    percents = -100 * np.array(fractions)
    weights = (percents - percents.mean()) / ((percents - percents.mean()) ** 2).sum()
    least, most = [], []
    for _, mine in runs.by("seed"):
        mine = mine.take(np.flatnonzero(np.isin(mine.column("train_fraction"), fractions)))
        if len(mine) < len(fractions):
            continue
        mine = mine.take(np.argsort(mine.column("train_fraction"), kind="stable"))
        at, bracket = mine.crossing("val", level)
        low, high = np.log(np.where(np.isfinite(at), at, bracket)), np.log(at)
        pulls = np.abs(weights) > 1e-12
        for ends, found in (((low, high), least), ((high, low), most)):
            terms = np.where(weights > 0, *ends)[pulls] * weights[pulls]
            found.append(terms.sum() if np.isfinite(terms).all() else terms[~np.isfinite(terms)][0])
    return Between(np.array(least), np.array(most))


def _each_percent_costs(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-2."""
    runs = evidence.get("data_fraction")
    fractions = _fractions(runs, 0.25, 0.3) if runs is not None else []
    if len(fractions) < 2:
        return Findings([])
    runs = runs.take(np.flatnonzero(np.isin(runs.column("train_fraction"), fractions)))
    slopes, label = _slope(runs, fractions, level), f"alpha {fractions[-1]:g} to {fractions[0]:g}, per 1 % less"
    (about,) = rule.about.values()
    beyond = no_more(rule, f"{label}, beyond ×1.45", slopes.shifted(-CLAIMED), smallest=about, about=True)
    return Findings([effect(rule, label, slopes), beyond], used=[runs])


def _training_takes_as_long(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-3."""
    runs = evidence.get("data_fraction")
    if runs is None or not len(runs):
        return Findings([])
    hits, unknown = [], []
    for _, mine in runs.by("seed"):
        train = mine.crossing("train", level)[0]
        inside, later = (train >= 1e3) & (train <= 1e4), np.isinf(train) & ended_early(mine, rule)
        hits.append(bool(inside.all()))
        unknown.append(bool((inside | later).all() and later.any()))
    parts = [majority(rule, "99 % training within 10^3 to 10^4 steps", hits, unknown, TOO_EARLY)]
    fractions = runs.values("train_fraction")
    if len(fractions) > 1:
        least, most = (runs.where(train_fraction=fraction) for fraction in (fractions[0], fractions[-1]))
        (about,) = rule.about.values()
        label = f"alpha {fractions[0]:g} to {fractions[-1]:g}"
        ratio = time_ratio(least, most, "train", level)
        parts.append(no_more(rule, label, ratio, unit="ln ratio", smallest=about, about=True))
    return Findings(parts, used=[runs])


def _five_percent_cost(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-15."""
    runs = evidence.get("data_fraction")
    fractions = runs.values("train_fraction") if runs is not None else []
    pairs = [(low, high) for low in fractions for high in fractions if abs(high - low - 0.05) < 1e-6]
    if not pairs:
        return Findings([])
    low, high = next((pair for pair in pairs if abs(pair[0] - 0.25) < 1e-6), pairs[0])
    less, more = (runs.where(train_fraction=fraction) for fraction in (low, high))
    ratio = time_ratio(less, more, "val", level)
    (about,) = rule.about.values()
    label = f"alpha {high:g} to {low:g}"
    part = no_more(rule, f"{label}, beyond ×1.45", ratio.shifted(-CLAIMED), smallest=about, about=True)
    return Findings([part], [effect(rule, f"{label}: steps", ratio)], [less, more])


def _symmetric_operations_need_less(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-4."""
    parts, used = [], []
    for ids in RELATED:
        if arms := arms_of(evidence, "operations", *ids):
            parts.append(_needs_more(rule, " to ".join(MODULAR[id][0] for id in ids), *arms, level))
            used += arms
    return Findings(parts, used=used)


def _renamed_operations_need_as_much(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-5."""
    parts, used = [], []
    pairs = (("subtract", "divide"), ("add-less-one", "multiply-nonzero"))
    for ids, (label, about) in zip(pairs, rule.about.items(), strict=True):
        if arms := arms_of(evidence, "operations", *ids):
            ratio = data_ratio(*arms, level)
            parts.append(no_more(rule, label, ratio, NEITHER_NEEDS, smallest=about, about=True))
            used += arms
    return Findings(parts, used=used)


def _by_seed(runs: Runs, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """[seeds] the highest validation accuracy at any fraction, and whether all runs used the claim's budget."""
    highest, whole = [], []
    for _, mine in runs.by("seed"):
        highest.append(float(mine.column("max_val_accuracy").max()))
        whole.append(not (ended_early(mine, rule) | (mine.column("status") == "diverged")).any())
    return np.array(highest), np.array(whole, bool)


def _the_mixed_operation_generalises(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-6."""
    arms = arms_of(evidence, "operations", "mixed")
    if not arms:
        return Findings([])
    highest, whole = _by_seed(arms[0], rule)
    hits = np.float32(highest) >= np.float32(level / 100)
    return Findings([majority(rule, MODULAR["mixed"][0], hits, ~hits & ~whole, TOO_EARLY)], used=arms)


def _one_operation_is_not_learned(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-7."""
    arms = arms_of(evidence, "operations", "x3+xy2+y")
    if not arms:
        return Findings([])
    highest, whole = _by_seed(arms[0], rule)
    hits = highest < 0.1
    part = majority(rule, MODULAR["x3+xy2+y"][0], hits, hits & ~whole, "seeds another run might have learned it")
    return Findings([part], used=arms, by_level=False)


def _decay_halves_the_data(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-8."""
    parts, controls, used = [], [], []

    def compare(more: str, less: str, found: list, **changes):
        if arms := arms_of(evidence, "regularisation", more, less):
            found.append(
                _needs_more(rule, f"{REGULARISATIONS[more]} to {REGULARISATIONS[less]}", *arms, level, **changes)
            )
            used.extend(arms if found is parts else [])

    compare("adam", "decay", parts)
    compare("decay-init", "decay", parts, smallest=np.log(1.1))
    for kind in KINDS_OF_DECAY[1:]:
        compare("adam", kind, controls)
    return Findings(parts, controls, used)


def _noise_needs_less(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-9."""
    parts, used = [], []
    for noise, ids in NOISES.items():
        if arms := arms_of(evidence, "regularisation", *ids):
            parts.append(_needs_more(rule, f"without to with {noise}", *arms, level))
            used += arms
    return Findings(parts, used=used)


def _decay_needs_the_least(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-16."""
    others = [id for id in REGULARISATIONS if id not in ("decay", "decay-jiggle", "decay-gradient")]
    arms = arms_of(evidence, "regularisation", "decay", *others)
    if not arms:
        return Findings([])
    decay, *rest = arms
    ratios = {id: data_ratio(runs, decay, level) for id, runs in zip(others, rest, strict=True)}
    if len({len(ratio.least) for ratio in ratios.values()}) > 1:
        raise ValueError("Some ways to train ran with fewer seeds than others. Continue the experiment.")
    best = Between(*(np.min([ends[i] for ends in ratios.values()], axis=0) for i in (0, 1)))
    controls = [effect(rule, f"{REGULARISATIONS[id]} to decay 1", ratio, NEITHER_NEEDS) for id, ratio in ratios.items()]
    return Findings([effect(rule, "the best of ten others to decay 1", best, NEITHER_NEEDS)], controls, arms)


def _noise_is_flatter(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-17."""
    parts, used = [], []
    for noise, ids in NOISES.items():
        if arms := arms_of(evidence, "regularisation", *ids):
            ratio = _sharpness_ratio(*arms, level)
            parts.append(effect(rule, f"without to with {noise}", ratio, UNFITTED))
            used += arms
    return Findings(parts, used=used)


def _sharpness_ratio(one: Runs, other: Runs, level: int) -> np.ndarray:
    """[seeds], ln of the ratio of sharpness, the mean over the fractions at which both of a seed ran and memorised."""
    logs = []
    for runs in (one, other):
        kept = np.isfinite(runs.crossing("train", level)[0]) & (runs.column("sharpness") > 0)
        columns = (runs.column(name)[kept] for name in ("seed", "train_fraction", "sharpness"))
        logs.append({(seed, fraction): np.log(value) for seed, fraction, value in zip(*columns, strict=True)})
    shared = sorted(logs[0].keys() & logs[1].keys())
    seeds = sorted({seed for seed, _ in shared})
    return np.array([np.mean([logs[0][c] - logs[1][c] for c in shared if c[0] == seed]) for seed in seeds])


def _rates_lie_in_a_window(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-10."""
    parts, controls, used = [], [], []
    for (id,), runs in cells(evidence, "learning_rate", "variant"):
        rates, seeds = runs.values("learning_rate"), runs.values("seed")
        if len(rates) < 2:
            continue
        highest = np.full((len(seeds), len(rates)), np.nan, np.float32)
        for seed, rate, value in zip(*map(runs.column, ("seed", "learning_rate", "max_val_accuracy")), strict=True):
            highest[seeds.index(seed), rates.index(rate)] = value
        found = window(np.array(rates, np.float64), highest, level / 100)
        some = np.isfinite(found.low)
        widths = Between(np.where(some, found.decades, 0.0), np.where(some, found.most_decades, np.inf))
        part = no_more(rule, f"window of {DECAYS.get(id, id)}", widths)
        if not some.any():
            part = dataclasses.replace(part, verdict="inconclusive", unknown="at no rate a run generalises")
        (parts if id == "decay" else controls).append(part)
        used += [runs] if id == "decay" else []
    return Findings(parts, controls, used)


def _many_outliers_matter(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-11."""
    parts, used = [], []
    runs = evidence.get("outliers")
    counts = runs.values("outliers") if runs is not None else []
    if 0 not in counts:
        return Findings([])
    none = runs.where(outliers=0)
    rows = float((none.column("num_train") / none.column("train_fraction")).max())
    for count in counts[1:]:
        these = runs.where(outliers=count)
        ratio, mild = data_ratio(these, none, level), count <= MILD * rows * 1.01
        predicted = no_more if mild else effect
        parts.append(predicted(rule, f"{'mild' if mild else 'severe'}: k={count} to none", ratio, NEITHER_NEEDS))
        used.append(these)
    return Findings(parts, used=[none, *used])


def _sharp_minima_generalise_less(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-12."""
    parts, controls, used = [], [], []
    for (id,), runs in cells(evidence, "sharpness", "variant"):
        accuracy = runs.column("final_val_accuracy").astype(np.float64)
        for name, label, found in (
            ("sharpness", "", parts),
            ("top_eigenvalue", ", top eigenvalue of the Hessian", controls),
        ):
            value = spearman(runs.column(name).astype(np.float64), accuracy)
            against = Estimate(-value.value, -value.high, -value.low, value.p_value, value.runs, -value.value)
            part = effect(rule, f"{DECAYS.get(id, id)}{label}", against)
            still = np.isnan(value.value)
            found.append(dataclasses.replace(part, unknown="all runs end at one accuracy") if still else part)
        used.append(runs)
    known = [part for part in parts if not part.unknown]
    return Findings(
        known or parts, [*(part for part in parts if known and part.unknown), *controls], used, by_level=False
    )


def _rows_lie_in_order(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """POWER-13."""
    parts, used = [], []
    kinds = {
        "add": (
            "x+y: circular order",
            "line_p",
            "x+y: share in the top frequency, with less without decay",
            "top_share",
            0.1,
        ),
        "permutations": (
            "permutations: cosets",
            "coset_p",
            "permutations: silhouette, with less without decay",
            "coset_excess",
            0.02,
        ),
    }
    for id, (label, p_value, gained, name, smallest) in kinds.items():
        if with_it := arms_of(evidence, "embeddings", f"{id}-decay"):
            parts.append(majority(rule, label, with_it[0].column(p_value) < 0.05))
            used += with_it
            if without := arms_of(evidence, "embeddings", f"{id}-none"):
                more, unit = gain(with_it[0], without[0], name), "points" if id == "add" else "silhouette"
                parts.append(effect(rule, gained, more, unit=unit, smallest=smallest))
                used += without
    return Findings(parts, used=used, by_level=False)


CLAIMS = {
    "POWER-1": _memorises_long_before_it_generalises,
    "POWER-2": _each_percent_costs,
    "POWER-3": _training_takes_as_long,
    "POWER-4": _symmetric_operations_need_less,
    "POWER-5": _renamed_operations_need_as_much,
    "POWER-6": _the_mixed_operation_generalises,
    "POWER-7": _one_operation_is_not_learned,
    "POWER-8": _decay_halves_the_data,
    "POWER-9": _noise_needs_less,
    "POWER-10": _rates_lie_in_a_window,
    "POWER-11": _many_outliers_matter,
    "POWER-12": _sharp_minima_generalise_less,
    "POWER-13": _rows_lie_in_order,
    "POWER-14": _validation_loss_descends_twice,
    "POWER-15": _five_percent_cost,
    "POWER-16": _decay_needs_the_least,
    "POWER-17": _noise_is_flatter,
}


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The parts of a claim on the numbers that the source printed; none where it printed none that decide."""
    printed = recorded_of(rule.study)
    if rule.id == "POWER-1":
        ratio = float(np.log(printed["division"]["val_steps"] / printed["division"]["train_steps"]))
        return [without_interval(rule, "99 % validation / training", ratio, unit="ln ratio", smallest=np.log(100))]
    if rule.id == "POWER-2":
        return [
            without_interval(rule, f"per 1 % less, {end}", float(np.log(value)))
            for end, value in zip(("at least", "at most"), printed["data_fraction"]["per_percent"], strict=True)
        ]
    if rule.id == "POWER-12":
        return [without_interval(rule, "twenty seeds", -printed["sharpness"]["spearman"])]
    return []
