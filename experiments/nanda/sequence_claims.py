"""The claims of the NANDA study on digits and sequences, NANDA-9, 10, 12, 13 and 14.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, and returns
the parts that decide and the controls beside them. The registry says in words what they compute.
"""

import dataclasses

import numpy as np

from grokjax.analysis.statistics import Between, log_ratio
from grokjax.claims.evidence import TOO_EARLY, UNFITTED, Evidence, Findings, ended_early
from grokjax.claims.rules import Rule, recorded_of
from grokjax.claims.runs import Runs
from grokjax.claims.verdicts import Part, effect, majority, no_more, without_interval
from grokjax.experiments.nanda.transitions import (
    GENERALISED,
    MEMORISED,
    capped,
    falls_to,
    first_below,
    frequencies,
    guesses,
    largest_fall,
    length,
    score_and_window,
)

WINDOW, LOST = 0.15, 0.7
"""A phase change loses this share of the loss within this share of the run."""

SHARE = 0.25
"""The smallest effect of interest of a share of runs, above one half, in claims whose unit is another."""


def _arm(evidence: Evidence, name: str, arm: str) -> Runs | None:
    """The runs of an arm of an experiment, None where there are none."""
    runs = evidence.get(name)
    found = runs.where(variant=arm) if runs is not None else None
    return found if found is not None and len(found) else None


def _left(runs: Runs, carry: bool) -> np.ndarray:
    """[answers, runs, steps] the share of its loss that is left to each digit of the answer."""
    answers = int(runs.column("digits")[0]) + carry
    lines = [runs.curve(f"val_loss.{i}") for i in range(answers)]
    return np.stack([capped(line, guess) for line, guess in zip(lines, guesses(answers, carry), strict=True)])


def _digit_by_digit(rule: Rule, runs: Runs, carry: bool) -> tuple[list[Part], Part]:
    """Whether each digit of the answer has a phase change, and how far apart the first and the last are."""
    left, lead = _left(runs, carry), "" if carry else "without carry: "
    nats = guesses(len(left), carry)
    whole = length(runs.step, np.tensordot(nats / nats.sum(), left, 1))
    parts = [
        majority(rule, f"{lead}answer token {i + 1} of {len(left)}", _changes_phase(runs.step, own, whole))
        for i, own in enumerate(left)
    ]
    halves = np.maximum([falls_to(runs.step, own, 0.5) for own in left], 1.0)
    came = np.isfinite(halves).all(0)
    apart = np.log(np.where(came, halves.max(0), 1.0)) - np.log(np.where(came, halves.min(0), 1.0))
    known = Between(np.where(came, apart, -np.inf), np.where(came, apart, np.inf))
    label = f"{lead}steps to half the loss, the last token to the first"
    return parts, effect(rule, label, known, "runs not every token loses half", unit="ln ratio", smallest=np.log(2))


