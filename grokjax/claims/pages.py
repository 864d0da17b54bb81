"""The pages of a report: an index of all claims, and a page for each study."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from grokjax import catalogue, results
from grokjax.claims import recorded, words
from grokjax.claims.judge import Files, Judgement, functions
from grokjax.claims.rules import Rule, registry
from grokjax.claims.verdicts import together

HOURS = (
    "Minutes are those of the quick preset. Times of `paper` are those of its matrix products alone, had no run ended "
    f"early: at {catalogue.TWO_CORES / 1e9:.0f} GFLOP/s on two cores, seen on several experiments (a third of that at "
    f"small widths), and at {catalogue.GPU / 1e12:.0f} TFLOP/s on a GPU, assumed and not measured."
)

Found = Mapping[str, Sequence[Judgement]]
"""Judgements by study."""

TITLE = "Which of the papers' claims replicate"

NOTES = (
    "`(scaled)`: the runs are at other settings than the source's, mostly smaller (the line below a picture says "
    "which), so they can support its claim and not refute it. `(!)`: may well be false, or depend on a "
    "hyperparameter. Ratios are shown as factors, differences of accuracy in percentage points; means with "
    "Student's 95 % interval or, where a run never reached the level, medians with an interval by order statistics. "
    "A run that did not reach a level within its budget reaches it later than its last step, or never, so a ratio "
    "to it may only have a bound (> ×3). Where nothing is known no number is shown. Verdicts rest on each part's "
    "own interval; p by Holm's method, on the page of a study, says what would be left if all claims of the study "
    "counted as one family. In labels, p is the modulus, alpha the train fraction, K the number of operands."
)


def index(found: Found, out: Path, pages: Path) -> str:
    """REPORT.md: a row for each claim of each study.

    Args:
      found: judgements by study.
      out: where it will be written, for links.
      pages: the folder of the studies' pages.
    """
    lines = [f"# {TITLE}", "", NOTES, ""]
    for study, judgements in found.items():
        page = os.path.relpath(pages / f"{study}.md", out.parent)
        lines += [f"## {title_of(study)}", "", opening(study, judgements)]
        lines += [f"[All of this study]({page}), with pictures and what would settle each claim.", ""]
        lines += [words.row(["claim", "statement", "verdict", "effect [95 %]", "runs"]), words.row(["---"] * 5)]
        for rule in registry(study).values():
            lines.append(words.row(claim_cells(rule, words.best(rule, judgements), f"{page}#{rule.id.lower()}")))
        lines.append("")
    return "\n".join(lines)


def claim_cells(rule: Rule, one: Judgement | None, page: str) -> list[str]:
    """A claim's row in an index: its id, which links to its page, statement, verdict, effect, runs."""
    link = f"[{rule.id}]({page}){' (!)' if rule.doubtful else ''}"
    return [link, rule.statement, words.verdict(one), *([_shortest(one), str(one.runs)] if one else ["", ""])]


def page(study: str, judgements: Sequence[Judgement], files: Files, out: Path, pictures: Mapping[Path, Path]) -> str:
    """The page of a study: a section for each claim, then its experiments and the results that were read.

    Args:
      study: whose.
      judgements: of its claims.
      files: the results, by experiment and preset.
      out: where it will be written, for links.
      pictures: of results, by path.
    """
    lines = [f"# {title_of(study)}", "", opening(study, judgements), "", NOTES, ""]
    lines += [
        f"Quantities and thresholds were written down before the runs, in `experiments/{study}/claims.toml`, which also"
    ]
    lines += [f"has what a review changed and when. `experiments/{study}/README.md` shows what stands out.", ""]
    for rule in registry(study).values():
        mine = [one for one in judgements if one.rule.id == rule.id]
        lines += section(rule, mine, files, out, pictures)
    if numbers := getattr(functions(study), "recorded_numbers", list)():
        lines += ["## The source's numbers beside ours", "", *_number_rows(study, numbers, files), ""]
    lines += ["## Experiments", "", HOURS, "", *experiment_rows(study, judgements, files, out, pictures), ""]
    lines += ["## Results read", "", "Minutes are by the clock, pauses and all that went into a file included.", ""]
    lines += result_rows(study, files, out)
    return "\n".join(lines).rstrip() + "\n"


def opening(study: str, judgements: Sequence[Judgement]) -> str:
    """What the study's source is, and what came of its claims."""
    outcomes = [words.outcome(words.best(rule, judgements)) for rule in registry(study).values()]
    return f"{_study(study)['source']}. Of {len(outcomes)} claims {words.counts(outcomes)}."


