"""What was trained is not lost: interrupted sweeps go on to the bit, damage is told, one process writes at a time."""

import dataclasses
import errno
import itertools
import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from soak import soak
from tiny import DECODER, run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax import results
from grokjax.sweeps import checkpoints, lanes, outputs, request
from grokjax.sweeps.checkpoints import Checkpoints
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.lanes import Bank, Live, SavedRuns
from grokjax.sweeps.lock import owned
from grokjax.sweeps.progress import Meter

LONG = dict(seed=range(3), steps=200)


def interrupted_after(chunks, monkeypatch, config=None, number=signal.SIGINT, begin=train, **keywords):
    """Trains until so many chunks have begun and a signal comes, by default Ctrl-C; what the sweep then says."""
    begun, advance = itertools.count(1), Bank.advance

    def counted(bank):
        if next(begun) == chunks:
            listening = signal.getsignal(number)
            signal.raise_signal(number)
            while signal.getsignal(number) == listening:  # until it is heard
                time.sleep(0.01)
        return advance(bank)

    with monkeypatch.context() as patch:
        patch.setattr(Bank, "advance", counted)
        with pytest.raises(gj.Interrupted) as told:
            begin(config, **keywords)
    assert told.value.number == number
    return str(told.value)


@pytest.fixture(scope="module")
def undisturbed():
    return train(**LONG)


@pytest.mark.parametrize("devices", [1, 2])
def test_an_interrupted_sweep_goes_on_to_the_bit_and_loses_no_step(
    tmp_path, monkeypatch, undisturbed, devices, two_places
):
    out = tmp_path / "a.npz"
    said = interrupted_after(15, monkeypatch, out=out, num_devices=devices, **LONG)
    assert f"of 3 runs are saved in {out}, those under way beside it; the same command continues" in said
    part, first = gj.load(out), run_steps(out)
    assert 0 < first < 600 and "under way" in part.status
    whole = train(out=out, **LONG)
    assert first + run_steps(out) == 600 and (whole.status == "finished").all()
    meta = results.read(out)[1]
    assert meta["run_steps"] == 600 and meta["wall_seconds"] == sum(one["wall_seconds"] for one in meta["trained_by"])
    assert same_bits(whole, undisturbed) and sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "a.params"]


def test_lanes_that_advance_together_go_on_where_they_were(tmp_path, monkeypatch, undisturbed):
    out, together = tmp_path / "a.npz", dict(lanes=3, **LONG)
    interrupted_after(4, monkeypatch, out=out, **together)
    assert gj.load(out).status.values.tolist() == ["under way"] * 3
    whole = train(out=out, **together)
    assert run_steps(out) < 600
    np.testing.assert_allclose(whole.train_loss, undisturbed.train_loss, rtol=1e-4)


def test_runs_that_wait_to_go_on_stay_in_the_checkpoints(tmp_path, monkeypatch, undisturbed, two_places):
    out, steps = tmp_path / "a.npz", []
    for devices, chunks in ((2, 6), (1, 2), (1, 2)):
        interrupted_after(chunks, monkeypatch, out=out, num_devices=devices, **LONG)
        steps.append(run_steps(out))
    whole = train(out=out, **LONG)
    assert sum(steps) + run_steps(out) == 600
    assert same_bits(whole, undisturbed)


STATES = {
    "running averages and means": dict(
        model=gj.models.Decoder(num_layers=1, width=16, num_heads=2, norm="pre", norm_kind="batch"),
        metrics=("gradient_norm", "tensor_norms"),
    ),
    "initial parameters, random labels, dropout": dict(
        model=DECODER, task=gj.tasks.modular("random", 11), centred=True, dropout=0.1, outliers=3
    ),
    "a window of gradients": dict(optimizer=gj.optimizers.AdamW(grokfast="ma", gradient_noise=0.1)),
    "no optimizer state": dict(optimizer=gj.optimizers.Sgd()),
    "real targets": dict(task=gj.tasks.Teacher(features=3, examples=70), loss="mse", outliers=2),
}


@pytest.mark.parametrize("kind", STATES)
def test_all_that_a_run_holds_is_kept(tmp_path, monkeypatch, kind):
    config = dataclasses.replace(tiny(steps=60), **STATES[kind])
    calm, out = train(config), tmp_path / "a.npz"
    interrupted_after(2, monkeypatch, config, out=out)
    assert run_steps(out) < 60
    assert train(config, out=out).drop_attrs().identical(calm.drop_attrs())


