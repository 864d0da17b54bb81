"""Judgements in words and numbers, for reading."""

import math
from collections.abc import Sequence

from grokjax.catalogue import REPLAY, nearness
from grokjax.claims.judge import Judgement
from grokjax.claims.rules import Rule
from grokjax.claims.verdicts import Part

FEW = "with too few seeds"
MEANING = {
    "reproduced": "every part differs from the null as predicted, by at least the smallest effect of interest",
    "partly": "some parts are as predicted, or the effect is smaller than the smallest of interest",
    "refuted": "no part is as predicted, and intervals lie beyond the smallest effect on the other side",
    "no effect": "the intervals lie within the smallest effect",
    "inconclusive": "the intervals do not decide",
    FEW: "fewer runs than a verdict needs",
    "not run": "there are no results to judge it on",
}


def factor(value: float) -> str:
    """exp of a ln ratio, as a factor."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else "0"
    return f"{math.exp(value):.3g}"


def in_unit(value: float, unit: str) -> str:
    """A number in the unit of its quantity, for reading."""
    if unit == "ln ratio":
        return f"×{factor(value)}"
    if math.isnan(value):
        return "?"
    if unit == "points":
        return f"{100 * value:+.1f}" if math.isfinite(value) else "-∞" if value < 0 else "∞"
    return f"{100 * value:.0f} %" if unit.startswith("share") else f"{value:.3g}".replace("inf", "∞")


def estimated(part: Part) -> str:
    """The estimate for reading: '×38'; '> ×3', '< ×0.5' or '×1 to ×2' where runs that never got there leave it open."""
    least, most = (in_unit(value, part.unit) for value in (part.estimate.value, part.estimate.most))
    if least == most:
        return least
    if math.isinf(part.estimate.most):
        return f"> {least}"
    return f"< {most}" if math.isinf(part.estimate.value) else f"{least} to {most}"


def without_label(part: Part) -> str:
    """'×38 [12, 60] (a note)'; no number of what nothing is known of."""
    low, high = part.estimate.low, part.estimate.high
    if part.unknown:
        return f"not known ({part.unknown})"
    bounds = math.isnan(low) or (low == high and math.isinf(low))
    interval = "" if bounds else f" [{in_unit(low, part.unit)}, {in_unit(high, part.unit)}]"
    points = " points" if part.unit == "points" else ""
    return f"{estimated(part)}{interval}{points}" + (f" ({part.note})" if part.note and not part.few else "")


def numbers(part: Part) -> str:
    """'p=47: ×38 [12, 60], 6 runs'."""
    runs = part.estimate.runs
    count = "" if part.unknown or math.isnan(part.estimate.low) else f", {runs} run{'s' * (runs != 1)}"
    return f"{part.label}: {without_label(part)}{count}"


def measured(part: Part) -> str:
    """'p=47: ×38 [12, 60], 6 runs: reproduced'; without a verdict on too few runs."""
    return numbers(part) if part.few else f"{numbers(part)}: {part.verdict}"


def few(one: Judgement) -> bool:
    """Whether no part has runs enough for a verdict."""
    return all(part.estimate.runs < one.rule.seeds for part in one.parts)


def expected_of(rule: Rule) -> str:
    """The smallest effect of interest, for reading."""
    if rule.unit.startswith("share"):
        return f"most runs: {50 + 100 * rule.smallest:.0f} % or more"
    points = " points" if rule.unit == "points" else ""
    expected = [f"above {in_unit(0.0, rule.unit)}: {in_unit(rule.smallest, rule.unit)}{points} or more"]
    expected += [f"{part}: below {in_unit(rule.smallest, rule.unit)}{points}" for part in rule.no_more]
    for part, value in rule.about.items():
        expected.append(f"{part}: within {in_unit(value, rule.unit).replace('+', '±')}{points}")
    return "<br>".join(expected)


def verdict(one: Judgement | None) -> str:
    """The verdict, marked where the runs are not at the source's own setting."""
    if one is None:
        return "not run"
    found = "too few seeds" if few(one) else one.verdict
    return f"{found} (scaled)" if one.scaled else found


def tally(one: Judgement) -> str:
    """How many of the claim's parts came out as predicted, the other way, or were not run; '' where it has one."""
    for_it, against = (sum(part.verdict == name for part in one.parts) for name in ("reproduced", "refuted"))
    if one.rule.parts == 1 or few(one):
        return ""
    missing = max(one.rule.parts - len(one.parts), 0)
    counted = [f"{for_it} of {len(one.parts) + missing} parts as claimed"]
    counted += [f"{against} the other way"] * bool(against) + [f"{missing} not run"] * bool(missing)
    return ", ".join(counted)


def p_values(one: Judgement) -> str:
    """Raw and adjusted."""
    if math.isnan(one.p_value):
        return ""
    return f"{one.p_value:.2g} / {one.adjusted:.2g}"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def best(rule: Rule, found: Sequence[Judgement]) -> Judgement | None:
    """Of a claim's judgements the nearest to the source with runs enough for a verdict, or else the nearest of all."""
    own = [one for one in found if one.rule.id == rule.id and one.preset != REPLAY]
    ordered = sorted(own, key=lambda one: (one.scaled, nearness(one.preset)))
    enough = [one for one in ordered if not few(one)]
    return next(iter(enough or ordered), None)


def outcome(one: Judgement | None) -> str:
    """The verdict as `MEANING` names it."""
    return "not run" if one is None else FEW if few(one) else one.verdict


def counts(outcomes: Sequence[str]) -> str:
    """'2 reproduced, 9 partly', in the order of `MEANING`."""
    return ", ".join(f"{outcomes.count(name)} {name}" for name in MEANING if name in outcomes)


def reason(one: Judgement | None, there: Sequence[str] = ()) -> str:
    """Why the verdict is what it is, in a sentence.

    Args:
      one: None where nothing was judged.
      there: results of the claim's experiments that exist, for reading.
    """
    if one is None:
        return f"There are results ({', '.join(there)}), but not of the runs that it compares." if there else ""
    if few(one):
        runs = max(part.estimate.runs for part in one.parts)
        ended = {0: "no run has", 1: "one run has"}.get(runs, f"{runs} have")
        return f"A verdict needs {one.rule.seeds} seeds, and {ended} ended."
    unknown = [part for part in one.parts if part.unknown]
    said = [f"The verdict is *{one.verdict}*: {MEANING[one.verdict]}."]
    if tally(one):
        said.append(f"{tally(one)[0].upper()}{tally(one)[1:]}.")
    if unknown:
        said.append(f"Not known: {'; '.join(f'{part.label} ({part.unknown})' for part in unknown)}.")
    if one.scaled:
        said.append(
            "The runs are at other settings than the source's, so they can support its claim and not refute it."
        )
    return " ".join(said)
