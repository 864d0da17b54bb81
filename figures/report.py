"""Judges every claim whose results exist, and writes REPORT.md: what holds, what does not, and what was not run.

Reads results/ first and results/reference/ for what is not there; with --folder=results/reference only the latter,
which is how the report that ships is made (`make figures`). Verdicts follow grokjax/claims/registry.toml.
"""

import ast
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from script import OWN, REFERENCE, ROOT, drawn_to, nearness

from grokjax import results
from grokjax.claims import Judgement, Part, judge_all, presets_in, registry, together
from grokjax.claims.pku import on_recorded_numbers
from grokjax.claims.rules import Rule
from grokjax.messages import say, show

SOURCES = {
    "PKU": "PKU: Grokking on modular addition, by four architectures and ten optimizers",
}
FEW = "with too few seeds"
MEANING = {
    "reproduced": "beyond the null as predicted, by at least the smallest effect of interest, in every part",
    "partly": "in part of the grid, or by less",
    "refuted": "no part is as predicted, and intervals lie beyond the smallest effect on the other side",
    "no effect": "the interval lies within the smallest effect",
    "inconclusive": "none of these",
    FEW: "what the few runs gave, without a verdict",
    "not run": "no result that it could be judged on",
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
        return f"{100 * value:+.1f}" if math.isfinite(value) else str(value)
    return f"{100 * value:.0f} %" if unit.startswith("share") else f"{value:.3g}"


def estimated(part: Part) -> str:
    """The estimate for reading: '×38'; '> ×3', '< ×0.5' or '×1 to ×2' where runs that never got there leave it open."""
    least, most = (in_unit(value, part.unit) for value in (part.estimate.value, part.estimate.most))
    if least == most:
        return least
    if math.isinf(part.estimate.most):
        return f"> {least}"
    return f"< {most}" if math.isinf(part.estimate.value) else f"{least} to {most}"


def numbers(part: Part) -> str:
    """'p=47: ×38 [12, 60], 6 runs', and what is to be known of it; no number of what nothing is known of."""
    low, high, runs = part.estimate.low, part.estimate.high, part.estimate.runs
    if part.unknown:
        return f"{part.label}: not known ({part.unknown})"
    interval = "" if math.isnan(low) else f" [{in_unit(low, part.unit)}, {in_unit(high, part.unit)}]"
    count = f", {runs} run{'s' * (runs != 1)}" if not math.isnan(low) else ""
    if low == high and math.isinf(low):
        interval = ""
    note = f" ({part.note})" if part.note and "runs that a verdict" not in part.note else ""
    return f"{part.label}: {estimated(part)}{interval}{count}{note}"


def measured(part: Part) -> str:
    """'p=47: ×38 [12, 60], 6 runs: reproduced'; without a verdict on too few runs."""
    return numbers(part) if "runs that a verdict" in part.note else f"{numbers(part)}: {part.verdict}"


def few(one: Judgement) -> bool:
    """Whether no part has runs enough for a verdict."""
    return all(part.estimate.runs < one.rule.seeds for part in one.parts)


def expected(rule: Rule) -> str:
    """The smallest effect of interest, for reading."""
    if rule.unit.startswith("share"):
        return f"most runs: {50 + 100 * rule.smallest:.0f} % or more"
    told = [f"above {in_unit(0.0, rule.unit)}: {in_unit(rule.smallest, rule.unit)} or more"]
    told += [f"{part}: below {in_unit(rule.smallest, rule.unit)}" for part in rule.no_more]
    told += [f"{part}: within {in_unit(value, rule.unit).replace('+', '±')}" for part, value in rule.about.items()]
    return "<br>".join(told)


def verdict(one: Judgement) -> str:
    """The verdict, marked where the runs are not at the source's own setting."""
    found = "too few seeds" if few(one) else one.verdict
    return f"{found} (scaled)" if one.scaled else found


def tally(one: Judgement) -> str:
    """How many of the claim's parts came out as predicted, the other way, or were not run; '' where it has one."""
    for_it, against = (sum(part.verdict == name for part in one.parts) for name in ("reproduced", "refuted"))
    if one.rule.parts == 1 or few(one):
        return ""
    missing = max(one.rule.parts - len(one.parts), 0)
    told = [f"{for_it} of {len(one.parts) + missing} parts as claimed"]
    told += [f"{against} the other way"] * bool(against) + [f"{missing} not run"] * bool(missing)
    return ", ".join(told)


def p_values(one: Judgement) -> str:
    """Raw and adjusted."""
    if math.isnan(one.p_value):
        return ""
    return f"{one.p_value:.2g} / {one.adjusted:.2g}"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def claim_rows(rule: Rule, found: Sequence[Judgement]) -> list[str]:
    """The lines of one claim in its source's table: one for each preset."""
    own = on_recorded_numbers(rule)
    told = "<br>".join([f"**{together(own)}**", *(measured(part) for part in own)]) if own else ""
    doubt = " (!)" if rule.doubtful else ""
    if not found:
        return [row([f"{rule.id}{doubt}", rule.statement, rule.quantity, expected(rule), "", "not run", "", "", told])]
    lines = []
    for one in found:
        parts = [measured(part) for part in one.parts]
        parts += [f"*beside* {numbers(part)}" for part in one.controls]
        beside = [f"at {level} %: {other}" for level, other in one.beside.items() if other != one.verdict]
        cell = "<br>".join(filter(None, [f"**{verdict(one)}**", tally(one), *beside]))
        first = [f"{rule.id}{doubt}", rule.statement, rule.quantity, expected(rule)]
        lines.append(row([*first, "<br>".join(parts), cell, p_values(one), one.preset, told]))
    return lines


def best(found: Sequence[Judgement]) -> Judgement | None:
    """Of one claim the judgement nearest to the source with runs enough for a verdict, or else the nearest of all."""
    ordered = sorted(found, key=lambda one: (one.scaled, nearness(one.preset)))
    enough = [one for one in ordered if not few(one)]
    return next(iter(enough or ordered), None)


def command(name: str) -> str:
    """What makes the result of an experiment that a verdict needs."""
    script = f"experiments/{name}.py"
    return f"python {script}" + " --preset=claim" * ("--preset=claim" in (ROOT / script).read_text("utf-8"))


def needed(rule: Rule) -> str:
    """The commands that make all results of a claim, for reading."""
    return " and ".join(f"`{command(name)}`" for name in rule.results)


def first_page(judgements: Sequence[Judgement]) -> list[str]:
    """What holds, what does not, what was not run, a line for each claim."""
    groups: dict[str, list[str]] = {name: [] for name in MEANING}
    for rule in registry().values():
        one = best([j for j in judgements if j.rule.id == rule.id])
        if one is None:
            groups["not run"].append(f"{rule.id}: {rule.statement}. It takes {needed(rule)}.")
            continue
        scaled = ", at other settings than the source's" if one.scaled else ""
        counted = f" ({tally(one)})" if tally(one) else ""
        shown = "; ".join(measured(part) for part in one.parts[:3])
        more = f"; and {len(one.parts) - 3} more" if len(one.parts) > 3 else ""
        name = FEW if few(one) else one.verdict
        needs = f" It takes {needed(rule)}." if few(one) else ""
        groups[name].append(f"{rule.id}: {rule.statement}{scaled}{counted}. {shown}{more}.{needs}")
    lines = [
        f"Of {len(registry())} claims "
        + ", ".join(f"{len(told)} {name}" for name, told in groups.items() if told)
        + ". A verdict needs six seeds. A run that did not get there within its budget gets there later than its last "
        "step, or never: ratios to it have a bound (> ×3) where it leaves them open. Where nothing is known no number "
        "is shown.",
        "",
    ]
    for name, told in groups.items():
        if told:
            lines += [f"### {name.capitalize()}: {MEANING[name]}", "", *(f"- {line}" for line in told), ""]
    return lines


def result_rows(folders: Sequence[Path], out: Path) -> list[str]:
    """A line for each result that was read: runs, steps, time, machine, versions."""
    lines = []
    for presets in presets_in(folders).values():
        for path in presets.values():
            arrays, meta = results.read(path)
            ended = arrays["last_step"][arrays["last_step"] >= 0]
            seconds = meta.get("wall_seconds")
            told = [os.path.relpath(path, out.parent), str(len(ended)), f"{int(ended.sum()):,}"]
            told.append("" if seconds is None else f"{seconds / 60:.1f}")
            versions = meta.get("versions", {})
            each = versions if isinstance(versions, list) else [versions]  # several processes may have had others
            named = dict.fromkeys(f"{k} {v}" for one in each for k, v in one.items() if k in ("jax", "flax"))
            told.append(", ".join(named))
            lines.append(row(told))
    return lines


def experiment_rows(judgements: Sequence[Judgement], folders: Sequence[Path], out: Path) -> list[str]:
    """A line for each experiment that a claim rests on: what it is, command, time, figure, verdicts."""
    files = presets_in(folders)
    lines = [row(["experiment", "quick command", "minutes on two cores", "figure", "verdicts"]), row(["---"] * 5)]
    for name in dict.fromkeys(name for rule in registry().values() for name in rule.results):
        script = ROOT / "experiments" / f"{name}.py"
        title = ast.get_docstring(ast.parse(script.read_text())).splitlines()[0].rstrip(".")
        presets = files.get(name, {})
        pictures = [picture for picture in map(picture_of, presets.values()) if picture.exists()]
        links = " ".join(f"[{p.stem.partition('-')[2]}]({os.path.relpath(p, out.parent)})" for p in pictures)
        told = []
        for rule in (rule for rule in registry().values() if rule.results[0] == name):
            one = best([j for j in judgements if j.rule.id == rule.id])
            told.append(f"{rule.id} {verdict(one) if one else 'not run'}")
        figure = f"`python figures/{name}.py`" + (f": {links}" if links else "")
        minutes = _quick_minutes(presets.get("quick") or (presets.get("paper") if len(presets) == 1 else None))
        lines.append(row([title, f"`python experiments/{name}.py`", minutes, figure, "<br>".join(told)]))
    return lines


def picture_of(path: Path) -> Path:
    """The picture of a result: as its figure script draws one's own, as the gallery draws all others beside them."""
    return drawn_to(path) if path.parent == OWN else path.with_suffix(".png")


def _quick_minutes(path: Path | None) -> str:
    """What training a result took in all, '' if there is none."""
    if path is None:
        return ""
    meta = results.read(path)[1]
    if "wall_seconds" not in meta:
        return "seconds"
    platform = meta.get("platform", "cpu")
    return f"{meta['wall_seconds'] / 60:.1f}" + f" ({platform})" * (platform != "cpu")


def put_between(text: str, lines: Sequence[str], mark: str) -> str:
    """`text` with what lies between <!-- mark --> and <!-- /mark --> replaced; ValueError without these comments."""
    head, found, rest = text.partition(f"<!-- {mark} -->\n")
    _, ends, tail = rest.partition(f"<!-- /{mark} -->")
    if not found or not ends:
        raise ValueError(f"There is no <!-- {mark} --> with <!-- /{mark} --> after it to write between.")
    return f"{head}{found}" + "\n".join(lines) + f"\n{ends}{tail}"


def figures(folders: Sequence[Path], out: Path) -> list[str]:
    """The pictures beside the results, as links from the report."""
    lines = []
    for presets in presets_in(folders).values():
        for path in presets.values():
            picture = picture_of(path)
            if picture.exists():
                lines += [f"![{path.stem}]({os.path.relpath(picture, out.parent)})", ""]
    return lines


def report(judgements: Sequence[Judgement], folders: Sequence[Path], out: Path) -> str:
    """The whole report as Markdown."""
    lines = ["# What holds", "", *first_page(judgements)]
    lines += [
        "`(scaled)`: the runs are at other settings than the source's, mostly smaller, so they can support its claim",
        "and not refute it. A part is refuted where its interval lies beyond the smallest effect on the other side; if",
        "all are, so is the claim, but for scaled runs, which leave it inconclusive.",
        "`(!)`: may well be false, or depend on a hyperparameter. Quantities and thresholds were written down before",
        "the runs, in `grokjax/claims/registry.toml`, which also tells what a review changed and when. Verdicts are",
        "those at 99 % accuracy; where another level gives another verdict it stands below. p: the largest of the",
        "parts', raw and by Holm's method within source and preset. Ratios are shown as factors, differences of",
        "accuracy in points; means with Student's interval or, where a run never got there, medians with that",
        "of order statistics. *beside*: controls, which decide nothing.",
        "",
    ]
    for source, title in SOURCES.items():
        head = ["claim", "statement", "quantity", "expected", "measured [95 %]", "verdict", "p, adjusted", "preset"]
        lines += [f"## {title}", "", row([*head, "source's own data"]), row(["---"] * 9)]
        for rule in (rule for rule in registry().values() if rule.source == source):
            lines += claim_rows(rule, [one for one in judgements if one.rule.id == rule.id])
        lines.append("")
    lines += ["## Experiments", "", *experiment_rows(judgements, folders, out), ""]
    lines += ["## Results read", "", row(["file", "runs", "run-steps", "minutes", "versions"]), row(["---"] * 5)]
    lines += [*result_rows(folders, out), "", "## Figures", "", *figures(folders, out)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """The script, from the command line."""
    values = flags.FlagValues()
    told = f"where the results are; default: {OWN}, and {OWN / 'reference'} for what is not there"
    flags.DEFINE_string("folder", None, told, flag_values=values)
    flags.DEFINE_string("out", "REPORT.md", "the report", flag_values=values)
    flags.DEFINE_string("readme", None, "a README whose table of experiments is renewed too", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(sys.argv)
        if values.help:
            show(f"{__doc__.strip()}\n\n{values.get_help()}")
            return
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag. --help lists them.")
        if values.folder and not Path(values.folder).is_dir():
            raise ValueError(f"folder={values.folder} is no folder. Try --folder=results.")
        folders = [Path(values.folder)] if values.folder else [OWN, REFERENCE]
        out = Path(values.out)
        if out.suffix != ".md":
            raise ValueError(f"out={out} does not end in .md. Try --out=REPORT.md.")
        judgements = judge_all(folders)
        texts = {}
        if values.readme:
            readme = Path(values.readme)
            table = experiment_rows(judgements, folders, readme)
            texts[readme] = put_between(readme.read_text("utf-8"), table, "experiments")
        texts[out] = text = report(judgements, folders, out)
        for path, whole in texts.items():
            path.write_text(whole, encoding="utf-8")
    except OSError as error:
        say(f"{sys.argv[0]}: {error.filename}: {error.strerror}. Try another path.")
        sys.exit(1)
    except (flags.Error, ValueError) as error:
        say(f"{sys.argv[0]}: {error}")
        sys.exit(1)
    show(text.partition("`(scaled)`")[0].rstrip())
    show(f"\nreport  {out}")


if __name__ == "__main__":
    main()
