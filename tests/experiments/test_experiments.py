"""Every preset of every experiment can be run, and from results of its form come its figure and its claims."""

import dataclasses
import re
import shutil
from pathlib import Path

import fuzz_meta
import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from grokjax import catalogue, plot, results  # noqa: E402
from grokjax.analysis.statistics import Estimate  # noqa: E402
from grokjax.claims import Part, judge_all, pages, registry, words  # noqa: E402
from grokjax.cli import drawing, reporting  # noqa: E402
from grokjax.cli.places import reference, results_in  # noqa: E402
from grokjax.config import evaluated_steps  # noqa: E402
from grokjax.experiments import operations  # noqa: E402
from grokjax.experiments.pku import claims as pku_claims  # noqa: E402
from grokjax.experiments.pku import minimum_norm  # noqa: E402
from grokjax.runs import METRICS, Program, RunValues  # noqa: E402
from grokjax.study import find  # noqa: E402
from grokjax.sweeps import collect  # noqa: E402
from grokjax.sweeps.engine import Record  # noqa: E402
from grokjax.sweeps.grid import make_grid  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = {name: find(name) for name in catalogue.experiments()}
SWEEPS = [name for name, experiment in EXPERIMENTS.items() if experiment.main is None]
PRESETS = [pytest.param(n, preset, id=f"{n}-{preset}") for n in SWEEPS for preset in EXPERIMENTS[n].presets]
AT_OWN_SIZE = {
    *("pku/modular_addition", "pku/architectures", "pku/equal_rows", "pku/operands", "pku/optimizers"),
    *("pku/ordered_pairs", "pku/ordered_triples"),
}
"""Whose results of the preset paper some claim needs, or is judged by otherwise than on those of quick."""

CLAIMS = [(study, rule) for study in catalogue.studies() for rule in registry(study).values()]


def grid_of(name, preset, **more):
    """The grid that a preset asks for, with other values put over it."""
    keywords = EXPERIMENTS[name].presets[preset].overridden(more)
    keywords.pop("snapshots", None)
    return make_grid(keywords.pop("config"), keywords, keywords.pop("zip"))


def written(folder, name, preset, record, begun=None, **more):
    """Writes a result of the form of a preset's, its runs, or those begun, given records by a function."""
    grid = grid_of(name, preset, **more)
    runs = grid.runs()
    chosen = runs if begun is None else begun(runs)
    arrays, meta = collect.to_arrays(grid, runs, {run.run_id: record(run) for run in chosen})
    path = folder / f"{name}-{preset}.npz"
    path.parent.mkdir(exist_ok=True)
    results.write(path, arrays, meta | collect.described(grid, runs))
    return path


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_a_grid_of_runs_that_fit_their_tables(name, preset):
    runs = grid_of(name, preset, num_seeds=1).runs()
    tables = {run.config.task: run.config.task.table() for run in runs}
    kinds = {(run.config.task, run.config.model, type(run.config.optimizer)): run for run in runs}
    for run in kinds.values():  # runs of one kind differ in numbers, which a configuration checks as it is made
        Program.of(run.config, tables[run.config.task])
        RunValues.of(run.config)
    assert len({run.run_id for run in runs}) == len(runs)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_opens_with_what_it_is_and_its_source_and_bears_the_name_of_its_file(name):
    experiment = EXPERIMENTS[name]
    assert experiment.name == name and "Source: " in experiment.doc and len(experiment.title) < 120
    assert drawing.figure(name).__doc__
    assert set(experiment.records) <= set(experiment.presets)
    assert all(preset.size for preset in experiment.presets.values())
    if experiment.main is None:  # `python experiments/operations.py` counts those that are new
        counted = catalogue.written(experiment.study, "operations.toml") if experiment.study != "demo" else None
        sizes = {name: preset.size for name, preset in experiment.presets.items()}
        assert counted is None or {n: c["size"] for n, c in counted[name.partition("/")[2]].items()} == sizes


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if not name.startswith("demo/")])
def test_an_experiment_names_the_claims_that_are_judged_by_its_results(name):
    study, _, short = name.partition("/")
    sentence = re.search(r"^Claims?:([^;.(]*)", EXPERIMENTS[name].doc, re.MULTILINE)
    said = set(re.findall(r"[A-Z]+-P?\d+", sentence[1] if sentence else ""))
    assert said == {claim for claim, rule in registry(study).items() if short in rule.results}


