"""Experiments as values: what a preset trains, and what flags change of it."""

import dataclasses
import sys

import pytest
import xarray as xr
from tiny import tiny

import grokjax as gj
from grokjax.cli import run
from grokjax.study import Experiment, Preset, find
from grokjax.sweeps.axes import Arm
from grokjax.sweeps.grid import make_grid

ZIPPED = Preset(
    tiny(),
    axes={"train_fraction": [0.3, 0.5, 0.7], "epochs": [50, 5, 7], "modulus": [5, 7], "seed": range(3)},
    zipped=(("train_fraction", "epochs"),),
)
VARIED = Preset(
    tiny(),
    arms=(
        Arm("one", "The first", dict(modulus=5, learning_rate=1.0)),
        Arm("two", "The second", dict(modulus=7, learning_rate=2.0)),
        Arm("three", "The third", dict(modulus=11, batch_size=2)),
    ),
)


def runs_of(keywords):
    """The configurations of the runs that keywords of a sweep make."""
    keywords = dict(keywords)
    return [run.config for run in make_grid(keywords.pop("config"), keywords, keywords.pop("zip")).runs()]


def test_a_preset_is_a_grid_and_another_size_of_it_is_too():
    preset = Preset(tiny(), axes={"weight_decay": [0.0, 1.0], "seed": range(2)})
    assert len(runs_of(preset.keywords())) == 4
    larger = preset.but(size="larger", seed=range(3), steps=70, modulus=[11, 13])
    configs = runs_of(larger.keywords())
    assert len(configs) == 12 and {config.steps for config in configs} == {70}
    single = larger.but(size="one decay", weight_decay=0.5)
    assert {config.optimizer.weight_decay for config in runs_of(single.keywords())} == {0.5}


def test_a_setting_that_only_an_arm_has_is_given_to_all_arms():
    arms = [Arm(str(k), str(k), dict(model="resnet", num_layers=k)) for k in (1, 2)]
    preset = Preset(tiny(), arms=tuple(arms)).but(size="unshared", shared=False)
    assert [config.model.shared for config in runs_of(preset.keywords())] == [False, False]


def test_a_value_overrides_a_preset_and_seeds_replace_each_other():
    assert ZIPPED.overridden(dict(seed=7))["seed"] == 7
    assert list(ZIPPED.overridden(dict(num_seeds=5))["seed"]) == [0, 1, 2, 3, 4]
    assert "epochs" not in ZIPPED.overridden(dict(steps=9))


def test_of_axes_that_a_preset_zips_values_of_one_choose_those_of_the_others():
    new = ZIPPED.overridden(dict(train_fraction=[0.3, 0.7]))
    assert (new["train_fraction"], new["epochs"], new["zip"]) == ([0.3, 0.7], [50, 7], (("train_fraction", "epochs"),))
    new = ZIPPED.overridden(dict(train_fraction=0.5))
    assert (new["train_fraction"], new["epochs"], new["zip"]) == (0.5, [5], ())
    new = ZIPPED.overridden(dict(steps=9))
    assert new["steps"] == 9 and new["train_fraction"] == [0.3, 0.5, 0.7] and new["zip"] == ()
    with pytest.raises(gj.ConfigError, match="train_fraction=0.4 has no epochs in this preset, .*Give --epochs too"):
        ZIPPED.overridden(dict(train_fraction=0.4))
    repeated = Preset(tiny(), dict(ZIPPED.axes) | dict(epochs=[50, 5, 5]), zipped=ZIPPED.zipped)
    with pytest.raises(gj.ConfigError, match="epochs=50,5,5 go along train_fraction=0.3,0.5,0.7, which is replaced"):
        repeated.overridden(dict(train_rows=9))
    assert repeated.overridden(dict(train_rows=9, epochs=3))["epochs"] == 3
    new = ZIPPED.overridden(dict(train_fraction=0.4, epochs=3))
    assert (new["train_fraction"], new["epochs"], new["zip"]) == (0.4, 3, ())


def test_a_value_that_a_preset_zips_with_several_chooses_all_of_them():
    repeated = Preset(tiny(), dict(ZIPPED.axes) | dict(epochs=[50, 5, 5]), zipped=ZIPPED.zipped)
    new = repeated.overridden(dict(epochs=5))
    assert (new["train_fraction"], new["epochs"], new["zip"]) == ([0.5, 0.7], [5, 5], (("train_fraction", "epochs"),))


