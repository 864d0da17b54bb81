"""Every preset of every experiment can be run, and from results of its form come its figure and its claims."""

import dataclasses
import importlib
import runpy
import shutil
import sys
from pathlib import Path

import fuzz_meta
import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from grokjax import command, results  # noqa: E402
from grokjax.analysis.statistics import Estimate  # noqa: E402
from grokjax.claims import Part, judge_all, presets_in, registry  # noqa: E402
from grokjax.config import evaluated_steps  # noqa: E402
from grokjax.sweeps import collect, flags  # noqa: E402
from grokjax.sweeps.engine import Record  # noqa: E402
from grokjax.sweeps.grid import make_grid  # noqa: E402
from grokjax.training import METRICS, Program, RunValues  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
NO_SWEEPS = {"benchmark", "torch_models", "torch_peer", "torch_worker", "pku", "sweep", "minimum_norm"}
"""Scripts that are no presets of a sweep."""


def presets_of(script):
    """The keywords that a script calls `grokjax.command.main` with."""
    told, known = {}, set(sys.modules)
    kept = command.main
    command.main = lambda **keywords: told.update(keywords)
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        command.main = kept
        sys.path.remove(str(script.parent))
        for module in set(sys.modules) - known:  # figures have scripts of the same names
            del sys.modules[module]
    return told


SCRIPTS = {path.stem: path for path in sorted((ROOT / "experiments").glob("*.py")) if path.stem not in NO_SWEEPS}
TOLD = {name: presets_of(path) for name, path in SCRIPTS.items()}
PRESETS = [pytest.param(name, preset, id=f"{name}-{preset}") for name in TOLD for preset in TOLD[name]["presets"]]


def grid_of(name, preset, *more):
    """The grid that a preset asks for, and the file it writes."""
    told = TOLD[name]
    keywords = flags.parse([name, f"--preset={preset}", *more], told["presets"], told["out"])
    config, zipped, out = keywords.pop("config"), keywords.pop("zip", ()), keywords.pop("out")
    return make_grid(config, keywords, zipped), out


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_a_grid_of_runs_that_fit_their_tables(name, preset):
    grid, out = grid_of(name, preset, "--num_seeds=1")
    runs = grid.runs()
    tables = {run.config.task: run.config.task.table() for run in runs}
    for run in runs:
        Program.of(run.config, tables[run.config.task])
        RunValues.of(run.config)
    assert Path(out).stem == f"{name}-{preset}" and len({run.run_id for run in runs}) == len(runs)