@pytest.mark.parametrize("name", ["huang/zones", "melnik/typical", "nanda/digits", "pku/width", "power/division"])
def test_what_a_preset_computes_is_written_down(name):
    study, _, short = name.partition("/")
    written = catalogue.written(study, "operations.toml")[short]
    counted = {name: preset["operations"] for name, preset in written.items()}
    assert counted["quick"] == pytest.approx(operations.operations(EXPERIMENTS[name].presets["quick"]), rel=0.01)
    assert catalogue.hours(name, "quick") == counted["quick"] / 50e9 / 3600
    assert catalogue.hours(name, "paper", catalogue.GPU) == counted["paper"] / 15e12 / 3600


def test_what_a_preset_trains_is_told_with_what_it_is_the_same_as():
    presets = EXPERIMENTS["nanda/digits"].presets
    assert catalogue.size("nanda/digits", "endless") == presets["endless"].size
    assert catalogue.size("nanda/digits", "small") == f"{presets['quick'].size}; {presets['small'].size}"
    assert catalogue.size("nanda/digits", "mine") == catalogue.size("demo/quickstart", "quick") == ""


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.001, "1 minute"),
        (0.05, "3 minutes"),
        (2.36, "2.4 hours"),
        (61.2, "61 hours"),
        (3245.0, "140 days"),
        (41e3, "4.7 years"),
    ],
)
def test_hours_are_told_roughly(hours, text):
    assert catalogue.duration(hours) == text


@pytest.mark.parametrize("name", SWEEPS)
def test_results_that_ship_hold_runs_of_their_presets_and_have_a_record(name):
    for preset, path in results_in([reference()]).get(name, {}).items():
        held = set(results.read(path)[0]["run_id"].ravel().tolist())
        asked = {run.run_id for run in grid_of(name, preset).runs()}
        assert held <= asked or asked <= held
        if name.startswith("pku/"):
            assert preset in EXPERIMENTS[name].records, f"{name}-{preset} has no record"


def kept_of(metric, task):
    """The names under which a metric's values are kept."""
    if metric in ("softmax_collapse", "token_accuracy"):
        return [f"{side}_{metric}" for side in ("train", "val")]
    own = {"per_answer": range(getattr(task, "num_answers", getattr(task, "length", 1) - 1))}
    own |= {"parts": [f"trigram {i}" for i in range(getattr(task, "num_trigrams", 0))]}
    sides = [f"{side}_{what}" for side in ("train", "val") for what in ("loss", "accuracy")]
    return [f"{side}.{one}" for side in sides for one in own[metric]] if metric in own else [metric]