def test_a_value_replaces_what_arms_set_and_their_ids_say_so():
    new = VARIED.overridden(dict(modulus=13))
    assert [(arm.id, arm.label, arm.settings) for arm in new["variant"]] == [
        ("one (modulus=13)", "The first (modulus=13)", dict(learning_rate=1.0)),
        ("two (modulus=13)", "The second (modulus=13)", dict(learning_rate=2.0)),
        ("three (modulus=13)", "The third (modulus=13)", dict(batch_size=2)),
    ]
    new = VARIED.overridden(dict(modulus=[5, 7], learning_rate=3.0, variant=["three"]))
    assert new["modulus"] == [5, 7] and [arm.id for arm in new["variant"]] == ["three (modulus=5,7)"]
    with pytest.raises(gj.ConfigError, match="replace all that the variant 'one' sets"):
        VARIED.overridden(dict(modulus=13, learning_rate=3.0))
    assert "variant" not in VARIED.overridden(dict(modulus=13, learning_rate=3.0, variant=["one", "two"]))
    assert [arm.id for arm in VARIED.overridden(dict(variant=["three", "one"]))["variant"]] == ["three", "one"]
    mine = {"mine": dict(modulus=3)}
    assert VARIED.overridden(dict(variant=mine))["variant"] == mine
    with pytest.raises(gj.ConfigError, match="There is no variant 'on'. Did you mean one"):
        VARIED.overridden(dict(variant=["on"]))


def test_arms_have_an_id_for_code_and_a_label_for_people():
    (axis,) = make_grid(tiny(), dict(variant=VARIED.arms)).axes
    assert axis.names[:2] == ("variant", "variant_label") and axis.labels[1] == ("The first", "The second", "The third")
    with pytest.raises(gj.ConfigError, match="two arms of one id"):
        make_grid(tiny(), dict(variant=[VARIED.arms[0], VARIED.arms[0]]))


def test_an_experiment_is_found_by_its_name_and_has_a_title():
    experiment = find("pku/width")
    assert isinstance(experiment, Experiment) and experiment.study == "pku" and experiment.title.startswith("Grokking")
    with pytest.raises(gj.ConfigError, match="There is no experiment 'pku/widht'. Did you mean pku/width"):
        find("pku/widht")


def test_a_preset_that_bisects_an_axis_trains_the_probes_alone_and_measures_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny(steps=20, eval_at="every:20")
    preset = Preset(config, axes={"train_fraction": [0.3, 0.4, 0.5, 0.6, 0.7], "seed": [0, 1]}, search="train_fraction")
    other = preset.but(size="one seed", seed=[0])
    experiment = Experiment("demo/least", "Doc.", {"quick": preset}, lambda runs: xr.Dataset({"last": runs[-1].step}))

    def call(*arguments):
        run(experiment, ["least", "--num_devices=1", "--out=least.npz", *arguments])
        return capsys.readouterr().out

    assert other.search == "train_fraction"
    assert "at most 3 of 5 values on each line" in call("--dry_run") and not list(tmp_path.glob("*.npz"))
    call()
    grid = gj.results.with_measures("least.npz")
    # None of 20 steps generalises, so that each seed is led to the largest fraction.
    assert (grid["status"] != "not run").sum("seed").values.tolist() == [0, 0, 2, 2, 2]
    assert grid["last"].notnull().sum() == 6
    call("--overwrite", "--num_seeds=1")
    assert (gj.load("least.npz")["status"] != "not run").values.tolist() == [[False], [False], [True], [True], [True]]
    call("--overwrite", "--num_seeds=1", "--train_fraction=0.5")
    assert gj.load("least.npz")["status"].values.tolist() == ["finished"]
    with pytest.raises(SystemExit):
        call("--keep_checkpoints")
    assert "keep_checkpoints has no use where train_fraction is bisected" in capsys.readouterr().err


def test_a_module_without_an_experiment_and_one_of_another_name_are_refused(monkeypatch):
    with pytest.raises(gj.ConfigError, match="experiments/pku/common.py has no EXPERIMENT"):
        find("pku/common")
    with pytest.raises(
        gj.ConfigError, match="There is no experiment 'pku/widht'. Did you mean .* `grokjax list` lists"
    ):
        find("pku/widht")
    experiment = find("pku/width")
    module = sys.modules["grokjax.experiments.pku.width"]
    monkeypatch.setattr(module, "EXPERIMENT", dataclasses.replace(experiment, name="pku/other"))
    with pytest.raises(gj.ConfigError, match="experiments/pku/width.py calls its experiment 'pku/other'"):
        find("pku/width")
