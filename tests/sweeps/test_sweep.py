"""The sweep as its users call it: axes, results, parameters, interruption, what a run may turn into."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import DECODER, run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.config import evaluated_steps
from grokjax.sweeps import devices, engine, forecast, progress
from grokjax.sweeps.grid import make_grid


def test_four_flags_with_several_values_give_a_file_with_four_axes(tmp_path):
    out = tmp_path / "four.npz"
    grid = train(
        out=out, learning_rate=[1e-3, 3e-3], weight_decay=[0.0, 1.0], train_fraction=[0.4, 0.6], seed=range(2), steps=20
    )
    with np.load(out, allow_pickle=False) as file:
        assert file["val_accuracy"].shape == (2, 2, 2, 2, 2)
        assert file["learning_rate"].tolist() == [1e-3, 3e-3] and file["seed"].tolist() == [0, 1]
        assert file["step"].tolist() == [0, 20]
        meta = json.loads(str(file["meta"]))
    assert meta["schema"] == 2
    assert meta["dims"]["val_accuracy"] == ["learning_rate", "weight_decay", "train_fraction", "seed", "step"]
    assert np.array(meta["seeds"]["split"]).shape == (2, 2, 2, 2) and set(meta["seeds"]) == {
        "split",
        "init",
        "batch",
        "dropout",
        "label",
        "noise",
    }
    assert meta["config"]["modulus"] == 11 and meta["config"]["b2"] == 0.98
    for name in ("versions", "commit", "device", "precision", "lanes", "wall_seconds", "run_steps", "params"):
        assert name in meta
    assert meta["run_steps"] == 16 * 20
    assert gj.load(out).identical(grid)


def test_zipped_axes_are_one_dimension_with_two_coordinates():
    grid = train(optimizer=["adamw", "sgd"], learning_rate=[1e-3, 1e-1], zip=[["optimizer", "learning_rate"]], steps=20)
    assert grid.status.dims == ("optimizer",)
    assert grid.learning_rate.dims == ("optimizer",) and grid.learning_rate.values.tolist() == [1e-3, 1e-1]
    assert grid.optimizer.values.tolist() == ["adamw", "sgd"]


def test_an_axis_can_be_a_labelled_list_of_configurations():
    arms = {"Adam": dict(optimizer="adam", learning_rate=1e-3), "SGD": dict(optimizer="sgd", weight_decay=0.1)}
    grid = train(arm=arms, seed=range(2), steps=20)
    assert grid.status.dims == ("arm", "seed") and grid.arm.values.tolist() == ["Adam", "SGD"]
    alone = train(optimizer="adam", learning_rate=1e-3, seed=1, steps=20)
    assert np.array_equal(grid.val_loss.sel(arm="Adam", seed=1), alone.val_loss)


def test_the_final_parameters_of_a_run_give_its_final_loss(tmp_path):
    out = tmp_path / "grid.npz"
    grid = train(out=out, seed=range(2), train_fraction=[0.4, 0.6])
    params = gj.params(out, seed=1, train_fraction=0.6)
    config = tiny(seed=1, train_fraction=0.6)
    table = config.task.table()
    model = gj.models.fitted(config.model, table)
    logits = model.apply({"params": params}, jnp.asarray(table.inputs))
    loss = np.asarray(gj.losses.cross_entropy(logits, jnp.asarray(table.labels)))[:, 0]
    run = grid.sel(seed=1, train_fraction=0.6)
    share = int(run.num_train) / len(loss)
    expected = share * float(run.train_loss[-1]) + (1 - share) * float(run.val_loss[-1])
    np.testing.assert_allclose(loss.mean(), expected, rtol=1e-5)


def test_a_diverging_run_is_recorded_and_leaves_its_neighbours_alone():
    grid = train(optimizer="sgd", learning_rate=[0.1, 1e30], seed=range(2), steps=60)
    assert (grid.status.sel(learning_rate=1e30) == "diverged").all()
    assert (grid.last_step.sel(learning_rate=1e30) < 60).all()
    alone = train(optimizer="sgd", learning_rate=0.1, seed=1, steps=60)
    assert np.array_equal(grid.val_loss.sel(learning_rate=0.1, seed=1), alone.val_loss)


def test_log_evaluation_gives_the_same_steps_to_all_runs_of_one_budget():
    grid = train(eval_at="log:12", steps=300, seed=range(2))
    assert grid.step.values.tolist() == evaluated_steps("log:12", 300).tolist()
    assert np.isfinite(grid.val_loss).all()


def test_a_dry_run_tells_what_is_needed_and_writes_nothing(tmp_path, capsys):
    assert train(out=tmp_path / "a.npz", seed=range(3), train_fraction=[0.4, 0.6], dry_run=True) is None
    told = capsys.readouterr().out
    assert "seed 3 x train_fraction 2 = 6 runs, 6 to train" in told
    for word in ("programs    1", "memory", "arithmetic", "time", "run-steps   360"):
        assert word in told
    assert not list(tmp_path.iterdir())


def test_a_forecast_knows_the_memory_that_a_state_takes():
    grid = make_grid(tiny(DECODER), dict(seed=range(2)))
    runs = grid.runs()
    told = forecast.make(grid, runs, engine.make_groups(runs), devices.local_devices(), None)
    (need,) = told.needs
    parameters = 2 * 12 * 16 + 4 * 16 * 16 + 2 * 16 * 64 + 4 * 16
    assert need.state == 4 * (3 * parameters + 2 * 121 + 1 + 2)  # weights and two moments, order, labels, step, counts


def test_a_sweep_holds_no_more_memory_than_its_forecast_says():
    grid = make_grid(tiny(steps=20), dict(seed=range(3), width=32))
    groups, where = engine.make_groups(grid.runs()), devices.local_devices(1)

    def held():
        return sum(array.nbytes for array in jax.live_arrays())

    (told,) = forecast.make(grid, grid.runs(), groups, where, None).needs
    before, most = held(), []

    class Watching(engine.Observer):
        def ended(self, live, params):
            most.append(held() - before)

    engine.train(groups, where, None, Watching(), threading.Event(), {})
    assert len(most) == 3 and told.table + told.state <= min(most) <= max(most) <= told.memory


INTERRUPTED = """
import sys
from grokjax.cli.training import sweep_command
import grokjax.sweeps
grokjax.sweeps.devices.cores = lambda: 2  # also where there is one: two threads share it
sweep_command(["sweep", "--model=mlp", "--modulus=11", "--num_layers=1", "--width=16", "--batch_size=32",
    "--seed=0,1,2", "--steps=15000,200,100", "--zip=seed,steps", "--eval_at=every:100", "--num_devices=2",
    "--out=" + sys.argv[1]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_keeps_what_is_done_and_the_same_command_continues(tmp_path, number):
    out = tmp_path / "a.npz"
    command = [sys.executable, "-c", INTERRUPTED, str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 120
        while len(list(tmp_path.glob("a.params/*.npz"))) < 2 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == 128 + number and "Traceback" not in told
    assert f"2 of 3 runs are saved in {out}, those under way beside it; the same command continues" in told
    kept = gj.load(out)
    assert kept.status.values.tolist() == ["under way", "finished", "finished"]
    if number == signal.SIGTERM:
        return  # it is kept alike, and is continued alike
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "never" in done.stdout
    whole = gj.load(out)
    assert (whole.status == "finished").all() and int(kept.last_step[0]) > 0
    assert run_steps(out) == 15000 - int(kept.last_step[0])
    assert np.array_equal(whole.val_loss[1:].sel(step=slice(0, 100)), kept.val_loss[1:].sel(step=slice(0, 100)))


def test_nothing_of_ours_imports_jax_to_load_and_draw(tmp_path):
    out = tmp_path / "grid.npz"
    train(out=out, seed=range(2), steps=20)
    code = (
        "import sys, grokjax as gj; g = gj.load(sys.argv[1]); gj.plot.curves(g); gj.tidy(g); "
        "gj.params(sys.argv[1], seed=1); sys.exit('jax' in sys.modules)"
    )
    environment = os.environ | {"MPLBACKEND": "Agg"}
    assert subprocess.run([sys.executable, "-c", code, str(out)], env=environment).returncode == 0


def test_epochs_are_a_budget_of_each_runs_own_steps():
    grid = train(tiny(eval_at="every:5", epochs=4), train_fraction=[0.3, 0.6])
    # 36 and 72 of 121 rows in batches of 32: 2 and 3 steps an epoch.
    assert grid.last_step.values.tolist() == [8, 12]
    by_steps = train(tiny(eval_at="every:5", steps=8), train_fraction=[0.3])
    assert str(by_steps.run_id.values[0]) == str(grid.run_id.values[0])  # a budget told otherwise is the same run
    assert same_bits(grid.isel(train_fraction=0, step=slice(0, 3)), by_steps.isel(train_fraction=0))


def test_what_all_variants_set_is_a_coordinate_along_them():
    arms = {"a": dict(learning_rate=1e-3, width=8), "b": dict(learning_rate=2e-3, width=16, batch_size=16)}
    grid = train(tiny(steps=2, eval_at="every:2"), variant=arms)
    assert grid.variant.values.tolist() == ["a", "b"] and grid.width.dims == ("variant",)
    assert grid.width.values.tolist() == [8, 16] and grid.learning_rate.values.tolist() == [1e-3, 2e-3]
    assert "batch_size" not in grid.coords


def test_zipped_values_may_repeat_if_not_together():
    grid = train(
        tiny(steps=2, eval_at="every:2"), zip=[["train_fraction", "epochs"]], train_fraction=[0.3, 0.5], epochs=[2, 2]
    )
    assert grid.epochs.values.tolist() == [2, 2] and grid.sizes["train_fraction"] == 2


def test_the_rounding_in_which_lanes_differ_grows_as_they_train():
    """As the README says: lanes agree with runs alone to rounding early, and not for long."""
    optimizer = gj.optimizers.AdamW(learning_rate=3e-2)  # at which training is chaotic
    config = dataclasses.replace(tiny(DECODER, steps=200, eval_at="every:20", batch_size=48), optimizer=optimizer)
    single, many = (train(config, seed=range(2), lanes=lanes).train_loss for lanes in (1, 2))
    apart = abs(many / single - 1).max("seed")
    assert apart.sel(step=20) < 1e-4 and apart.sel(step=200) > 1e-3


def test_the_time_left_is_that_of_the_steps_without_compiling(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    meter = progress.Meter([1000, 1000], shows=False)
    for at, steps in ((100.0, 1), (110.0, 99)):  # a first step after 100 s, then ten a second
        now[0] = at
        meter.advanced(steps)
        assert ("left at most" in meter.line()) == (at > 100)
    assert "3 min 12 s left at most" in meter.line() and meter.line().startswith("0/2 runs, 1 run-steps/s")
