"""The claims PERIODIC-1 to PERIODIC-10. The registry says in words what each function computes."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from grokjax.analysis.effective import decay_slope
from grokjax.analysis.statistics import Between, paired_shares
from grokjax.claims.evidence import TOO_EARLY, UNFITTED, Evidence, Findings, arms_of, cells, ended_early
from grokjax.claims.rules import Rule
from grokjax.claims.runs import Runs, paired
from grokjax.claims.verdicts import Part, effect, majority, no_more
from grokjax.experiments.melnik.arms import CONTROLS, DECAYS, NORMS, TYPICAL
from grokjax.experiments.melnik.saw_tooth import EPOCHS, LEAST_DIPS, WHOLE, SawTooth, norms_in, of_run

UNSEEN = "runs there was nothing to compare, or no even evaluations after point 1"
GROKS_BY = np.log(2.0)
"""ln of validation over training steps from which on a run groks."""


def saw_teeth(runs: Runs, whole: bool = False) -> list[SawTooth | None]:
    """Each run from point 1 on, `whole`: by the norms of all weights; None of one that never got there."""
    names = ("train_mode_accuracy", "val_accuracy", *norms_in(runs.curves, whole))
    curves = {name: runs.curve(name) for name in names}
    columns = (runs.column(name) for name in ("last_step", "learning_rate", "weight_decay", "steps_per_epoch"))
    numbers = zip(runs.crossing("train", 99)[0], *columns, strict=True)
    return [
        of_run(runs.step, {name: curve[i] for name, curve in curves.items()}, *map(float, of_one), whole)
        for i, of_one in enumerate(numbers)
    ]


def known(values: Sequence[float] | np.ndarray) -> Between:
    """Values of which NaN is not known."""
    values = np.asarray(values, np.float64)
    return Between(np.where(np.isnan(values), -np.inf, values), np.where(np.isnan(values), np.inf, values))


def of_each(runs: Runs, function: Callable[[SawTooth], float], whole: bool = False) -> np.ndarray:
    """[runs], a number of each saw-tooth; NaN where there is none."""
    return np.array([np.nan if one is None else function(one) for one in saw_teeth(runs, whole)], np.float64)


def with_all_weights(runs: Runs, judged: Callable[[str, bool], Sequence[Part]], label: str):
    """(parts, controls): by the scale-invariant weights where they were measured, and the same by all weights."""
    if norms_in(runs.curves) == WHOLE:
        return judged(label, True), []
    return judged(label, False), judged(f"{label}, all weights", True)


def layers(depth: int) -> str:
    """'1 layer', '2 layers'."""
    return f"{depth} layer{'s' * (depth != 1)}"


def by_depth(evidence: Evidence) -> list[tuple[str, Runs]]:
    """The runs of `periodicity` under the words for their depth."""
    return [(layers(int(depth)), runs) for (depth,), runs in sorted(cells(evidence, "periodicity", "num_layers"))]


def groks(runs: Runs, level: int) -> np.ndarray:
    """[runs], whether validation comes at twice the steps of training or later."""
    return np.isfinite(runs.crossing("val", level)[0]) & (runs.delay(level).least >= GROKS_BY)


def dips_often(runs: Runs) -> np.ndarray:
    """[runs], whether there are three dips or more."""
    return of_each(runs, lambda one: len(one.dips.index)) >= LEAST_DIPS


def periodic(runs: Runs, whole: bool = False) -> np.ndarray:
    """[runs], whether the effective learning rate has a period."""
    return of_each(runs, lambda one: one.period().periodic, whole) == 1


def most(rule: Rule, label: str, runs: Runs, hits: np.ndarray) -> Part:
    """Whether most runs do something that a longer run might still do."""
    return majority(rule, label, hits, ~hits & ended_early(runs, rule), TOO_EARLY)


def most_do_not(rule: Rule, label: str, runs: Runs, does: np.ndarray) -> Part:
    """Whether most runs that memorise do not do something that a longer run might still do."""
    unfitted, early = np.isinf(runs.crossing("train", 99)[0]), ended_early(runs, rule)
    why = UNFITTED if (~does & unfitted).any() else TOO_EARLY
    return majority(rule, label, ~does, ~does & (early | unfitted), why)


def _grok_and_behave_periodically(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-1."""

    def judged(label: str, runs: Runs) -> list[Part]:
        return [
            most(rule, f"{label}: groks", runs, groks(runs, level)),
            most(rule, f"{label}: dips", runs, dips_often(runs)),
            most(rule, f"{label}: periodic", runs, periodic(runs)),
        ]

    found = by_depth(evidence)
    others = [(NORMS[arm], arms_of(evidence, "norms", arm)) for arm in NORMS]
    controls = [
        most(rule, f"{label}, all weights: periodic", runs, periodic(runs, True))
        for label, runs in found
        if norms_in(runs.curves) != WHOLE
    ]
    controls += [part for label, runs in others if runs for part in judged(f"norms {label}", runs[0])]
    return Findings([part for one in found for part in judged(*one)], controls, [runs for _, runs in found])