def _changes_phase(step: np.ndarray, left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """[runs] whether 70 % of the loss goes within 15 % of a run's length."""
    return largest_fall(step, left, WINDOW * whole) >= LOST


def _one_phase_change_for_each_token(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-9."""
    parts, controls, used = [], [], []
    if (runs := _arm(evidence, "digits", "endless")) is not None:
        found, apart = _digit_by_digit(rule, runs, carry=True)
        parts += found
        controls.append(apart)
        used.append(runs)
    if (runs := _arm(evidence, "digits", "endless-no-carry")) is not None:
        found, apart = _digit_by_digit(rule, runs, carry=False)
        controls += [*found, apart]
    if (runs := _arm(evidence, "repeated_subsequence", "endless")) is not None:
        left = capped(runs.curve("val_loss"), np.log(runs.column("vocabulary").astype(float))[:, None])
        hits = _changes_phase(runs.step, left, length(runs.step, left))
        parts.append(majority(rule, "repeated subsequence", hits))
        used.append(runs)
    return Findings(parts, controls, used, by_level=False)


def _finite_data_grok(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-10."""
    parts, controls, used = [], [], []
    names = {"digits": "addition", "repeated_subsequence": "repeated subsequence", "skip_trigram": "skip trigrams"}
    cells = [(name, "finite", task) for name, task in names.items()]
    for name, arm, task in [*cells, ("digits", "finite-no-carry", "addition without carry")]:
        runs = _arm(evidence, name, arm)
        if runs is None:
            continue
        loss = runs.curve("val_loss").astype(np.float64)
        peak, after = loss.max(1), _after_peak(loss)
        rises, falls = peak >= 2 * loss[:, 0], after < peak / 2
        part = majority(rule, task, rises & falls, rises & ~falls & ended_early(runs, rule), TOO_EARLY)
        if arm == "finite":
            parts.append(part)
            used.append(runs)
        else:
            controls.append(part)
        ratio = dict(unit="ln ratio", smallest=np.log(2))
        controls.append(effect(rule, f"{task}: peak to initial test loss", np.log(peak / loss[:, 0]), **ratio))
        controls.append(effect(rule, f"{task}: peak to lowest test loss after it", np.log(peak / after), **ratio))
    return Findings(parts, controls, used, by_level=False)


def _after_peak(loss: np.ndarray) -> np.ndarray:
    """[runs] the lowest loss from the peak on."""
    later = np.arange(loss.shape[1]) >= loss.argmax(1)[:, None]
    return np.where(later, loss, np.inf).min(1)


def generalising_delay(runs: Runs) -> Between:
    """[runs] ln of the steps to the source's test loss over those to its training loss: what is known of it."""
    (val, val_seen), (train, train_seen) = _losses(runs)
    return log_ratio(val, train, val_seen, train_seen)


def _losses(runs: Runs):
    """When the test loss and the training loss are where the source counts them, and the evaluations before."""
    levels = {"val_loss": GENERALISED, "train_loss": MEMORISED}
    return [_crossing(runs, name, nats) for name, nats in levels.items()]


def _crossing(runs: Runs, name: str, nats: float) -> tuple[np.ndarray, np.ndarray]:
    came, seen = first_below(runs.step, runs.curve(name), nats)
    return came, np.minimum(seen, runs.column("last_step"))


def _a_band_of_sizes_groks(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-12."""
    runs = evidence.get("number_of_sums")
    sizes = runs.values("train_rows") if runs is not None else []
    if len(sizes) < 3:
        return Findings([])
    fewest, middle, most = (runs.where(train_rows=sizes[i]) for i in (0, len(sizes) // 2, -1))
    (val, _), (train, _) = _losses(fewest)
    hits = np.isfinite(train) & np.isinf(val)
    share = dataclasses.replace(rule, smallest=SHARE)
    waits = np.isinf(val) & ended_early(fewest, rule)
    parts = [majority(share, f"fewest sums, {sizes[0]}, are memorised and no more", hits, waits, TOO_EARLY)]
    label = f"middle number of sums, {sizes[len(sizes) // 2]}: delay"
    parts.append(effect(rule, label, generalising_delay(middle), UNFITTED))
    parts.append(no_more(rule, f"most sums, {sizes[-1]}: delay", generalising_delay(most), UNFITTED))
    others = [size for i, size in enumerate(sizes) if i not in (0, len(sizes) // 2, len(sizes) - 1)]
    delays = {size: generalising_delay(runs.where(train_rows=size)) for size in others}
    controls = [effect(rule, f"{size} sums: delay", delay, UNFITTED) for size, delay in delays.items()]
    return Findings(parts, controls, [fewest, middle, most], by_level=False)


def _composition_is_needed(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-13."""
    runs = evidence.get("in_context")
    parts, controls, used = [], [], []
    for layers in runs.values("num_layers") if runs is not None else []:
        own = runs.where(num_layers=layers)
        positions = int(own.column("sequence_length")[0]) - 1
        losses = np.stack([own.curve(f"val_loss.{i}") for i in range(positions)])
        score, window = score_and_window(own.step, losses)
        fall = np.nan_to_num(window["fall"].values)
        label = f"{layers} layer{'s' * (layers > 1)}: fall of the score in its window"
        parts.append((no_more if layers == 1 else effect)(rule, label, fall))
        controls.append(effect(rule, f"{layers} layer{'s' * (layers > 1)}: less than 0 at the end", -score[:, -1]))
        used.append(own)
    return Findings(parts, controls, used, by_level=False)


def trigram_losses(runs: Runs, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[trigrams, runs, steps] the share of its loss that is left to each trigram; [runs, steps] to their total."""
    own = np.stack([runs.curve(f"val_loss.trigram {i}") for i in range(len(probabilities))])
    guess = -np.log(probabilities)
    each = np.stack([capped(line, nats) for line, nats in zip(own, guess, strict=True)])
    weights = probabilities * guess
    return each, np.tensordot(weights / weights.sum(), each, 1)


def abruptness(step: np.ndarray, each: np.ndarray, total: np.ndarray) -> Between:
    """[runs] ln of the steps in which the total falls from 90 to 10 % over the median of those of its parts."""
    last = float(step[-1])

    def took(left):
        start, end = falls_to(step, left, 0.9), falls_to(step, left, 0.1)
        start = np.minimum(start, last)
        return np.maximum(np.minimum(end, last) - start, 1.0), np.maximum(end - start, 1.0)

    parts = [took(left) for left in each]
    least, most = (np.median([part[i] for part in parts], axis=0) for i in (0, 1))
    whole_least, whole_most = took(total)
    return Between(np.log(whole_least) - np.log(most), np.log(whole_most) - np.log(least))


def _smooth_curves_are_sums(evidence: Evidence, rule: Rule, level: int) -> Findings:
    """NANDA-14."""
    parts, controls, used = [], [], []
    for arm, label in (("endless", "endless rows"), ("finite", "finite rows")):
        runs = _arm(evidence, "skip_trigram", arm)
        if runs is None:
            continue
        probabilities = frequencies(int(runs.column("num_trigrams")[0]), float(runs.column("exponent")[0]))
        found = abruptness(runs.step, *trigram_losses(runs, probabilities))
        part = effect(rule, f"{label}: the total to a trigram", found, "runs most trigrams are not learned")
        (parts if arm == "endless" else controls).append(part)
        used += [runs] if arm == "endless" else []
    return Findings(parts, controls, used, by_level=False)


CLAIMS = {
    "NANDA-9": _one_phase_change_for_each_token,
    "NANDA-10": _finite_data_grok,
    "NANDA-12": _a_band_of_sizes_groks,
    "NANDA-13": _composition_is_needed,
    "NANDA-14": _smooth_curves_are_sums,
}


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The parts of a claim on the numbers that the source recorded; none where it recorded none that decide."""
    if rule.id != "NANDA-12":
        return []
    found = recorded_of(rule.study)["number_of_sums"]
    delay = np.log(found["steps_to_test_loss"] / found["steps_to_train_loss"])
    return [without_interval(rule, f"middle number of sums, {found['train_rows']}: delay", delay)]
