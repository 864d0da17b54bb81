"""Every preset of every experiment is a sweep that can be run."""

import runpy
import sys
from pathlib import Path

import pytest

from grokjax.sweeps import flags
from grokjax.sweeps.grid import make_grid
from grokjax.training import Program, RunValues

ROOT = Path(__file__).resolve().parents[1]
NO_SWEEPS = {"benchmark", "torch_models", "torch_peer", "torch_worker", "pku", "sweep", "minimum_norm"}
"""Scripts that are no presets of a sweep."""


def presets_of(script):
    """The keywords that a script calls `grokjax.sweeps.flags.main` with."""
    told = {}
    kept = flags.main
    flags.main = lambda **keywords: told.update(keywords)
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        flags.main = kept
        sys.path.remove(str(script.parent))
    return told


SCRIPTS = {path.stem: path for path in sorted((ROOT / "experiments").glob("*.py")) if path.stem not in NO_SWEEPS}
TOLD = {name: presets_of(path) for name, path in SCRIPTS.items()}
PRESETS = [pytest.param(name, preset, id=f"{name}-{preset}") for name in TOLD for preset in TOLD[name]["presets"]]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_a_grid_of_runs_that_fit_their_tables(name, preset):
    told = TOLD[name]
    keywords = flags.parse([name, f"--preset={preset}"], told["presets"], told["out"])
    config, zipped, out = keywords.pop("config"), keywords.pop("zip", ()), keywords.pop("out")
    runs = make_grid(config, keywords, zipped).runs()
    tables = {run.config.task: run.config.task.table() for run in runs}
    for run in runs:
        Program.of(run.config, tables[run.config.task])
        RunValues.of(run.config)
    assert Path(out).stem.startswith(name) and len({run.run_id for run in runs}) == len(runs)


@pytest.mark.parametrize("name", TOLD)
def test_a_script_opens_with_its_record(name):
    doc = TOLD[name]["doc"]
    assert "Source: " in doc and f"python experiments/{name}.py" in doc and f"python figures/{name}.py" in doc
    presets = TOLD[name]["presets"]
    assert len(presets) == 1 or all(f"--preset={preset}" in doc for preset in presets)