def test_checkpoints_are_taken_while_training_goes_on_and_two_are_kept(tmp_path, capsys, monkeypatch, two_places):
    monkeypatch.setattr(checkpoints, "COSTLIEST", 1e9)
    out, folder, advance, deadline = tmp_path / "a.npz", tmp_path / "a.checkpoints", Bank.advance, time.monotonic() + 60

    def numbers():
        return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())

    def slowly(bank):
        """Stands still after the first steps until a fourth checkpoint is there."""
        if bank.lanes[0].step and max(numbers(), default=0) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
            return 0, []
        return advance(bank)

    monkeypatch.setattr(Bank, "advance", slowly)
    grid = train(out=out, seed=range(2), checkpoint_minutes=1e-4, keep_checkpoints=True, num_devices=2)
    assert len(numbers()) == 2 and numbers()[1] >= 4, "older ones are removed"
    assert (grid.status == "finished").all() and capsys.readouterr().err == ""
    again = train(out=out, seed=range(2))
    assert again.identical(grid)


def test_where_checkpoints_are_slow_they_are_rare(tmp_path):
    taken = []

    def write(lives):
        taken.append(lives)
        time.sleep(0.02)

    keeper = checkpoints.Keeper(Checkpoints(tmp_path / "a"), 0.01, {}, write, print)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        keeper.tick()
    assert 1 <= len(taken) <= 2, "a write of 20 ms is worth a second"


def test_a_sweep_that_was_given_more_to_do_goes_on_too(tmp_path, monkeypatch, undisturbed):
    out = tmp_path / "a.npz"
    interrupted_after(3, monkeypatch, out=out, seed=[1], steps=200)
    whole = train(out=out, **LONG)
    assert run_steps(out) < 600 and same_bits(whole, undisturbed)


def test_a_sweep_that_is_not_asked_for_is_not_lost(tmp_path, monkeypatch):
    out = tmp_path / "a.npz"
    interrupted_after(3, monkeypatch, out=out, **LONG)
    with pytest.raises(gj.ConfigError, match=r"holds another sweep: learning_rate is 0.003 there and 0.1 here"):
        train(out=out, learning_rate=0.1, **LONG)
    out.unlink()
    with pytest.raises(gj.ConfigError, match="holds 1 runs under way that are not asked for"):
        train(out=out, learning_rate=0.1, **LONG)
    assert (tmp_path / "a.checkpoints").is_dir()
    train(out=out, learning_rate=0.1, steps=20, overwrite=True)
    assert not (tmp_path / "a.checkpoints").exists()


# ---------------------------------------------------------------------------------------------------------- damage


RUNS = make_grid(tiny(), dict(seed=range(3))).runs()


def held(value):
    """Three runs under way whose numbers all tell `value`."""
    rows = [np.full((2, 5), value + i, np.float32) for i in range(3)]
    lives = [
        Live(run, Live.of(run).schedule, 20 + i, ("a", "b", "c", "d", "e"), list(rows[i])) for i, run in enumerate(RUNS)
    ]
    state = {"a": np.full((3, 4, 2), value, np.float32), "b": np.arange(3, dtype=np.int32), "c": np.zeros((3, 0))}
    return SavedRuns(lives, state)


def same_runs(found, value):
    asked = held(value)
    return set(found) == {run.run_id for run in RUNS} and all(
        found[run.run_id].lives[0].step == 20 + i
        and np.array_equal(found[run.run_id].lives[0].metrics, asked.lives[i].metrics)
        and all(np.array_equal(leaf, asked.state[path][i : i + 1]) for path, leaf in found[run.run_id].state.items())
        for i, run in enumerate(RUNS)
    )


@pytest.fixture
def two(tmp_path):
    """A folder with two checkpoints, the values of the older being 1 and of the newer 2."""
    written = Checkpoints(tmp_path / "a.checkpoints")
    for value in (1, 2):
        written.save([held(value)])
        written.finish()
    return written.folder


def read(folder, said=lambda text: None):
    return Checkpoints(folder).read(RUNS, said)


