"""Judging all claims whose results exist."""

import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from grokjax import results
from grokjax.analysis.statistics import Estimate, holm
from grokjax.claims.rules import Rule, registry
from grokjax.claims.runs import Runs
from grokjax.claims.verdicts import Part, together

Files = Mapping[str, Mapping[str, Path]]
"""Results by experiment and preset."""

BESIDE = (50, 90, 95)
"""Accuracy levels at which a claim is judged beside the registered one of 99 %."""


def functions(study: str):
    """The module of a study that judges its claims: `CLAIMS`, a function (runs by experiment, rule, level) each."""
    return importlib.import_module(f"grokjax.experiments.{study}.claims")


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What was found of one claim on the results of one preset.

    Attributes:
      rule: of the claim.
      preset: whose results.
      files: the results read.
      parts, controls: what decides, and what is reported beside it.
      verdict: `together` of the parts; what refutes on another setting than the source's is inconclusive.
      scaled: whether runs of another setting than the source's are among the parts.
      p_value, adjusted: the largest of the parts', and by Holm's method within the study and preset; NaN without.
      beside: the verdict at other accuracy levels, where the claim depends on one.
      runs: how many were read.
    """

    rule: Rule
    preset: str
    files: Sequence[str]
    parts: Sequence[Part]
    controls: Sequence[Part]
    verdict: str
    scaled: bool
    p_value: float
    adjusted: float
    beside: Mapping[int, str]
    runs: int


def judge_all(study: str, files: Files) -> list[Judgement]:
    """Every claim of a study on every preset that has results of the claim's experiments, in the order of the claims.

    Args:
      study: whose claims.
      files: {experiment: {preset: path}} of results, experiments as 'study/name'.

    Raises:
      ResultError: if a result cannot be read.
    """
    files = {name.partition("/")[2]: presets for name, presets in files.items() if name.startswith(f"{study}/")}
    names = dict.fromkeys(name for rule in registry(study).values() for name in rule.results)
    read = {path: Runs.of(results.with_measures(path)) for name in names for path in files.get(name, {}).values()}
    found = []
    for rule in registry(study).values():
        presets = dict.fromkeys(preset for name in rule.results for preset in files.get(name, {}))
        for preset in presets:
            paths = {name: files[name][preset] for name in rule.results if preset in files.get(name, {})}
            evidence = {name: read[path] for name, path in paths.items()}
            if not any(map(len, evidence.values())):
                found.append(_unjudged(rule, preset, paths, "no run has ended yet"))
                continue
            if rule.id not in functions(study).CLAIMS:
                missing = f"CLAIMS in experiments/{study}/claims.py has no function for it yet"
                found.append(_unjudged(rule, preset, paths, missing))
                continue
            try:
                found.append(judge(rule, preset, evidence, paths))
            except ValueError as error:
                found.append(_unjudged(rule, preset, paths, str(error)))
    return _adjusted([one for one in found if one.parts])


def judge(rule: Rule, preset: str, evidence: Mapping[str, Runs], paths: Mapping[str, Path]) -> Judgement:
    """One claim on the results of one preset, p-values not yet adjusted.

    Args:
      rule: of the claim.
      preset: whose results.
      evidence: runs by experiment; of several experiments some may be missing.
      paths: of their files.
    """
    evidence = {name: runs for name, runs in evidence.items() if len(runs)}
    function = functions(rule.study).CLAIMS[rule.id]
    judged = function(evidence, rule, 99)
    scaled = any(not _own(runs, rule) for runs in judged.used)
    others = {level: function(evidence, rule, level) for level in BESIDE if judged.by_level}
    p_values = [part.estimate.p_value for part in judged.parts if not math.isnan(part.estimate.p_value)]
    return Judgement(
        rule=rule,
        preset=preset,
        files=[path.name for path in paths.values()],
        parts=judged.parts,
        controls=judged.controls,
        verdict=_verdict(rule, judged.parts, scaled),
        scaled=scaled,
        p_value=max(p_values, default=math.nan),
        adjusted=math.nan,
        beside={level: _verdict(rule, other.parts, scaled) for level, other in others.items()},
        runs=sum(len(runs) for runs in judged.used),
    )


def _verdict(rule: Rule, parts: Sequence[Part], scaled: bool) -> str:
    """The verdict on all parts: only runs at the source's own setting can refute its claim."""
    found = together(parts, rule.parts)
    return "inconclusive" if scaled and found == "refuted" else found


def _unjudged(rule: Rule, preset: str, paths: Mapping[str, Path], why: str) -> Judgement:
    """What is said of results that a claim cannot be judged on."""
    part = Part("these results", rule.unit, Estimate(*[math.nan] * 4, 0, math.nan), "inconclusive", why)
    files = [path.name for path in paths.values()]
    return Judgement(rule, preset, files, [part], [], "inconclusive", True, math.nan, math.nan, {}, 0)


def _own(runs: Runs, rule: Rule) -> bool:
    """Whether all of these runs are of the source's own setting, with its budget."""
    given = {"steps": runs.budget, "epochs": lambda: runs.budget() / runs.column("steps_per_epoch")}
    return all(
        name in runs.table and all(any(_same(value, one) for one in allowed) for value in runs.values(name))
        for name, allowed in rule.own.items()
    ) and all((given[name]() >= least).all() for name, least in rule.at_least.items())


def _same(value, other) -> bool:
    return math.isclose(value, other, rel_tol=1e-6) if isinstance(other, float) else value == other


def _adjusted(found: Sequence[Judgement]) -> list[Judgement]:
    """The judgements with p-values adjusted within each study and preset."""
    groups: dict[tuple, list[int]] = {}
    for i, one in enumerate(found):
        if not math.isnan(one.p_value):
            groups.setdefault((one.rule.study, one.preset), []).append(i)
    found = list(found)
    for places in groups.values():
        for i, value in zip(places, holm([found[i].p_value for i in places]), strict=True):
            found[i] = dataclasses.replace(found[i], adjusted=value)
    return found
