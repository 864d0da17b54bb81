"""The verdicts that a report keeps beside its results, and when they are taken for true."""

import shutil
from pathlib import Path

import pytest

from grokjax.claims import judge_all, kept
from grokjax.cli import reporting
from grokjax.cli.places import reference, results_in

STUDY = "power"
"""Which has few results."""

REAL = kept.resources.files


@pytest.fixture
def folder(tmp_path):
    """Results of one study, with the verdicts on them."""
    shutil.copytree(reference() / STUDY, tmp_path / STUDY)
    files = results_in([tmp_path])
    kept.keep(tmp_path, {STUDY: judge_all(STUDY, files)}, files)
    return tmp_path


def verdicts(folder):
    return kept.read([folder], STUDY, results_in([folder]))


def test_verdicts_are_those_judged_and_are_found_in_any_of_the_folders(folder, tmp_path):
    files = results_in([folder])
    found = kept.read([tmp_path / "none", folder], STUDY, files)
    assert found == kept.in_words(STUDY, judge_all(STUDY, files)) and set(found.values()) != {"not run"}
    assert kept.read([folder], "pku", files) is None


def test_another_result_another_measure_and_one_more_make_them_stale(folder):
    (result, *_) = sorted((folder / STUDY).glob("*.npz"))
    whole = result.read_bytes()
    result.write_bytes(whole + b" ")
    assert verdicts(folder) is None
    result.write_bytes(whole)
    assert verdicts(folder) is not None
    shutil.copy(result, result.with_name("embeddings-mine.npz"))
    assert verdicts(folder) is None


@pytest.mark.parametrize("package", ["grokjax.claims", "grokjax.experiments.power"])
def test_edited_rules_and_code_make_them_stale(folder, monkeypatch, tmp_path, package):
    copy = tmp_path / "code"
    shutil.copytree(next(file for file in REAL(package).iterdir() if file.is_file()).parent, copy)
    monkeypatch.setattr(kept.resources, "files", lambda asked: copy if asked == package else REAL(asked))
    assert verdicts(folder) is not None, "a copy is the same"
    file = next(path for path in sorted(copy.iterdir()) if path.suffix == ".py")
    file.write_text(file.read_text() + "\nx = 1\n")
    assert verdicts(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"power": 1}', '{"power": {"of": "x"}}', "\0"])
def test_a_damaged_file_is_as_none(folder, text):
    (folder / kept.KEPT).write_text(text)
    assert verdicts(folder) is None


def test_those_that_ship_are_of_the_results_that_ship_and_of_today_s_rules(monkeypatch, capsys):
    """If not, `make figures` makes them, REPORT.md and the pages; without the pictures, its command without --draw."""
    monkeypatch.setattr(reporting, "judge_all", lambda *_: pytest.fail("judged again"))
    monkeypatch.setattr(reporting, "OWN", Path("nowhere"))
    reporting.list_command(["list"])
    assert "PKU-P8 reproduced" in capsys.readouterr().out
