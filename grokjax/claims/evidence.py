"""What the functions that judge claims share: the runs they are given, what they find, and the usual parts.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings:

    def less_data_groks_more(evidence: Evidence, rule: Rule, level: int) -> Findings:
        found = cells(evidence, "data_size", "train_fraction")
        parts = [delayed(rule, f"alpha={fraction}", runs, level) for (fraction,), runs in found]
        return Findings(parts, used=[runs for _, runs in found])
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from grokjax.claims.rules import Rule
from grokjax.claims.runs import Runs, delay_ratio
from grokjax.claims.verdicts import Part, effect

Evidence = Mapping[str, Runs]
"""The ended runs of each experiment that was run, by its name."""

TOO_EARLY = "runs it did not happen within a budget smaller than the claim's"
UNFITTED = "runs the training set was never memorised"


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a claim's function found.

    Attributes:
      parts, controls: what decides, and what is reported beside it.
      used: the runs that the parts rest on.
      by_level: whether the parts depend on the accuracy level of crossings.
    """

    parts: Sequence[Part]
    controls: Sequence[Part] = ()
    used: Sequence[Runs] = ()
    by_level: bool = True


def cells(evidence: Evidence, name: str, *by: str):
    """(values, runs) of each cell of an experiment by some of its columns; empty if it was not run."""
    runs = evidence.get(name)
    return [] if runs is None or any(column not in runs.table for column in by) else list(runs.by(*by))


def once_generalised(part: Part, runs: Runs, level: int) -> Part:
    """The part, inconclusive where it finds a delay in runs whose median never validates: that is not yet grokking."""
    if part.verdict in ("reproduced", "partly") and not runs.arrives("val", level):
        return dataclasses.replace(part, verdict="inconclusive", note="the median run does not validate in its budget")
    return part


def delayed(rule: Rule, label: str, runs: Runs, level: int) -> Part:
    """Whether some runs grok: validation later than training."""
    return once_generalised(effect(rule, label, runs.delay(level), UNFITTED), runs, level)


def more_delayed(rule: Rule, label: str, one: Runs, other: Runs, level: int) -> Part:
    """Whether some runs grok more strongly than others."""
    return once_generalised(effect(rule, label, delay_ratio(one, other, level)), one, level)


def arms_of(evidence: Evidence, name: str, *ids: str) -> list[Runs] | None:
    """The runs of some arms of an experiment; None unless all were run."""
    runs = evidence.get(name)
    found = [runs.where(variant=arm) for arm in ids] if runs is not None else []
    return found if found and all(len(arm) for arm in found) else None


def ended_early(runs: Runs, rule: Rule) -> np.ndarray:
    """[runs], which had a smaller budget than the claim speaks of, so that what they did not do is not known."""
    clocks = {"steps": 1.0, "epochs": runs.column("steps_per_epoch")}
    short = [runs.budget() < least * clocks[clock] for clock, least in rule.at_least.items()]
    return np.any(short, axis=0) & (runs.column("status") != "diverged")


def once_memorised(part: Part, runs: Runs, level: int) -> Part:
    """The part, inconclusive where it finds a delay in runs whose median does not even memorise."""
    if part.verdict in ("reproduced", "partly") and not runs.arrives("train", level):
        return dataclasses.replace(part, verdict="inconclusive", note="the median run does not memorise in its budget")
    return part


def once_fitted(part: Part, runs: Runs, level: int) -> Part:
    """The part, inconclusive where it finds no delay in runs whose median is not even fitted."""
    if part.verdict == "reproduced" and not (runs.arrives("train", level) and runs.arrives("val", level)):
        return dataclasses.replace(part, verdict="inconclusive", note="the median run is not fitted in its budget")
    return part
