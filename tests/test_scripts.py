"""Every script runs at a tiny size, as its user would call it."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grokjax as gj
from grokjax.experiments.speed import benchmark

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--modulus=11", "--width=16", "--num_heads=2", "--batch_size=32", "--steps=40", "--num_devices=1"]
TINY_RUN = [*TINY, "--train_fraction=0.4,0.6", "--num_seeds=2"]
SCRIPTS = ["experiments/sweep.py", "experiments/demo/quickstart.py", "figures/demo/quickstart.py"]


def call(script, *arguments, succeeds=True):
    """What a script prints, on standard output and standard error."""
    done = subprocess.run([sys.executable, script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) == succeeds and "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def test_the_demo_trains_prints_its_table_and_draws(tmp_path):
    result, figure = tmp_path / "quickstart-quick.npz", tmp_path / "quickstart.png"
    told, _ = call(
        "experiments/demo/quickstart.py", *TINY, "--train_fraction=0.4,0.6", "--num_seeds=2", f"--out={result}"
    )
    header = "train_fraction  runs  memorised  generalised  delayed  median_train  median_val  ratio"
    assert told.startswith(header) and len(told.splitlines()) == 7 and "delayed: validation rose 30 points" in told
    assert dict(gj.load(result).sizes) == dict(train_fraction=2, seed=2, step=2)
    told, _ = call("figures/demo/quickstart.py", f"--result={result}", f"--out={figure}")
    assert told == f"result  {result}\nfigure  {figure}\n"
    assert figure.stat().st_size > 10_000 and figure.with_suffix(".pdf").exists()


def test_a_figure_without_its_result_names_the_command_that_makes_it(tmp_path):
    _, told = call("figures/demo/quickstart.py", f"--result={tmp_path / 'no.npz'}", succeeds=False)
    assert "It is made by: grokjax run demo/quickstart" in told and len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "script", ["experiments/sweep.py", "experiments/demo/quickstart.py", "figures/demo/quickstart.py"]
)
def test_every_script_has_help(script):
    told, _ = call(script, "--help")
    assert "--out" in told


def test_the_benchmark_prints_a_line_of_json_per_configuration():
    told, _ = call("experiments/speed/benchmark.py", *TINY, "--preset=own", "--num_layers=1", "--brief", "--json")
    (row,) = map(json.loads, told.splitlines())
    assert row["run_steps_per_second"] > 0 and 0 < row["share_of_peak"] < 1
    assert row["operations_per_second"] == pytest.approx(row["run_steps_per_second"] * row["step_operations"])


def test_the_benchmark_reads_every_flag_that_its_help_lists_of_a_sweep(monkeypatch, capsys):
    measured = []
    monkeypatch.setattr(benchmark, "measure", lambda *given: measured.append(given) or {})
    monkeypatch.setattr(benchmark, "COLUMNS", {"workload": lambda row: ""})

    def said(*arguments):
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
        with pytest.raises(SystemExit) if arguments == ("--help",) else contextlib.nullcontext():
            benchmark.main()
        return capsys.readouterr().out

    listed = said("--help").partition("The sweep:")[2].partition("The task:")[0]
    tried = {
        "preset": "own",
        "num_seeds": "2",
        "zip": "seed,steps",
        "variant": "a: steps=5; b: steps=6",
        "metrics": "weight_norm",
        "lanes": "1,2",
        "num_devices": "1",
        "json": "true",
        "brief": "true",
    }
    assert set(re.findall(r"^  --(\w+)", listed, re.M)) == {*tried, "against", "compile_for"}
    for name, value in tried.items():
        more = ["--seed=0,1", "--steps=5,6"] if name == "zip" else []
        said("--preset=own", f"--{name}={value}", *TINY[:4], *more)
    assert len(measured) == len(tried) + 4
    for name in sorted(benchmark.WITHOUT):
        monkeypatch.setattr(sys, "argv", ["benchmark", f"--{name}=1"])
        with pytest.raises(SystemExit):
            benchmark.main()
        assert f"There is no flag '{name}'." in capsys.readouterr().err


def test_an_installed_wheel_runs_draws_judges_and_lists_away_from_a_clone(tmp_path):
    source, wheels, site, empty = (tmp_path / name for name in ("source", "wheels", "site", "empty"))
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", ".*_cache"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", str(source), "--no-deps", "-w", str(wheels)], check=True, capture_output=True)
    (wheel,) = wheels.glob("grokjax-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True)
    empty.mkdir()

    def grokjax(*arguments):
        environment = os.environ | {"PYTHONPATH": str(site)}
        command = [sys.executable, "-m", "grokjax", *arguments]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import grokjax, grokjax.experiments; print(grokjax.__file__, *grokjax.experiments.__path__)"
    environment = os.environ | {"PYTHONPATH": str(site)}
    said = subprocess.run([sys.executable, "-c", where], cwd=empty, env=environment, capture_output=True, text=True)
    assert all(place.startswith(str(site)) for place in said.stdout.split())
    assert "PKU-P8 reproduced" in grokjax("list")  # by verdicts that ship: results and judges are those of the clone
    grokjax("run", "demo/quickstart", *TINY_RUN)
    assert "figures/demo/quickstart-quick.png" in grokjax("draw", "demo/quickstart")
    assert "pku: of 20 claims 20 not run" in grokjax("report", "--folder=results")
    made = {path.relative_to(empty).as_posix() for path in empty.rglob("*.*") if path.is_file()}
    assert {"report/REPORT.md", "report/studies/pku.md", "results/demo/quickstart-quick.npz"} <= made


@pytest.mark.parametrize("wrong", ["--lanes=0", "--lanes=1,,2", "--lanes=x", "--compile_for=gpu"])
def test_what_the_benchmark_cannot_read_is_one_sentence(monkeypatch, capsys, wrong):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--preset=own", *TINY[:4], wrong])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
