"""A grid in an experiment tracker is read back by the tracker's own reader, and says what the grid says."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

import grokjax as gj
from grokjax.exporting import TRACKERS, tracked

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "reference" / "pku" / "optimizers-quick.npz"  # ten variants, evaluated at other steps each


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """The exported result: its folder and the names of its runs."""
    folder = tmp_path_factory.mktemp("board")
    return folder, gj.export(RESULT, "tensorboard", folder)


def read(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def test_tensorboard_reads_every_curve_and_number_of_every_run(board):
    folder, names = board
    grid = gj.load(RESULT, fill=None)
    assert len(names) == grid["status"].size == len(list(folder.iterdir()))
    for name, variant in zip(names, grid["variant"].values, strict=True):
        run, events = grid.sel(variant=variant).squeeze(), read(folder / name)
        for curve in ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "weight_norm"):
            there = run[curve].dropna("step")
            assert [event.step for event in events.Scalars(curve)] == there["step"].values.tolist()
            assert np.array_equal(np.float32([event.value for event in events.Scalars(curve)]), there.values)
        for number in ("steps_to_train_99", "steps_to_val_99", "final_val_accuracy", "num_train"):
            (event,) = events.Scalars(f"summary/{number}")
            assert event.value == np.float32(run[number].item()) and event.step == run["last_step"].item()
    assert math.isinf(read(folder / names[3]).Scalars("summary/steps_to_val_99")[0].value), "never is an infinity"


def test_tensorboard_reads_the_settings_of_a_run(board):
    folder, names = board
    content = read(folder / names[3]).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = metadata.parse_session_start_info_plugin_data(content).hparams
    assert settings["optimizer"].string_value == "adam" and settings["learning_rate"].number_value == 1e-4
    assert settings["modulus"].number_value == 31 and settings["variant"].string_value == names[3].partition("=")[2]
    assert settings["dropout"].number_value == 0.1 and settings["centred"].bool_value is False
    assert settings["run_id"].string_value == gj.load(RESULT)["run_id"].values.ravel()[3]


def test_a_part_of_a_grid_has_the_settings_that_its_coordinates_tell():
    whole, some = gj.load(RESULT), gj.load(RESULT).isel(variant=[3, 5])
    for one, other in zip(tracked(some), [tracked(whole)[3], tracked(whole)[5]], strict=True):
        assert set(one.settings.items()) <= set(other.settings.items()) and one.settings["learning_rate"]
        assert one.numbers == other.numbers


def test_a_tracker_that_is_not_there_is_refused_with_what_installs_it(tmp_path, monkeypatch):
    for module, extra in (("tensorboardX", "tensorboard"), ("wandb", "wandb"), ("trackio", "trackio")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(gj.ConfigError, match=f"needs the package {module}, .* Try pip install 'grokjax.{extra}.'"):
            gj.export(RESULT, extra, tmp_path / "new")
        assert not (tmp_path / "new").exists()
    extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    assert all(f"\n{extra} = [" in extras for extra in TRACKERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((RESULT, "tensorbord", "new"), "tracker=tensorbord is not known. Did you mean tensorboard?"),
        (("no.npz", "tensorboard", "new"), "no.npz"),
        ((gj.load(RESULT)[["val_loss"]], "tensorboard", "new"), "This grid has no status"),
        ((gj.load(RESULT).drop_vars("last_step"), "tensorboard", "new"), "This grid has no last_step"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((gj.ConfigError, gj.ResultError)) as error:
        gj.export(*arguments)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_earlier_export_is_not_written_over(board):
    folder, names = board
    before = sorted(folder.rglob("*"))
    with pytest.raises(gj.ResultError, match="of an earlier export. Try another folder"):
        gj.export(RESULT, "tensorboard", folder)
    assert sorted(folder.rglob("*")) == before
