"""From an estimate to a verdict: one set of rules for all claims."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from grokjax.analysis.statistics import Between, Estimate, location, share
from grokjax.claims.rules import Rule

VERDICTS = ("reproduced", "partly", "refuted", "no effect", "inconclusive", "not run")


@dataclasses.dataclass(frozen=True)
class Part:
    """One cell or arm of a claim.

    Attributes:
      label: which.
      unit: of the estimate: 'ln ratio', 'points' or 'share'.
      estimate: with its interval.
      verdict: one of `VERDICTS`.
      note: why the verdict is not what the interval says, or what is to be known of it.
      unknown: why nothing is known of it, so that no number is to be shown; '' if something is.
      few: whether it has fewer runs than a verdict needs.
    """

    label: str
    unit: str
    estimate: Estimate
    verdict: str
    note: str = ""
    unknown: str = ""
    few: bool = False


Values = Sequence[float] | np.ndarray | Between | Estimate
NEITHER = "pairs neither got there"


def effect(rule: Rule, label: str, values: Values, why: str = NEITHER, **changes) -> Part:
    """A part whose prediction is an effect above 0.

    The first that holds. *Reproduced*: the interval lies above 0 and the estimate, or the least that it may be, is the
    smallest effect or more. *No effect*: the interval lies within +- the smallest effect. *Partly*: it lies above 0.
    *Refuted*: it lies below minus the smallest effect. *Inconclusive*: none of these, or fewer runs than the registry
    asks for.

    Args:
      rule: of the claim.
      label: of the part.
      values: one per run or seed-pair, positive as predicted, or what is known of it; or the estimate itself, where
        it is not a mean, such as a correlation.
      why: what it means that not even the sign of a value is known, after 'in 2 of 6 '.
      **changes: `smallest` and `unit`, where this part's are not the rule's.
    """
    found = values if isinstance(values, Estimate) else location(values)
    smallest = changes.get("smallest", rule.smallest)
    if found.low > 0 and found.value >= smallest:
        verdict = "reproduced"
    elif found.runs and -smallest <= found.low and found.high <= smallest:
        verdict = "no effect"
    elif found.low > 0:
        verdict = "partly"
    else:
        verdict = "refuted" if found.high < -smallest else "inconclusive"
    part = _enough(rule, label, found, verdict, changes)
    return part if isinstance(values, Estimate) else _with_unknown(part, values, why)


def no_more(rule: Rule, label: str, values: Values, why: str = NEITHER, **changes) -> Part:
    """A part whose prediction is that the effect, if any, is smaller than the smallest of interest.

    *Reproduced*: the interval lies below the smallest effect. *Refuted*: it lies above. Else *inconclusive*. With
    `about=True` the prediction is an interval within +- the smallest effect, and one beyond it on either side refutes.
    It has no p-value: that against 0 would be small where the prediction fails.
    """
    found, smallest = location(values)._replace(p_value=np.nan), changes.get("smallest", rule.smallest)
    about = changes.pop("about", False)
    if found.high < smallest and (not about or found.low > -smallest):
        verdict = "reproduced"
    elif found.low > smallest or (about and found.high < -smallest):
        verdict = "refuted"
    else:
        verdict = "inconclusive"
    return _with_unknown(_enough(rule, label, found, verdict, changes), values, why)


def majority(
    rule: Rule,
    label: str,
    hits: Sequence[bool] | np.ndarray,
    unknown: Sequence[bool] | np.ndarray | None = None,
    why: str = "",
) -> Part:
    """A part whose prediction is that most runs do something.

    *Reproduced*: the exact interval of the share lies above one half, and the share, or the least that it may be, above
    it by the smallest effect or more; *partly*: by less. *Refuted*: the interval lies below one half, the share by the
    smallest effect or more. Else *inconclusive*.

    Args:
      rule, label: as of `effect`.
      hits: which runs do.
      unknown: of which that is not known, as they ended too early.
      why: what that means, after 'in 2 of 6 '.
    """
    hits = np.asarray(hits, bool)
    unknown = np.zeros(len(hits), bool) if unknown is None else np.asarray(unknown, bool)
    found = share(hits, unknown)
    if found.low > 0.5:
        verdict = "reproduced" if found.value >= 0.5 + rule.smallest else "partly"
    else:
        verdict = "refuted" if found.high < 0.5 and found.most <= 0.5 - rule.smallest else "inconclusive"
    part = _enough(rule, label, found, verdict, {"unit": "share"})
    return _noted(part, int(unknown.sum()), why, nothing=bool(len(hits)) and bool(unknown.all()))


def _with_unknown(part: Part, values: Values, why: str) -> Part:
    """The part, which also says of how many values not even the sign is known."""
    values = Between.of(values)
    nothing = bool(np.isneginf(part.estimate.value)) and bool(np.isposinf(part.estimate.most))
    unsure = values.unsure()
    if why == NEITHER and np.isfinite([values.least[unsure], values.most[unsure]]).any():
        why = f"{NEITHER}, or one only after the other had ended"
    if nothing and not unsure.any():
        unsure, why = ~values.known(), "pairs only one side got there, not always the same"
    return _noted(part, int(unsure.sum()), why, nothing)


def _noted(part: Part, unsure: int, why: str, nothing: bool) -> Part:
    said = f"in {unsure} of {part.estimate.runs} {why}" if unsure else ""
    unknown = said if nothing else "one seed ran" if part.estimate.runs == 1 else ""
    return dataclasses.replace(part, note=part.note or ("" if nothing else said), unknown=unknown)


def without_interval(rule: Rule, label: str, value: float, *, about: bool = False, **changes) -> Part:
    """A part of which a source recorded one number: judged by it alone, as `effect` or `no_more` judge intervals."""
    smallest = changes.get("smallest", rule.smallest)
    if about:
        verdict = "reproduced" if abs(value) <= smallest else "refuted"
    elif abs(value) < smallest:
        verdict = "no effect"
    else:
        verdict = "reproduced" if value > 0 else "refuted"
    found = Estimate(value, np.nan, np.nan, np.nan, 1, value)
    return Part(label, changes.get("unit", rule.unit), found, verdict, "one recorded number, no interval")


def together(parts: Sequence[Part], claimed: int = 0) -> str:
    """The verdict on a claim of several parts.

    *Reproduced* if all are, *no effect* if none has one, *refuted* if each is refuted or without effect, and are as
    many as the claim has; *partly* if some are reproduced, wholly or partly; otherwise *inconclusive*. Without parts,
    *not run*.
    """
    found = [part.verdict for part in parts]
    if not found:
        return "not run"
    whole = len(found) >= claimed
    if whole and all(verdict == "reproduced" for verdict in found):
        return "reproduced"
    if any(verdict in ("reproduced", "partly") for verdict in found):
        return "partly"
    if whole and all(verdict == "no effect" for verdict in found):
        return "no effect"
    return "refuted" if whole and all(verdict in ("refuted", "no effect") for verdict in found) else "inconclusive"


def _enough(rule: Rule, label: str, found: Estimate, verdict: str, changes) -> Part:
    """The part, inconclusive where it has fewer runs than the registry asks for."""
    few = found.runs < rule.seeds
    note = f"{found.runs} of the {rule.seeds} runs that a verdict needs" if few else ""
    unit = changes.get("unit", rule.unit)
    return Part(label, unit, found, "inconclusive" if few else verdict, note, few=few)
