"""What the documents show can be run, and what they link to is there."""

import re
import shlex
from pathlib import Path

import pytest

from grokjax import catalogue
from grokjax.cli.flags import base_config, parse
from grokjax.runs import Program, RunValues
from grokjax.sweeps.grid import make_grid

ROOT = Path(__file__).parents[1]
PAGES = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/*/README.md"))]


def rows():
    """The flags of each row of each table of docs/sources.md."""
    shared, source = "", ""
    for line in (ROOT / "docs" / "sources.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        spans = re.findall(r"`(--[^`]*)`", cells[-1])
        if line.startswith("| ") and cells[-1].startswith("flags, all with"):
            (shared,), source = spans, cells[0]
        elif line.startswith("| "):
            (own,) = spans
            yield pytest.param(f"{shared} {own}", id=f"{source}, {cells[0]}")


@pytest.mark.parametrize("flags", list(rows()))
def test_a_row_of_the_tables_is_a_sweep_that_can_be_run(flags):
    given = parse(["sweep", *shlex.split(flags)])
    runs = make_grid(base_config(given.metrics), given.values).runs()
    tables = {run.config.task: run.config.task.table() for run in runs}
    for run in runs:
        Program.of(run.config, tables[run.config.task])
        RunValues.of(run.config)


def test_the_tables_have_a_row_for_each_source():
    sources = {param.id.split(",")[0] for param in rows()}
    assert sources == {"PKU", "Power et al.", "Huang et al.", "Melnik et al.", "Nanda et al."}
    assert len(list(rows())) >= 29


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_files_that_are_there(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("study", catalogue.studies())
def test_a_study_shows_what_stands_out_as_its_page_says(study):
    assert (ROOT / "experiments" / study / "README.md").exists()


def commands():
    """Every `grokjax VERB ...` in a block of a page, as a parameter."""
    for page in PAGES:
        blocks = re.findall(r"^```\n(.*?)^```", page.read_text(), re.S | re.M)
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            if found := re.search(r"grokjax (sweep|run|draw) [^#&]*", line):
                yield pytest.param(found[0].strip(), id=f"{page.stem}: {found[0].strip()[:60]}")


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_of_a_page_names_what_exists(command):
    _, verb, *words = shlex.split(command)
    if verb == "sweep":
        given = parse(["sweep", *words])
        assert given.options["out"] and make_grid(base_config(given.metrics), given.values).shape
    else:
        assert words[0] in catalogue.experiments()