def title_of(study: str) -> str:
    """What a study is called."""
    return _study(study)["title"]


def _study(study: str) -> Mapping[str, str]:
    return catalogue.written(study, "study.toml")


def _shortest(one: Judgement) -> str:
    """The first parts of a judgement that something is known of."""
    known = [part for part in one.parts if not part.unknown]
    if not known:
        return "not known"
    more = f"<br>and {len(known) - 3} more" if len(known) > 3 else ""
    return "<br>".join(words.numbers(part) for part in known[:3]) + more


def section(rule: Rule, mine: Sequence[Judgement], files: Files, out: Path, pictures: Mapping[Path, Path]) -> list[str]:
    """A claim: statement, verdict and why, picture, parts, what would settle it, other presets folded away."""
    one = words.best(rule, mine)
    heading = f"{rule.id}{' (!)' if rule.doubtful else ''}: {words.verdict(one)}"
    lines = [f'<a id="{rule.id.lower()}"></a>', "", f"## {heading}", "", f"{rule.statement}.", ""]
    if why := words.reason(one, _there(rule, files)):
        lines += [why, ""]
    if one is not None:
        lines += [*_picture(rule, one, files, out, pictures), *_table(one), ""]
    lines += [f"Measured: {rule.quantity}. Expected: {words.expected_of(rule).replace('<br>', '; ')}.", ""]
    on_numbers = getattr(functions(rule.study), "on_recorded_numbers", None)
    if own := on_numbers(rule) if on_numbers else []:
        parts = "; ".join(words.measured(part) for part in own)
        lines += [f"On the source's own recorded numbers: **{together(own)}** ({parts}).", ""]
    if replayed := [other for other in mine if other.preset == catalogue.REPLAY]:
        lines += [f"On a replay of the source's code, as it was: **{words.verdict(replayed[0])}**.", ""]
    if one is None or one.verdict not in ("reproduced", "refuted") or one.scaled:
        lines += [f"To settle it: {_needed(rule, files)}.", ""]
    if others := [other for other in mine if other is not one]:
        lines += ["<details><summary>Other presets</summary>", ""]
        for other in others:
            lines += [f"`{other.preset}`: {words.verdict(other)}", "", *_table(other), ""]
        lines += ["</details>", ""]
    return lines


def _number_rows(study: str, numbers: Sequence[recorded.Number], files: Files) -> list[str]:
    """A line for each number of the source that something of ours can be compared with."""
    lines = [
        "Medians over runs, with the lowest and the highest. `replay` is the source's code as it was.",
        "",
        words.row(["experiment", "of", "recorded", "replay", "ours"]),
        words.row(["---"] * 5),
    ]
    for number, replayed, clean in recorded.beside(study, numbers, files):
        unit = " %" if number.unit == "%" else f" {number.unit}"
        value = f"{recorded.in_unit(number.value)}{unit}"
        lines.append(words.row([number.experiment, number.label, value, replayed, clean]))
    return lines


def _there(rule: Rule, files: Files) -> list[str]:
    """The results of a claim's experiments that exist: 'width (quick, small)'."""
    found = {name: files.get(f"{rule.study}/{name}", {}) for name in rule.results}
    return [
        f"{name} ({', '.join(sorted(presets, key=catalogue.nearness))})" for name, presets in found.items() if presets
    ]


def _picture(rule: Rule, one: Judgement, files: Files, out: Path, pictures: Mapping[Path, Path]) -> list[str]:
    """The picture of the results that a judgement rests on, and below it what their preset trains."""
    drawn = result_drawn(rule, one, files, pictures)
    if drawn is None:
        return []
    name, picture = drawn
    title, size = catalogue.title(name), catalogue.size(name, one.preset)
    caption = f"*{title}, preset `{one.preset}`{f': {size}' if size else ''}.*"
    return [f"![{title}, preset {one.preset}]({os.path.relpath(picture, out.parent)})", "", caption, ""]


def result_drawn(
    rule: Rule, one: Judgement | None, files: Files, pictures: Mapping[Path, Path]
) -> tuple[str, Path] | None:
    """Of the results that a judgement rests on the first that was drawn: its experiment, and the picture."""
    for name in [f"{rule.study}/{name}" for name in rule.results] if one else []:
        picture = pictures.get(files.get(name, {}).get(one.preset))
        if picture is not None:
            return name, picture
    return None