def test_a_checkpoint_gives_back_what_it_was_given(two):
    assert same_runs(read(two), 2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_byte_is_found_and_never_gives_other_data(two, data):
    files = sorted(path for path in (two / "2").rglob("*") if path.is_file() and path.stat().st_size)
    file = data.draw(st.sampled_from(files))
    place = data.draw(st.integers(0, file.stat().st_size - 1))
    whole = file.read_bytes()
    file.write_bytes(whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    try:
        said = []
        found = read(two, said.append)
        assert same_runs(found, 2) or (same_runs(found, 1) and len(said) == 1)
    except gj.ConfigError as error:
        assert "checkpoint" in str(error)
    finally:
        file.write_bytes(whole)


def test_of_two_checkpoints_the_older_serves_where_the_newer_is_cut_short(two):
    said = []
    for path in (two / "2").rglob("*"):
        if path.is_file():
            os.truncate(path, path.stat().st_size // 2)
    assert same_runs(read(two, said.append), 1)
    assert len(said) == 1 and said[0].startswith(f"The checkpoint {two / '2'} cannot be read (")


def test_where_none_can_be_read_nothing_begins_and_nothing_is_removed(two):
    for path in two.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(gj.ConfigError, match=r"cannot be read .*, nor can another. Remove .* to start the runs"):
        read(two)
    assert (two / "1").is_dir()


def test_a_checkpoint_of_another_version_or_schema_is_refused(two, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "versions", lambda: {"grokjax": "9.9"})
        with pytest.raises(gj.ConfigError, match=r"written with grokjax 0.1.0 \(9.9 here\)"):
            read(two)
    monkeypatch.setattr(checkpoints, "SCHEMA", 7)
    with pytest.raises(
        gj.ConfigError, match="holds a checkpoint of schema 1, and this version of grokjax reads schema 7"
    ):
        read(two)


def test_states_of_another_form_are_refused(two, tmp_path):
    arrays, meta = gj.results.read(_result(tmp_path))
    arrays["status"][:] = "not run"
    gj.results.write(tmp_path / "a.npz", arrays, meta)
    with pytest.raises(gj.ConfigError, match="The checkpoint holds states of another form"):
        train(out=tmp_path / "a.npz", seed=range(3))
    assert two.is_dir()


def _result(tmp_path):
    train(out=tmp_path / "b.npz", seed=range(3), steps=60)
    return (tmp_path / "b.npz").rename(tmp_path / "a.npz")


# ------------------------------------------------------------------------------------------------- full disks, locks


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_at_a_checkpoint_is_told_and_training_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Checkpoints, "save", no_space)
    grid = train(out=tmp_path / "a.npz", steps=3000, checkpoint_minutes=1e-4)
    assert (grid.status == "finished").all()
    said = set(filter(None, capsys.readouterr().err.splitlines()))
    assert said == {
        "No checkpoint could be written (OSError: [Errno 28] No space left on device). What was written before is "
        "untouched."
    }


def test_a_disk_that_is_full_at_the_end_loses_no_more_than_since_the_last_save(tmp_path, monkeypatch, undisturbed):
    out = tmp_path / "a.npz"
    interrupted_after(15, monkeypatch, out=out, **LONG)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_try_to_write", lambda file: None)  # it is full only later
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(
            gj.ResultError, match="cannot be written: No space left on device; what was there before is"
        ):
            train(out=out, **LONG)
    assert before[out] == out.read_bytes()
    assert same_bits(train(out=out, **LONG), undisturbed)


def test_of_a_failed_checkpoint_nothing_more_is_printed_than_a_sentence(tmp_path, monkeypatch):
    passed_on = []
    monkeypatch.setattr(sys, "unraisablehook", passed_on.append)
    Checkpoints(tmp_path / "a.checkpoints").save([held(1)])

    def unraisable(error, source):
        return types.SimpleNamespace(exc_value=error, object=source, err_msg=None, exc_traceback=None)

    kept = [
        unraisable(RuntimeError("Event loop is closed"), print),
        unraisable(RuntimeError("another"), None),
        unraisable(ValueError("Event loop is closed"), None),
    ]
    for one in [unraisable(RuntimeError("Event loop is closed"), None), *kept]:
        sys.unraisablehook(one)
    assert passed_on == kept


def test_a_run_that_ended_but_could_not_be_written_is_not_trained_again(tmp_path, monkeypatch, undisturbed):
    out, write = tmp_path / "a.npz", results.write_params
    with monkeypatch.context() as patch:
        patch.setattr(results, "write_params", lambda *_, **__: no_space())
        with pytest.raises(OSError, match="No space left"):
            train(out=out, **LONG)
    assert gj.load(out).status.values.tolist() == ["under way", "not run", "not run"]
    again = []
    monkeypatch.setattr(results, "write_params", lambda *told, **named: again.append(told[1]) or write(*told, **named))
    whole = train(out=out, **LONG)
    assert run_steps(out) == 400 and len(again) == 3, "its parameters are written, and it is not trained"
    assert same_bits(whole, undisturbed)


@pytest.mark.parametrize("method", ["line", "_show"])
def test_a_fault_of_the_progress_shown_ends_no_training(tmp_path, monkeypatch, capsys, undisturbed, method):
    def broken(*_):
        raise RuntimeError("of the bar")

    monkeypatch.setattr(Meter, method, broken)
    grid = gj.sweep(tiny(), out=tmp_path / "a.npz", num_devices=1, **LONG)
    assert same_bits(grid, undisturbed) and run_steps(tmp_path / "a.npz") == 600
    said = capsys.readouterr().err
    assert said.count("Progress is no longer shown, for showing it failed (RuntimeError: of the bar)") == 1


def test_a_second_process_is_refused_and_a_lock_dies_with_its_owner(tmp_path):
    out = tmp_path / "a.npz"
    with (
        owned(out),
        pytest.raises(gj.ConfigError, match=rf"a.npz is being written by another process \({os.getpid()} on"),
    ):
        train(out=out)
    assert not list(tmp_path.iterdir())
    (tmp_path / ".a.npz.lock").write_text("12345 on elsewhere")  # whose owner was killed
    assert (train(out=out).status == "finished").all()
    with pytest.raises(RuntimeError, match="mine"), owned(out):
        raise RuntimeError("mine")
    with owned(out):
        pass


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path):
    (tmp_path / "a.params").mkdir()
    for left in (".a.npz.0123abcd.tmp", "a.params/.1234.npz.0123abcd.tmp"):
        (tmp_path / left).write_bytes(b"half")
    (tmp_path / ".b.npz.0123abcd.tmp").write_bytes(b"another's")
    train(out=tmp_path / "a.npz", steps=20)
    assert {path.name for path in tmp_path.rglob(".*")} == {".b.npz.0123abcd.tmp", ".grokjax"}


def test_a_killed_sweep_ends_as_one_that_was_not(tmp_path):
    found = soak(tmp_path, kills=3, steps=1200, longest=1.0, seed=1, interval=1.0)
    assert found["kills"] == 3 and found["differences"] == [] and found["leftovers"] == [] and found["refused"]
    assert found["ages"][0] >= 0, "the first life lasts until a checkpoint is there"


def test_ctrl_c_twice_ends_at_once_without_a_traceback(tmp_path):
    flags = ["--modulus=11", "--steps=1e8", "--batch_size=32", f"--out={tmp_path / 'a.npz'}"]
    # Tests may have been started in the background, where a shell has SIGINT ignored.
    hears = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{hears}; runpy.run_module('grokjax', run_name='__main__')", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 120
        while not (tmp_path / ".a.npz.lock").exists() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode in (-signal.SIGINT, 130) and "Traceback" not in told, told


# ------------------------------------------------------------------------------------- snapshots, divergence, peeking


def test_snapshots_are_the_parameters_at_their_steps_also_after_an_interruption(tmp_path, monkeypatch):
    out, calm = tmp_path / "a.npz", tmp_path / "calm.npz"
    steps = request.snapshot_steps("every:20", 200, 5)
    assert steps == (0, 20, 60, 100, 200)
    train(out=calm, snapshots=5, **LONG)
    interrupted_after(9, monkeypatch, out=out, snapshots=5, **LONG)
    train(out=out, snapshots=5, **LONG)
    for step in steps:
        ours, theirs = (gj.params(path, seed=1, step=step)["embedding"] for path in (out, calm))
        assert np.array_equal(ours, theirs)
        train(out=tmp_path / f"{step}.npz", seed=1, steps=max(step, 1)) if step else None
        if step:
            assert np.array_equal(gj.params(tmp_path / f"{step}.npz")["embedding"], ours)
    with pytest.raises(gj.ResultError, match="has no snapshot of run .* at step 7, only 0, 20, 60, 100. Try one"):
        gj.params(out, seed=1, step=7)


def test_snapshots_that_are_missing_are_trained_for(tmp_path):
    out = tmp_path / "a.npz"
    train(out=out, seed=range(2), steps=40)
    train(out=out, seed=range(2), steps=40, snapshots=2)
    assert run_steps(out) == 80 and len(list((tmp_path / "a.params").glob("*-0.npz"))) == 2
    next((tmp_path / "a.params").glob("*-0.npz")).unlink()
    train(out=out, seed=range(2), steps=40, snapshots=2)
    assert run_steps(out) == 40


@pytest.mark.parametrize("count", range(7))
def test_snapshots_are_at_most_as_many_as_asked_for_and_include_both_ends(count):
    for rule, steps in (("every:50", 1000), ("log:30", 777), ("every:7", 1)):
        found = request.snapshot_steps(rule, steps, count)
        assert len(found) <= count and sorted(set(found)) == list(found)
        assert set(found) <= set(gj.config.evaluated_steps(rule, steps).tolist())
        assert found[-1:] == (steps,)[: min(count, 1)] and (count < 2 or found[0] == 0)


def test_a_diverging_run_is_told_and_leaves_its_neighbours_bits(tmp_path):
    rates = [1e-2, 1e30, 1e-1]
    config = tiny(steps=100)
    grid = train(config, optimizer="sgd", learning_rate=rates, seed=range(2))
    calm = train(config, optimizer="sgd", learning_rate=[1e-2, 1e-1], seed=range(2))
    assert grid.status.values.tolist() == [["finished"] * 2, ["diverged"] * 2, ["finished"] * 2]
    assert (grid.last_step.values[1] == 20).all(), "the first evaluation at which the loss was no number"
    assert same_bits(grid.sel(learning_rate=[1e-2, 1e-1]), calm)
    many = train(config, optimizer="sgd", learning_rate=rates, seed=range(2), lanes=2)
    alone = train(config, optimizer="sgd", learning_rate=[1e-2, 1e-1], seed=range(2), lanes=2)
    assert same_bits(many.sel(learning_rate=[1e-2, 1e-1]), alone)


def test_what_is_known_of_a_sweep_that_goes_on(tmp_path, monkeypatch):
    out = tmp_path / "a.npz"
    with pytest.raises(gj.ResultError, match="There is no .* yet. A sweep writes it every --checkpoint_minutes"):
        gj.peek(out)
    interrupted_after(15, monkeypatch, out=out, **LONG)
    grid = gj.peek(out)
    assert grid.status.values.tolist() == ["finished", "under way", "not run"]
    last = int(grid.last_step[1])
    assert 0 < last < 200 and grid.val_loss[1].sel(step=slice(0, last)).notnull().all()
    assert grid.val_loss[1].sel(step=slice(last + 1, None)).isnull().all(), "nothing is said of what is yet to come"
    assert np.isnan(grid.steps_to_train_99[1:]).all() and np.isnan(grid.final_val_accuracy[1:]).all()
    assert gj.summary(grid, by=None)["runs"].item() == 1
    with pytest.raises(gj.ResultError, match="has not ended, so it has no final parameters"):
        gj.params(out, seed=1)


def test_dispatches_are_short_enough_to_look_in_whatever_the_interval(monkeypatch):
    steps, dispatch = [], Bank.dispatch

    def counted(bank, num_steps, *told):
        steps.append(num_steps)
        return dispatch(bank, num_steps, *told)

    monkeypatch.setattr(Bank, "dispatch", counted)
    monkeypatch.setattr(lanes, "LONGEST_SECONDS", 0.02)
    train(steps=2000, eval_at="every:2000")
    assert steps[:2] == [0, lanes.FIRST_STEPS] and max(steps) < 1900 and sum(steps) == 2000


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (
            dict(checkpoint_minutes=0),
            "checkpoint_minutes=0.0 is out of range: it must be greater than 0.0. The default is 5.0.",
        ),
        (dict(snapshots=-1), "snapshots=-1 is out of range: it must be at least 0. The default is 0."),
        (dict(snapshots=3), "snapshots=3 are kept beside the result, and there is no --out to write it to."),
    ],
)
def test_settings_that_make_no_sense_are_refused(flag, said):
    with pytest.raises(gj.ConfigError) as told:
        train(**flag)
    assert str(told.value) == said