def _dips_come_with_jumps(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-2."""

    def judged(runs: Runs, label: str, whole: bool) -> list[Part]:
        rates = of_each(runs, lambda one: one.excess(one.dips.start, one.during(one.falls)), whole)
        gradients = of_each(runs, lambda one: one.excess(one.dips.start, one.during(one.bursts)), whole)
        return [
            effect(rule, f"{label}: effective learning rate", known(rates), UNSEEN),
            effect(rule, f"{label}: effective gradient", known(gradients), UNSEEN),
        ]

    return _by_norms(evidence, judged, by_level=False)


def _by_norms(evidence: Evidence, judged: Callable[[Runs, str, bool], Sequence[Part]], by_level: bool) -> Findings:
    """What `judged` finds of each depth by the scale-invariant weights, and beside it by all."""
    parts, controls = [], []
    for label, runs in by_depth(evidence):
        more, beside = with_all_weights(runs, functools.partial(judged, runs), label)
        parts += more
        controls += beside
    return Findings(parts, controls, [runs for _, runs in by_depth(evidence)], by_level)


def ln_slopes(runs: Runs, whole: bool = False) -> np.ndarray:
    """[runs], ln of the slope between jumps, -inf where it does not rise; NaN where there are no two jumps."""

    def one(saw_tooth: SawTooth) -> float:
        slope = saw_tooth.slope().value
        return np.nan if np.isnan(slope) else np.log(slope) if slope > 0 else -np.inf

    return of_each(runs, one, whole)


def _decay_drives_the_saw_tooth(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-3."""

    def judged(runs: Runs, label: str, whole: bool) -> list[Part]:
        alone = np.log(decay_slope(*(runs.column(name) for name in ("learning_rate", "weight_decay"))))
        return [no_more(rule, label, known(ln_slopes(runs, whole) - alone), UNSEEN, about=True)]

    found = _by_norms(evidence, judged, by_level=False)
    arms = arms_of(evidence, "decay_strength", *DECAYS)
    if not arms:
        return found
    shared = set.intersection(*(set(arm.column("seed")) for arm in arms))
    arms = [arm.take(np.flatnonzero(arm.table["seed"].isin(shared))) for arm in arms]

    def exponent(label: str, whole: bool) -> list[Part]:
        lines = [dict(zip(arm.column("seed"), ln_slopes(arm, whole), strict=True)) for arm in arms]
        x = np.log([arm.column("weight_decay")[0] for arm in arms])
        values = np.array([[line[seed] for line in lines] for seed in sorted(shared)])
        rising = np.isfinite(values).all(1)
        slopes = np.polyfit(x, np.where(rising[:, None], values, 0.0).T, 1)[0] - 1
        return [no_more(rule, label, known(np.where(rising, slopes, np.nan)), UNSEEN, about=True, unit="number")]

    parts, controls = with_all_weights(arms[0], exponent, "exponent of lambda, less 1")
    return Findings([*found.parts, *parts], [*found.controls, *controls], [*found.used, *arms], by_level=False)


def _gradient_is_smaller_at_point_2(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-4."""

    def after(saw_tooth: SawTooth, step: float) -> float:
        near = (saw_tooth.step >= step) & (saw_tooth.step <= step + EPOCHS * saw_tooth.epoch)
        return np.log(saw_tooth.effective_gradient[near]).mean() if near.any() else np.nan

    def judged(runs: Runs, label: str, whole: bool) -> list[Part]:
        points = zip(saw_teeth(runs, whole), *(runs.crossing(part, level)[0] for part in ("train", "val")), strict=True)
        ratios = [np.nan if one is None else after(one, first) - after(one, second) for one, first, second in points]
        return [effect(rule, label, known(ratios), "runs there is no point 2")]

    return _by_norms(evidence, judged, by_level=True)


def _both_are_needed(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-5."""

    def both(runs: Runs) -> np.ndarray:
        return np.isfinite(runs.crossing("val", level)[0]) & dips_often(runs)

    parts, controls, used = [], [], []
    for arm in ("no-norm", "no-decay"):
        for runs in arms_of(evidence, "controls", arm) or ():
            parts.append(most_do_not(rule, CONTROLS[arm], runs, both(runs)))
            used.append(runs)
    for arm in ("base", "batch-norm"):
        for runs in arms_of(evidence, "controls", arm) or ():
            controls.append(most(rule, f"{CONTROLS[arm]}: groks and dips", runs, both(runs)))
    return Findings(parts, controls, used)


def _regulariser_is_necessary(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-6."""
    arms = [("controls", "no-decay", "SGD, LayerNorm, no decay"), ("typical", "no-decay", TYPICAL["no-decay"])]
    parts, used = [], []
    for name, arm, label in arms:
        for runs in arms_of(evidence, name, arm) or ():
            parts.append(most_do_not(rule, label, runs, np.isfinite(runs.crossing("val", level)[0])))
            used.append(runs)
    return Findings(parts, used=used)


def _symmetry_and_lean_tokens_help(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-7."""

    def success(runs: Runs) -> np.ndarray:
        return np.isfinite(runs.crossing("val", level)[0])

    def spread(runs: Runs) -> np.ndarray:
        curve, point_2 = runs.curve("val_accuracy"), runs.crossing("val", level)[0]
        after = [row[(runs.step >= begun)] for row, begun in zip(curve, point_2, strict=True)]
        return np.array([values.std() if len(values) else np.nan for values in after], np.float64)

    parts, used = [], []
    for arm in ("operator", "difference"):
        arms = arms_of(evidence, "controls", "base", arm)
        if arms:
            plain, other = paired(*arms)
            parts.append(effect(rule, f"{CONTROLS[arm]}: success", paired_shares(success(plain), success(other))))
            noise = known(spread(other) - spread(plain))
            parts.append(effect(rule, f"{CONTROLS[arm]}: spread", noise, "pairs one has no point 2"))
            used += [plain, other]
    return Findings(parts, used=used)


def _extreme_fractions_do_not_grok(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-8."""
    parts, used = [], []
    for runs in arms_of(evidence, "controls", "little-data") or ():
        reached = runs.column("max_val_accuracy") >= 0.5
        parts.append(most_do_not(rule, f"{CONTROLS['little-data']}: never generalises", runs, reached))
        used.append(runs)
    for runs in arms_of(evidence, "controls", "much-data") or ():
        no_gap = np.isfinite(runs.crossing("val", level)[0]) & (runs.delay(level).most < GROKS_BY)
        parts.append(majority(rule, f"{CONTROLS['much-data']}: no gap", no_gap))
        used.append(runs)
    return Findings(parts, used=used)


def _dips_lift_validation(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-9."""
    parts, used = [], []
    for label, runs in by_depth(evidence):
        values = []
        for one, point_2 in zip(saw_teeth(runs), runs.crossing("val", level)[0], strict=True):
            if one is None:
                values.append(np.nan)
            else:
                before = one.dipping[one.step <= point_2]
                values.append(one.excess(one.val_jumps(point_2), before))
        parts.append(effect(rule, label, known(values), "runs validation accuracy did not jump before point 2"))
        used.append(runs)
    return Findings(parts, used=used)


def _effective_statistics_tell_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """PERIODIC-10."""

    def judged(runs: Runs, label: str, whole: bool) -> list[Part]:
        def excess(which: str) -> np.ndarray:
            return of_each(runs, lambda one: one.excess(one.dips.start, one.during(getattr(one, which))), whole)

        gradient = excess("bursts") - excess("raw_bursts")
        changes = of_each(runs, lambda one: one.excess(one.raw_bursts.start, one.during(one.growths)), whole)
        return [
            effect(rule, f"{label}: effective gradient less gradient", known(gradient), UNSEEN),
            effect(rule, f"{label}: jumps of the gradient change the norm", known(changes), UNSEEN),
        ]

    return _by_norms(evidence, judged, by_level=False)


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The source recorded no numbers that decide a claim."""
    return []


CLAIMS = {
    "PERIODIC-1": _grok_and_behave_periodically,
    "PERIODIC-2": _dips_come_with_jumps,
    "PERIODIC-3": _decay_drives_the_saw_tooth,
    "PERIODIC-4": _gradient_is_smaller_at_point_2,
    "PERIODIC-5": _both_are_needed,
    "PERIODIC-6": _regulariser_is_necessary,
    "PERIODIC-7": _symmetry_and_lean_tokens_help,
    "PERIODIC-8": _extreme_fractions_do_not_grok,
    "PERIODIC-9": _dips_lift_validation,
    "PERIODIC-10": _effective_statistics_tell_more,
}
"""Each claim's function."""