@pytest.mark.parametrize("name", TOLD)
def test_a_script_opens_with_its_record(name):
    doc = TOLD[name]["doc"]
    assert "Source: " in doc and f"python experiments/{name}.py" in doc and f"python figures/{name}.py" in doc
    presets = TOLD[name]["presets"]
    assert len(presets) == 1 or all(f"--preset={preset}" in doc for preset in presets)


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
        kept = ("train_softmax_collapse", "val_softmax_collapse") if name == "softmax_collapse" else (name,)
        curves |= dict.fromkeys(kept, curves["val_accuracy"])
    return Record(steps, {n: c.astype(np.float32) for n, c in curves.items()}, "finished", int(steps[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of the form of every experiment's presets quick and paper, two seeds each."""
    where = tmp_path_factory.mktemp("made_up")
    for name, told in TOLD.items():
        for preset in {"quick", "paper"} & told["presets"].keys():
            grid, out = grid_of(name, preset, "--num_seeds=2")
            runs = grid.runs()
            arrays, meta = collect.to_arrays(grid, runs, {run.run_id: made_up(run) for run in runs})
            results.write(where / Path(out).name, arrays, meta | collect.described(grid, runs))
    regression = runpy.run_path(str(ROOT / "experiments" / "minimum_norm.py"))
    settings = dict(num_seeds=2, rows=3, features=5, batch_size=2, steps=30, learning_rate=0.01)
    results.write(where / "minimum_norm-paper.npz", *regression["train"](settings, [0.0, 1.0]))
    return where


@pytest.mark.parametrize("name", ["modular_addition", "momentum", "no_regularisation", "operands", "optimizers"])
def test_a_figure_leaves_out_what_was_not_run(name, monkeypatch, tmp_path):
    grid, out = grid_of(name, "paper", "--num_seeds=2")
    runs = grid.runs()
    first = runs[0].index[0]
    arrays, meta = collect.to_arrays(grid, runs, {r.run_id: made_up(r) for r in runs if r.index[0] != first})
    results.write(tmp_path / Path(out).name, arrays, meta | collect.described(grid, runs))
    run_main("gallery", monkeypatch, f"--folder={tmp_path}")
    assert (tmp_path / f"{name}-paper.png").exists()


def under_way(run):
    """A record of `run` half done."""
    whole = made_up(run)
    half = len(whole.steps) // 2
    curves = {name: curve[:half] for name, curve in whole.metrics.items()}
    return Record(whole.steps[:half], curves, "under way", int(whole.steps[half - 1]))


@pytest.mark.parametrize("number", ["one", "all"])
def test_figures_show_runs_under_way(number, monkeypatch, tmp_path):
    for name in TOLD:
        grid, out = grid_of(name, "quick", "--num_seeds=1")
        runs = grid.runs()
        begun = runs[:1] if number == "one" else runs
        arrays, meta = collect.to_arrays(grid, runs, {run.run_id: under_way(run) for run in begun})
        results.write(tmp_path / Path(out).name, arrays, meta | collect.described(grid, runs))
    run_main("gallery", monkeypatch, f"--folder={tmp_path}")
    assert len(list(tmp_path.glob("*.png"))) == len(TOLD)
    run_main("report", monkeypatch, f"--folder={tmp_path}", f"--out={tmp_path / 'REPORT.md'}")


def test_a_result_that_cannot_be_drawn_does_not_keep_others_from_it(folder, monkeypatch, tmp_path, capsys):
    for name in ("minimum_norm-paper", "momentum-quick"):
        shutil.copy(folder / f"{name}.npz", tmp_path)
    (tmp_path / "fitting-quick.npz").write_text("no result")
    with pytest.raises(SystemExit):
        run_main("gallery", monkeypatch, f"--folder={tmp_path}")
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2 and len(told.err.splitlines()) == 1


def test_a_result_of_another_experiment_is_told_in_a_sentence(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "figures")
    script = importlib.import_module("optimizers")
    given = [f"--result={folder / 'width-quick.npz'}", f"--out={tmp_path / 'x.png'}"]
    monkeypatch.setattr(sys, "argv", ["figures/optimizers.py", *given])
    with pytest.raises(SystemExit):
        script.main(script.draw, script.__doc__, "optimizers")
    told = capsys.readouterr().err
    assert "is not a result of optimizers" in told and len(told.splitlines()) == 1


TINY = ["--num_seeds=2", "--rows=3", "--features=5", "--batch_size=2", "--steps=30"]


@pytest.mark.parametrize("wrong", ["init_scale=0,0", "init_scale=a", "batch_size=4", "learning_rate=nan", "out=x"])
def test_the_regression_refuses_in_a_sentence_and_overwrites_no_other_result(wrong, monkeypatch, capsys, tmp_path):
    script = runpy.run_path(str(ROOT / "experiments" / "minimum_norm.py"))
    out = tmp_path / "minimum_norm-paper.npz"

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["minimum_norm.py", *TINY, f"--out={out}", *arguments])
        script["main"]()

    call()
    held = out.read_bytes()
    for refused in (f"--{wrong}", "--steps=31"):
        with pytest.raises(SystemExit):
            call(refused)
        assert len(capsys.readouterr().err.splitlines()) == 1 and out.read_bytes() == held
    call("--steps=31", "--overwrite")
    assert results.read(out)[1]["config"]["steps"] == 31


def run_main(module, monkeypatch, *arguments):
    """Calls a figure script's main with these flags."""
    monkeypatch.syspath_prepend(ROOT / "figures")
    monkeypatch.setattr(sys, "argv", [f"figures/{module}.py", *arguments])
    importlib.import_module(module).main()


def test_every_result_has_a_figure(folder, monkeypatch, capsys):
    run_main("gallery", monkeypatch, f"--folder={folder}")
    drawn = {Path(line.split()[1]).stem for line in capsys.readouterr().out.splitlines()}
    assert drawn == {path.stem for path in folder.glob("*.npz")} and len(drawn) > 2 * len(TOLD) - 2
    assert all(path.with_suffix(".pdf").exists() for path in folder.glob("*.npz"))


def test_every_claim_is_judged_on_the_results_of_its_experiments(folder):
    found = judge_all([folder])
    assert {one.rule.id for one in found} == set(registry())
    # With two seeds nothing is decided, whatever was made up.
    assert {one.verdict for one in found} == {"inconclusive"}
    quick = {one.rule.id: one for one in found if one.preset == "quick"}
    paper = {one.rule.id: one for one in found if one.preset == "paper"}
    assert quick["PKU-1"].scaled and not paper["PKU-1"].scaled and not quick["PKU-5"].scaled
    assert len(paper["PKU-1"].parts) == 6 and len(paper["PKU-3"].controls) == 1 and paper["PKU-3"].runs == 24


def test_the_report_tells_of_every_claim(folder, monkeypatch, capsys, tmp_path):
    run_main("report", monkeypatch, f"--folder={folder}", f"--out={tmp_path / 'REPORT.md'}")
    text = (tmp_path / "REPORT.md").read_text()
    assert all(f"| {name}" in text for name in registry())
    assert f"Of {len(registry())} claims {len(registry())} with too few seeds" in text.splitlines()[2]
    rows = [line for line in text.splitlines() if line.startswith("| PKU")]
    assert {line.count("|") - line.count("\\|") for line in rows} == {10}
    assert "report  " in capsys.readouterr().out


def test_a_report_shows_the_pictures_that_were_drawn_of_ones_own_results(folder, monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    shutil.copy(folder / "width-quick.npz", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "figures")
    monkeypatch.setattr(sys, "argv", ["figures/width.py"])
    runpy.run_path(str(ROOT / "figures" / "width.py"), run_name="__main__")
    run_main("report", monkeypatch, "--folder=results")
    text = (tmp_path / "REPORT.md").read_text()
    assert "[quick](figures/width-quick.png)" in text and "![width-quick](figures/width-quick.png)" in text
    assert "| results/width-quick.npz | 6 |" in text


def test_a_claim_whose_runs_have_not_ended_says_so(monkeypatch, tmp_path):
    grid, out = grid_of("width", "quick", "--num_seeds=1")
    runs = grid.runs()
    arrays, meta = collect.to_arrays(grid, runs, {run.run_id: under_way(run) for run in runs})
    results.write(tmp_path / Path(out).name, arrays, meta | collect.described(grid, runs))
    run_main("report", monkeypatch, f"--folder={tmp_path}", f"--out={tmp_path / 'R.md'}")
    (row,) = (line for line in (tmp_path / "R.md").read_text().splitlines() if line.startswith("| PKU-15"))
    assert "no run has ended yet" in row


def test_an_interval_without_bounds_is_shown(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "figures")
    numbers = importlib.import_module("report").numbers
    for low, high, told in ((-np.inf, np.inf, " [×0, ×∞]"), (np.inf, np.inf, "")):
        part = Part("p=31", "ln ratio", Estimate(np.inf, low, high, 1.0, 6, np.inf), "inconclusive")
        assert numbers(part) == f"p=31: ×∞{told}, 6 runs"


def test_a_report_shows_what_is_known_and_no_number_where_nothing_is(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "figures")
    report = importlib.import_module("report")
    inf, two, four = np.inf, np.log(2), np.log(4)
    for value, most, told in (
        (two, two, "×2"),
        (two, inf, "> ×2"),
        (-inf, -two, "< ×0.5"),
        (two, four, "×2 to ×4"),
    ):
        part = Part("p=31", "ln ratio", Estimate(value, -inf, inf, 1.0, 6, most), "inconclusive")
        assert report.numbers(part) == f"p=31: {told} [×0, ×∞], 6 runs"
    part = Part("p=31", "ln ratio", Estimate(-inf, -inf, inf, 1.0, 6, inf), "inconclusive", unknown="neither got there")
    assert report.measured(part) == "p=31: not known (neither got there): inconclusive"


def test_a_result_of_processes_with_different_versions_names_them_all(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "figures")
    arrays, meta = fuzz_meta.small()
    results.write(tmp_path / "width-quick.npz", arrays, meta | {"versions": [{"jax": "1"}, {"jax": "2"}]})
    (row,) = importlib.import_module("report").result_rows([tmp_path], tmp_path / "R.md")
    assert row.endswith("| jax 1, jax 2 |")


def test_what_is_expected_does_not_contradict_a_claim_that_there_is_no_effect(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "figures")
    expected = importlib.import_module("report").expected
    rules = registry()
    assert expected(rules["PKU-2"]) == "above ×1: ×1.25 or more"
    assert expected(rules["PKU-5"]) == "above ×1: ×1.25 or more<br>Transformer: below ×1.25<br>LSTM: below ×1.25"
    assert expected(rules["PKU-7"]) == "above +0.0: +10.0 or more<br>decay .05 less Adam 1e-4: within ±5.0"
    assert expected(rules["PKU-11"]) == "above ×1: ×2 or more<br>p=31, K=3: below ×2"


def test_a_report_of_nothing_says_what_to_run(monkeypatch, tmp_path):
    run_main("report", monkeypatch, f"--folder={tmp_path}", f"--out={tmp_path / 'R.md'}")
    text = (tmp_path / "R.md").read_text()
    assert f"Of {len(registry())} claims {len(registry())} not run" in text
    assert "`python experiments/modular_addition.py --preset=claim`" in text


@pytest.mark.parametrize("arguments", [["--folder=/nowhere"], ["extra"], ["--foldr=x"]])
def test_what_cannot_be_reported_is_one_sentence(monkeypatch, capsys, arguments):
    for module in ("report", "gallery"):
        with pytest.raises(SystemExit):
            run_main(module, monkeypatch, *arguments)
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_results_are_found_by_experiment_and_preset_the_first_folder_first(tmp_path):
    for place in ("own/width-quick", "reference/width-quick", "reference/width-paper", "reference/odd"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / f"{place}.npz").touch()
    found = presets_in([tmp_path / "own", tmp_path / "reference"])
    own, reference = tmp_path / "own", tmp_path / "reference"
    assert found == {"width": {"quick": own / "width-quick.npz", "paper": reference / "width-paper.npz"}}