def made_up(run):
    """A record of the form that training `run` would give: memorised at a tenth of it, generalised at a half."""
    config = dataclasses.replace(run.config, eval_at="log:20")
    steps = evaluated_steps(config.eval_at, config.steps)
    done = steps / config.steps
    curves = dict(train_accuracy=np.clip(10 * done, 0, 1), val_accuracy=np.clip(2 * done, 0, 1))
    curves |= dict(train_loss=2 - curves["train_accuracy"], val_loss=3 - 2 * curves["val_accuracy"])
    curves |= dict(weight_norm=50 - 10 * done)
    assert set(curves) == set(METRICS)
    for name, _ in config.metrics:
        curves |= dict.fromkeys(kept_of(name, config.task), curves["val_accuracy"])
    return Record(steps, {n: c.astype(np.float32) for n, c in curves.items()}, "finished", int(steps[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of the form of every experiment's preset quick, and of some also paper, two seeds each."""
    where = tmp_path_factory.mktemp("made_up")
    for name in SWEEPS:
        for preset in ("quick", "paper") if name in AT_OWN_SIZE else ("quick",):
            written(where, name, preset, made_up, num_seeds=2)
    settings = dict(num_seeds=2, rows=3, features=5, batch_size=2, steps=30, learning_rate=0.01)
    results.write(where / "pku" / "minimum_norm-paper.npz", *minimum_norm.train(settings, [0.0, 1.0]))
    return where


def report(folder, out, *more):
    """Writes a report on a folder of results; the index' text."""
    pages_folder = out.parent / "studies"
    reporting.report_command(["report", f"--folder={folder}", f"--out={out}", f"--pages={pages_folder}", *more])
    return out.read_text()


def test_a_replay_is_shown_beside_the_source_s_numbers_and_never_is_the_verdict(tmp_path):
    for preset in ("part", "replay"):
        written(tmp_path, "pku/operands", preset, made_up, num_seeds=6)
    report(tmp_path, tmp_path / "out" / "REPORT.md")
    page = (tmp_path / "out" / "studies" / "pku.md").read_text()
    (row,) = [line for line in page.splitlines() if "p=17, K=2: highest validation accuracy" in line]
    assert [cell.strip() for cell in row.split("|")][3:6] == [
        "5 %",
        "100 % [100, 100], 6 runs (`replay`)",
        "100 % [100, 100], 6 runs (`part`)",
    ]
    section = page[page.index("## PKU-11") : page.index("## PKU-12")]
    assert "On a replay of the source's code, as it was: **" in section and "`replay`: " in section
    best = words.best(registry("pku")["PKU-11"], judge_all("pku", results_in([tmp_path])))
    assert best.preset == "part"


@pytest.mark.parametrize("name", ["modular_addition", "momentum", "no_regularisation", "operands", "optimizers"])
def test_a_figure_leaves_out_what_was_not_run(name, tmp_path):
    def all_but_the_first(runs):
        return [run for run in runs if run.index[0] != runs[0].index[0]]

    path = written(tmp_path, f"pku/{name}", "paper", made_up, all_but_the_first, num_seeds=2)
    assert drawing.draw_all(tmp_path) and path.with_suffix(".png").exists()


def under_way(run):
    """A record of `run` half done."""
    whole = made_up(run)
    half = len(whole.steps) // 2
    curves = {name: curve[:half] for name, curve in whole.metrics.items()}
    return Record(whole.steps[:half], curves, "under way", int(whole.steps[half - 1]))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The same of the presets quick, of which half of the runs have begun."""
    where = tmp_path_factory.mktemp("begun")
    for name in SWEEPS:
        written(where, name, "quick", under_way, lambda runs: runs[: max(1, len(runs) // 2)], num_seeds=1)
    return where


@pytest.mark.parametrize("name", SWEEPS)
def test_a_figure_shows_runs_under_way(name, begun):
    assert drawing.figure_of(name, begun / f"{name}-quick.npz").axes
    plot.close()


def test_a_report_shows_runs_under_way(begun, tmp_path):
    text = report(begun, tmp_path / "REPORT.md")
    assert all(f"| [{rule.id}]" in text for _, rule in CLAIMS)


def test_a_result_that_cannot_be_drawn_does_not_keep_others_from_it(folder, tmp_path, capsys):
    (tmp_path / "pku").mkdir()
    for name in ("minimum_norm-paper", "momentum-quick"):
        shutil.copy(folder / "pku" / f"{name}.npz", tmp_path / "pku")
    (tmp_path / "pku" / "fitting-quick.npz").write_text("no result")
    assert not drawing.draw_all(tmp_path)
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2 and len(said.err.splitlines()) == 1


def test_a_result_of_another_experiment_is_answered_in_a_sentence(folder, capsys, tmp_path):
    given = [f"--result={folder / 'pku' / 'width-quick.npz'}", f"--out={tmp_path / 'x.png'}"]
    with pytest.raises(SystemExit):
        drawing.show("pku/optimizers", ["draw", *given])
    said = capsys.readouterr().err
    assert "is not a result of pku/optimizers" in said and len(said.splitlines()) == 1


TINY = ["--num_seeds=2", "--rows=3", "--features=5", "--batch_size=2", "--steps=30"]


def test_the_regression_refuses_in_a_sentence_and_overwrites_no_other_result(capsys, tmp_path):
    out = tmp_path / "minimum_norm-paper.npz"

    def call(*arguments):
        minimum_norm.main(["minimum_norm.py", *TINY, f"--out={out}", *arguments])

    call()
    held = out.read_bytes()
    wrong = ("init_scale=0,0", "init_scale=a", "batch_size=4", "learning_rate=nan", "out=x", "steps=31")
    for refused in wrong:
        with pytest.raises(SystemExit):
            call(f"--{refused}")
        assert len(capsys.readouterr().err.splitlines()) == 1 and out.read_bytes() == held
    call("--steps=31", "--overwrite")
    assert results.read(out)[1]["config"]["steps"] == 31


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_result_has_a_figure(name, folder):
    results_of_it = results_in([folder])[name]
    assert results_of_it
    for path in results_of_it.values():
        figure = drawing.figure_of(name, path)
        figure.set_layout_engine("none")  # to lay out a figure takes twice as long as to draw it
        figure.set_dpi(30)
        figure.canvas.draw()
        assert np.ptp(np.asarray(figure.canvas.buffer_rgba())) > 100
        plot.close()


@pytest.mark.parametrize("study", catalogue.studies())
def test_a_figure_is_written(study, folder, tmp_path):
    name = next(name for name in SWEEPS if name.startswith(f"{study}/"))
    path = results_in([folder])[name]["quick"]
    assert drawing.drawn(name, path, tmp_path / "x.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def judged(folder):
    """What those results say of every study's claims, which takes the time of a whole report."""
    return {study: judge_all(study, results_in([folder])) for study in catalogue.studies()}


def test_every_claim_is_judged_on_the_results_of_its_experiments(judged):
    found = [one for judgements in judged.values() for one in judgements]
    assert {one.rule.id for one in found} == {rule.id for _, rule in CLAIMS}
    # With two seeds nothing is decided, whatever was made up.
    assert {one.verdict for one in found} == {"inconclusive"}
    quick = {one.rule.id: one for one in found if one.preset == "quick"}
    paper = {one.rule.id: one for one in found if one.preset == "paper"}
    assert quick["PKU-1"].scaled and not paper["PKU-1"].scaled and not quick["PKU-5"].scaled
    assert len(paper["PKU-1"].parts) == 6 and len(paper["PKU-3"].controls) == 1 and paper["PKU-3"].runs == 24


def test_the_report_has_a_row_and_a_section_for_every_claim(folder, judged, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(reporting, "judge_all", lambda study, files: judged[study])
    text = report(folder, tmp_path / "REPORT.md")
    for study in catalogue.studies():
        rules = registry(study)
        page = (tmp_path / "studies" / f"{study}.md").read_text()
        assert all(
            f"| [{id}](studies/{study}.md#{id.lower()})" in text and f'<a id="{id.lower()}">' in page for id in rules
        )
        assert f"Of {len(rules)} claims {len(rules)} with too few seeds" in text
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert {line.count("|") - line.count("\\|") for line in rows} == {6} and len(rows) == len(CLAIMS)
    assert f"wrote   {tmp_path / 'REPORT.md'}" in capsys.readouterr().out


def test_a_report_shows_the_pictures_that_were_drawn_of_ones_own_results(folder, monkeypatch, tmp_path):
    (tmp_path / "results" / "pku").mkdir(parents=True)
    shutil.copy(folder / "pku" / "width-quick.npz", tmp_path / "results" / "pku")
    monkeypatch.chdir(tmp_path)
    drawing.show("pku/width", ["draw"])
    reporting.report_command(["report", "--folder=results"])
    page = (tmp_path / "report" / "studies" / "pku.md").read_text()
    assert "[quick](../../figures/pku/width-quick.png)" in page and "](../../figures/pku/width-quick.png)" in page
    assert "| ../../results/pku/width-quick.npz | 6 |" in page


def test_a_claim_whose_function_is_not_written_yet_says_so(tmp_path, monkeypatch):
    written(tmp_path, "pku/width", "quick", made_up, num_seeds=1)
    monkeypatch.delitem(pku_claims.CLAIMS, "PKU-15")
    monkeypatch.delattr(pku_claims, "on_recorded_numbers")  # which not every source has
    assert "| [PKU-15](" in report(tmp_path, tmp_path / "R.md")
    section = (tmp_path / "studies" / "pku.md").read_text().partition('<a id="pku-15">')[2].partition("<a id=")[0]
    assert "CLAIMS in experiments/pku/claims.py has no function for it yet" in section


def test_a_claim_whose_runs_have_not_ended_says_so(tmp_path):
    written(tmp_path, "pku/width", "quick", under_way, num_seeds=1)
    report(tmp_path, tmp_path / "R.md")
    section = (tmp_path / "studies" / "pku.md").read_text().partition('<a id="pku-15">')[2].partition("<a id=")[0]
    assert "no run has ended" in section


def test_an_interval_without_bounds_is_shown():
    for low, high, shown in ((-np.inf, np.inf, " [×0, ×∞]"), (np.inf, np.inf, "")):
        part = Part("p=31", "ln ratio", Estimate(np.inf, low, high, 1.0, 6, np.inf), "inconclusive")
        assert words.numbers(part) == f"p=31: ×∞{shown}, 6 runs"


def test_a_report_shows_what_is_known_and_no_number_where_nothing_is():
    inf, two, four = np.inf, np.log(2), np.log(4)
    for value, most, shown in (
        (two, two, "×2"),
        (two, inf, "> ×2"),
        (-inf, -two, "< ×0.5"),
        (two, four, "×2 to ×4"),
    ):
        part = Part("p=31", "ln ratio", Estimate(value, -inf, inf, 1.0, 6, most), "inconclusive")
        assert words.numbers(part) == f"p=31: {shown} [×0, ×∞], 6 runs"
    part = Part("p=31", "ln ratio", Estimate(-inf, -inf, inf, 1.0, 6, inf), "inconclusive", unknown="neither got there")
    assert words.measured(part) == "p=31: not known (neither got there): inconclusive"


def test_a_result_of_processes_with_different_versions_names_them_all(tmp_path):
    arrays, meta = fuzz_meta.small()
    path = tmp_path / "pku" / "width-quick.npz"
    path.parent.mkdir()
    results.write(path, arrays, meta | {"versions": [{"jax": "1"}, {"jax": "2"}]})
    assert pages.result_rows("pku", results_in([tmp_path]), tmp_path / "R.md")[-1].endswith("| jax 1, jax 2 |")


def test_what_is_expected_does_not_contradict_a_claim_that_there_is_no_effect():
    rules, expected = registry("pku"), words.expected_of
    assert expected(rules["PKU-2"]) == "above ×1: ×1.25 or more"
    assert expected(rules["PKU-5"]) == "above ×1: ×1.25 or more<br>Transformer: below ×1.25<br>LSTM: below ×1.25"
    within = "decay .05 less Adam 1e-4: within ±5.0 points"
    assert expected(rules["PKU-7"]) == f"above +0.0: +10.0 points or more<br>{within}"
    assert expected(rules["PKU-11"]) == "above ×1: ×2 or more<br>p=31, K=3: below ×2"


def test_a_report_of_nothing_says_what_to_run(tmp_path):
    (tmp_path / "none").mkdir()
    text = report(tmp_path / "none", tmp_path / "R.md")
    assert "Of 20 claims 20 not run" in text
    assert "`grokjax run pku/modular_addition --preset=claim`" in (tmp_path / "studies" / "pku.md").read_text()


@pytest.mark.parametrize("arguments", [["--folder=/nowhere"], ["extra"], ["--foldr=x"]])
def test_what_cannot_be_reported_is_one_sentence(capsys, arguments):
    with pytest.raises(SystemExit):
        reporting.report_command(["report", *arguments])
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_results_are_found_by_experiment_and_preset_the_first_folder_first(tmp_path):
    for place in ("own/pku/width-quick", "reference/pku/width-quick", "reference/pku/width-paper", "reference/pku/odd"):
        (tmp_path / place).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / f"{place}.npz").touch()
    own, shipped = tmp_path / "own", tmp_path / "reference"
    expected = {"quick": own / "pku" / "width-quick.npz", "paper": shipped / "pku" / "width-paper.npz"}
    assert results_in([own, shipped]) == {"pku/width": expected}


def test_the_list_has_every_experiment_and_the_verdicts_of_its_claims(capsys):
    reporting.list_command(["list"])
    said = capsys.readouterr().out
    assert all(name in said for name in EXPERIMENTS) and "PKU-P8 reproduced" in said
