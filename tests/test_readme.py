"""Every row of the README's tables of flags is a sweep that can be run."""

import re
import shlex
from pathlib import Path

import pytest

from grokjax.cli.flags import base_config, parse
from grokjax.sweeps.grid import make_grid
from grokjax.training import Program, RunValues

README = (Path(__file__).parents[1] / "README.md").read_text()


def rows():
    """The flags of each row of each table under 'The five sources, in flags'."""
    section = README[README.index("## The five sources, in flags") : README.index("Beyond them:")]
    shared, source = "", ""
    for line in section.splitlines():
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
