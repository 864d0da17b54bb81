"""The report for a browser: an index of all claims, which sorts, and a page for each claim.

The texts are those of the Markdown pages, rendered: a claim is worded in one place.
"""

import html
import os
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from markdown_it import MarkdownIt

from grokjax import catalogue
from grokjax.claims import words
from grokjax.claims.judge import Files, Judgement
from grokjax.claims.pages import NOTES, TITLE, Found, claim_cells, opening, result_drawn, section, title_of
from grokjax.claims.rules import Rule, registry
from grokjax.webpage import document

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
COLUMNS = ("claim", "statement", "verdict", "effect [95 %]", "runs", "figure")


def copied(pictures: Mapping[Path, Path], folder: Path) -> dict[Path, Path]:
    """The pictures of results, copied to a folder of the report so that it can be moved as a whole."""
    copies = {}
    for path, picture in pictures.items():
        copies[path] = folder / "figures" / path.parent.name / f"{path.stem}.png"
        copies[path].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, copies[path])
    return copies


def pages(found: Found, files: Files, pictures: Mapping[Path, Path], out: Path) -> dict[Path, str]:
    """All pages by path: the index first, then STUDY/CLAIM.html in its folder.

    Args:
      found: judgements by study.
      files: the results, by experiment and preset.
      pictures: of results, by path, in the folder of the index.
      out: where the index will be written.
    """
    claims = [(rule, judgements) for study, judgements in found.items() for rule in registry(study).values()]
    places = {rule.id: out.parent / rule.study / f"{rule.id.lower()}.html" for rule, _ in claims}
    texts = {out: _index(found, files, pictures, out, places)}
    for i, (rule, judgements) in enumerate(claims):
        path = places[rule.id]
        before, after = (claims[k][0].id if 0 <= k < len(claims) else None for k in (i - 1, i + 1))
        links = [_link(out, path, "All claims")]
        links += [
            _link(places[name], path, text) for name, text in ((before, f"← {before}"), (after, f"{after} →")) if name
        ]
        mine = [one for one in judgements if one.rule.id == rule.id]
        body = _MARKDOWN.render("\n".join(section(rule, mine, files, path, pictures)))
        looks = _looks(rule, words.best(rule, mine), files)
        texts[path] = _whole(f"{rule.id}: {rule.statement}", f"<nav>{' '.join(links)}</nav>\n{body}{looks}")
    return texts


def _index(found: Found, files: Files, pictures: Mapping[Path, Path], out: Path, places: Mapping[str, Path]) -> str:
    """The table of all claims."""
    openings = [f"**{title_of(study)}.** {opening(study, judgements)}" for study, judgements in found.items()]
    heads = [f'<th><button type="button">{name}</button></th>' for name in COLUMNS[:-1]]
    rows = [
        _row(rule, words.best(rule, judgements), files, pictures, out, places[rule.id])
        for study, judgements in found.items()
        for rule in registry(study).values()
    ]
    parts = [
        f"<h1>{html.escape(TITLE)}</h1>",
        _MARKDOWN.render("\n\n".join(openings)),
        f'<p class="filter" id="filter">{_buttons(found)}</p>',
        f'<table id="claims"><thead><tr>{"".join(heads)}<th>{COLUMNS[-1]}</th></tr></thead>',
        f"<tbody>{''.join(rows)}</tbody></table>",
    ]
    return _whole(TITLE, "\n".join(parts), script=_own("browsable.js"))


def _row(rule: Rule, one: Judgement | None, files: Files, pictures: Mapping[Path, Path], out: Path, page: Path) -> str:
    """A claim in the table; verdicts sort in the order of `words.MEANING`, whatever else by what they say."""
    cells = claim_cells(rule, one, os.path.relpath(page, out.parent))
    outcome = words.outcome(one)
    keys = [rule.id, rule.statement, str(list(words.MEANING).index(outcome)), cells[3], cells[4] or "0"]
    shown = "".join(
        f'<td data-key="{html.escape(key)}">{_MARKDOWN.renderInline(cell)}</td>'
        for key, cell in zip(keys, cells, strict=True)
    )
    drawn = result_drawn(rule, one, files, pictures)
    figure = ""
    if drawn is not None:
        source, title = (os.path.relpath(drawn[1], out.parent), catalogue.title(drawn[0]))
        figure = f'<img loading="lazy" src="{html.escape(source)}" alt="{html.escape(title)}">'
        figure = f'<a href="{html.escape(os.path.relpath(page, out.parent))}">{figure}</a>'
    return f'<tr data-outcome="{html.escape(outcome)}">{shown}<td>{figure}</td></tr>\n'


def _buttons(found: Found) -> str:
    """A button for each verdict that there is, with its number of claims and what it means."""
    outcomes = [
        words.outcome(words.best(rule, judgements))
        for study, judgements in found.items()
        for rule in registry(study).values()
    ]
    buttons = [f'<button type="button" class="chosen">all {len(outcomes)}</button>']
    for name, meaning in words.MEANING.items():
        if number := outcomes.count(name):
            shown = f'data-outcome="{html.escape(name)}" title="{html.escape(meaning)}"'
            buttons.append(f'<button type="button" {shown}>{number} {html.escape(name)}</button>')
    return " ".join(buttons)


def _looks(rule: Rule, one: Judgement | None, files: Files) -> str:
    """The commands that open the runs of a claim's results in a browser."""
    names = [f"{rule.study}/{name}" for name in rule.results] if one else []
    commands = [
        f"`grokjax explore {name} --preset={one.preset}`" for name in names if one.preset in files.get(name, {})
    ]
    return _MARKDOWN.render(f"Every run: {', '.join(commands)}.") if commands else ""


def _link(to: Path, page: Path, text: str) -> str:
    return f'<a href="{html.escape(os.path.relpath(to, page.parent))}">{html.escape(text)}</a>'


def _whole(title: str, body: str, script: str = "") -> str:
    """A page, its notes at the end."""
    notes = f"<footer>\n{_MARKDOWN.render(NOTES)}\n</footer>"
    scripts = [f"<script>\n{script}</script>"] if script else []
    return document(title, _own("browsable.css"), "\n".join([body, notes, *scripts]))


def _own(name: str) -> str:
    return resources.files("grokjax.claims").joinpath(name).read_text("utf-8")