def _table(one: Judgement) -> list[str]:
    """The parts of a judgement, and its controls."""
    lines = [words.row(["part", "measured [95 %]", "runs", "verdict"]), words.row(["---"] * 4)]
    for part in one.parts:
        verdict = "too few seeds" if part.few else part.verdict
        lines.append(words.row([part.label, words.without_label(part), str(part.estimate.runs), verdict]))
    for part in one.controls:
        lines.append(words.row([f"*control:* {part.label}", words.without_label(part), str(part.estimate.runs), ""]))
    if p := words.p_values(one):
        lines += ["", f"p (largest of the parts', raw and by Holm's method within study and preset): {p}."]
    beside = [f"{other} at {level} %" for level, other in one.beside.items() if other != one.verdict]
    return lines + (["", f"At other accuracies: {', '.join(beside)}."] if beside else [])


def _needed(rule: Rule, files: Files) -> str:
    """The commands that make the results of a claim that are not there, and how long each takes at most."""

    def needed(name: str) -> str:
        hours = catalogue.hours(f"{rule.study}/{name}", "claim")
        took = f" (about {catalogue.duration(hours)} on two cores)" if hours else ""
        return f"`grokjax run {rule.study}/{name} --preset=claim`{took}"

    missing = [name for name in rule.results if "claim" not in files.get(f"{rule.study}/{name}", {})]
    return " and ".join(map(needed, missing)) or "all that was planned has run; more seeds would narrow the interval"


def study_rows(found: Found, out: Path, pages: Path) -> list[str]:
    """A line for each study: what it is, its source, how many experiments it has, and what came of its claims.

    Args:
      found: judgements by study.
      out: where they will be written, for links.
      pages: the folder of the studies' pages.
    """
    lines = [words.row(["study", "source", "experiments", "verdicts on its claims"]), words.row(["---"] * 4)]
    for study, judgements in found.items():
        outcomes = [words.outcome(words.best(rule, judgements)) for rule in registry(study).values()]
        number = sum(name.startswith(f"{study}/") for name in catalogue.experiments())
        link = f"[{title_of(study)}]({os.path.relpath(pages / f'{study}.md', out.parent)})"
        verdicts = f"of {len(outcomes)}: {words.counts(outcomes)}"
        lines.append(words.row([link, _study(study)["source"], str(number), verdicts]))
    return lines


def experiment_rows(
    study: str, judgements: Sequence[Judgement], files: Files, out: Path, pictures: Mapping[Path, Path]
) -> list[str]:
    """A line for each experiment of a study: what it is, command, minutes, figure, verdicts, hours of `paper`."""
    heads = ["experiment", "command", "minutes on two cores", "figure", "verdicts", "`paper`: two cores", "a GPU"]
    lines = [words.row(heads), words.row(["---"] * len(heads))]
    for name in (name for name in catalogue.experiments() if name.startswith(f"{study}/")):
        short, presets = name.partition("/")[2], files.get(name, {})
        drawn = {preset: pictures[path] for preset, path in presets.items() if path in pictures}
        links = " ".join(f"[{preset}]({os.path.relpath(picture, out.parent)})" for preset, picture in drawn.items())
        record = catalogue.records(study).get(short, {}).get("quick")
        rules = [rule for rule in registry(study).values() if short in rule.results]
        verdicts = [f"{rule.id} {words.verdict(words.best(rule, judgements))}" for rule in rules]
        minutes = f"{record.minutes:g}" if record else ""
        hours = [catalogue.hours(name, "paper", rate) for rate in (catalogue.TWO_CORES, catalogue.GPU)]
        times = [catalogue.duration(each) if each else "" for each in hours]
        cells = [catalogue.title(name), f"`grokjax run {name}`", minutes, links, "<br>".join(verdicts), *times]
        lines.append(words.row(cells))
    return lines


def result_rows(study: str, files: Files, out: Path) -> list[str]:
    """A line for each result that was read: runs, steps, time, versions."""
    lines = [words.row(["file", "runs", "run-steps", "minutes", "versions"]), words.row(["---"] * 5)]
    for name, presets in files.items():
        for path in presets.values() if name.startswith(f"{study}/") else ():
            arrays, meta = results.read(path)
            ended = arrays["last_step"][arrays["last_step"] >= 0]
            seconds = meta.get("wall_seconds")
            cells = [os.path.relpath(path, out.parent), str(len(ended)), f"{int(ended.sum()):,}"]
            cells.append("" if seconds is None else f"{seconds / 60:.1f}")
            versions = meta.get("versions", {})
            each = versions if isinstance(versions, list) else [versions]  # several processes may have had others
            named = dict.fromkeys(f"{k} {v}" for one in each for k, v in one.items() if k in ("jax", "flax"))
            lines.append(words.row([*cells, ", ".join(named)]))
    return lines
