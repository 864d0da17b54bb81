"""What a sweep promises: a run's bits are its own, values do not recompile, finished runs are kept."""

import os
import subprocess
import sys

import numpy as np
import pytest
from tiny import DECODER, run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.analysis.crossings import stop_step
from grokjax.runs import METRICS
from grokjax.sweeps import devices, engine, programs


@pytest.fixture(scope="module", autouse=True)
def compiled_as_for_users():
    """The bits that are promised are those of optimised programs."""
    programs.OPTIONS["xla_backend_optimization_level"] = 3
    if "fusion_emitters" in os.environ["XLA_FLAGS"]:
        programs.OPTIONS["xla_cpu_use_fusion_emitters"] = True
    yield
    programs.OPTIONS.clear()


GRID = dict(seed=range(4), train_fraction=[0.4, 0.5, 0.6], learning_rate=[1e-3, 3e-3])
CELL = dict(seed=2, train_fraction=0.5, learning_rate=3e-3)


@pytest.fixture(scope="module")
def alone():
    return train(**CELL)


def test_a_run_is_the_same_alone_and_in_a_grid_of_24(alone):
    grid = train(**GRID)
    assert grid.status.size == 24 and (grid.status == "finished").all()
    assert same_bits(grid.sel(CELL), alone)
    assert not same_bits(grid.sel(CELL | {"seed": 1}), alone)


def test_a_run_is_the_same_with_the_axes_in_another_order(alone):
    grid = train(**dict(reversed(GRID.items())))
    assert list(grid.status.dims) == ["learning_rate", "train_fraction", "seed"]
    assert same_bits(grid.sel(CELL), alone)


@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_run_is_the_same_on_one_and_on_two_cores(alone, num_devices, two_places):
    assert len(devices.local_devices(num_devices)) == num_devices
    grid = train(**GRID, num_devices=num_devices)
    assert same_bits(grid.sel(CELL), alone)


def test_a_run_is_the_same_while_others_stop_early_and_lanes_are_refilled(two_places):
    long = tiny(DECODER, steps=900, eval_at="every:30", hold_steps=30)
    undisturbed = train(long, seed=2, train_fraction=0.8)
    grid = train(long, seed=[1, 2, 3], train_fraction=[0.4, 0.8], stop_accuracy=0.4, num_devices=2)
    stopped = grid.sel(train_fraction=0.8)
    assert (stopped.status == "stopped").all() and (grid.sel(train_fraction=0.4).status == "finished").all()
    assert len(set(stopped.last_step.values.tolist())) > 1
    end = int(stopped.last_step.sel(seed=2))
    assert end == stop_step(undisturbed.step.values, undisturbed.val_accuracy.values, 0.4, 30)
    cut = dict(step=slice(0, end))
    assert same_bits(stopped.sel(seed=2).sel(cut), undisturbed.sel(cut))


CONFINED = """
import os, signal, socket, sys
if "confined" in sys.argv:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if "jax first" in sys.argv:
    import jax.numpy
    jax.numpy.zeros(1)
import grokjax as gj
from grokjax.sweeps.lanes import Bank
config = gj.Config(task=gj.tasks.modular("add", 97), model=gj.models.Decoder(num_layers=1),
                   optimizer=gj.optimizers.AdamW(), steps=12, eval_at="every:3")

def sweep(interrupted=False):
    left, advance = [3], Bank.advance
    def counted(bank):
        left[0] -= 1
        if interrupted and not left[0]:
            signal.raise_signal(signal.SIGTERM)
        return advance(bank)
    Bank.advance = counted
    try:
        gj.sweep(config, out=sys.argv[1], progress=False, num_devices=1, **told)
    except gj.Interrupted as error:
        print(error)
    Bank.advance = advance

told = {}
if "meeting" in sys.argv:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        told = dict(coordinator=f"localhost:{free.getsockname()[1]}", num_processes=1, process_id=0)
sweep("interrupted" in sys.argv)
names = [open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task")]
print("pool of", names.count("tf_XLAEigen\\n"))
"""
confinable = pytest.mark.skipif(
    not os.path.exists("/proc/self/task") or os.cpu_count() < 2,
    reason="there is one core, or no way to confine a process to one and count its threads",
)


def confined(out, *how):
    """A sweep of one run in a process of its own; what it says."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NPROC", "XLA_FLAGS")}
    command = [sys.executable, "-c", CONFINED, str(out), *how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def unconfined(tmp_path_factory):
    """A run by a process that may use all cores."""
    out = tmp_path_factory.mktemp("all") / "a.npz"
    confined(out)
    return gj.load(out)


def pools(out):
    """The thread pools of the processes that trained a result."""
    return [one["thread_pool"] for one in gj.results.read(out)[1]["trained_by"]]


@confinable
def test_a_run_is_the_same_in_a_process_confined_to_one_core_also_resumed(tmp_path, unconfined):
    out, all_cores = tmp_path / "a.npz", str(os.cpu_count())
    said = confined(out, "confined", "meeting", "interrupted")
    assert "the same command continues" in said and f"pool of {all_cores}" in said
    assert confined(out, "confined") == f"pool of {all_cores}\n" and pools(out) == [all_cores] * 2
    assert same_bits(gj.load(out), unconfined) and len(set(unconfined.train_loss.values.tolist())) > 1


@confinable
def test_where_jax_was_started_before_the_true_thread_pool_is_recorded_and_said(tmp_path):
    out, all_cores = tmp_path / "a.npz", str(os.cpu_count())
    said = confined(out, "confined", "jax first", "interrupted")
    assert "pool of 1\n" in said
    assert f"JAX was started before the sweep, with a thread pool of 1 where this sweep would have {all_cores}" in said
    assert f"Call gj.sweep before other uses of JAX, or set NPROC={all_cores} before Python starts." in said
    said = confined(out)
    assert f"This result was trained with a thread pool of 1, and here it is {all_cores}" in said
    assert "Set NPROC=1 before Python starts to go on with the same." in said and pools(out) == ["1", all_cores]


def test_many_vmapped_lanes_agree_with_single_ones_for_the_first_20_losses():
    config = tiny(steps=20, eval_at="every:1")
    single = train(config, **GRID, lanes=1)
    many = train(config, **GRID, lanes=8)
    assert np.array_equal(single.train_accuracy[..., 0], many.train_accuracy[..., 0])
    np.testing.assert_allclose(many.train_loss, single.train_loss, rtol=2e-5)
    np.testing.assert_allclose(many.val_loss, single.val_loss, rtol=2e-5)


def test_lanes_are_added_while_that_pays_and_no_run_is_trained_twice(monkeypatch, tmp_path):
    config = tiny(steps=60, eval_at="every:5")
    single = train(config, **GRID, lanes=1)
    monkeypatch.setattr(engine, "widths", lambda device, num_runs, lanes: (2, 4, 8))
    monkeypatch.setattr(engine, "WORTHWHILE", 0.0)
    out = tmp_path / "grown.npz"
    grown = train(config, **GRID, out=out)
    meta = gj.results.read(out)[1]
    assert meta["lanes"] == [8] and meta["run_steps"] == 24 * 60
    early = dict(step=slice(0, 20))
    np.testing.assert_allclose(grown.train_loss.sel(early), single.train_loss.sel(early), rtol=2e-5)
    assert (grown.status == "finished").all()


def test_a_width_is_left_where_it_is_once_more_lanes_do_no_more():
    growth = engine.Growth((32, 128, 512))
    assert [growth.next(100, seconds) for seconds in (9.0, 1.0)] == [None, 32], "the faster of two chunks counts"
    assert [growth.next(300, 1.0), growth.next(300, 1.0)] == [None, 128]
    assert [growth.next(330, 1.0) for _ in range(4)] == [None] * 4, "a tenth more does not pay"
    assert [engine.Growth(()).next(1, 1.0) for _ in range(3)] == [None] * 3


def test_lanes_of_different_length_are_refilled_and_keep_their_own_clock():
    config = tiny(eval_at="every:10")
    single = train(config, seed=range(3), steps=[5, 25, 40], lanes=1)
    many = train(config, seed=range(3), steps=[5, 25, 40], lanes=2)
    assert (single.last_step == single.steps).all() and (many.last_step == many.steps).all()
    np.testing.assert_allclose(many.train_loss, single.train_loss, rtol=2e-5)


PER_RUN = dict(
    seed=5,
    split_seed=1,
    init_seed=2,
    batch_seed=3,
    train_fraction=0.7,
    learning_rate=1e-2,
    weight_decay=0.1,
    warmup_steps=0,
    b1=0.8,
    b2=0.99,
    eps=1e-9,
    init_scale=2.0,
    steps=40,
    hold_steps=5,
    stop_accuracy=0.9,
    eval_at="log:5",
)


@pytest.fixture(scope="module")
def warm():
    train(steps=20)


@pytest.mark.parametrize("name", PER_RUN)
def test_changing_a_per_run_value_or_making_it_an_axis_does_not_recompile(warm, name):
    before = programs.compilations
    train(**{name: PER_RUN[name]})
    values = [PER_RUN[name], getattr(tiny().optimizer, name, None) or getattr(tiny(), name, None) or 0]
    if None not in values and name not in ("stop_accuracy",):
        train(**{name: list(dict.fromkeys(values))})
    assert programs.compilations == before


def test_changing_a_static_setting_compiles_one_program_per_group(warm):
    before = programs.compilations
    grid = train(width=[16, 24], seed=range(2), steps=20)
    assert programs.compilations == before + 1
    assert grid.status.dims == ("width", "seed") and (grid.status == "finished").all()


def test_operations_with_tables_of_the_same_shape_share_a_program(warm):
    before = programs.compilations
    grid = train(operation=["add", "multiply", "x-y"], steps=20)
    assert programs.compilations == before
    assert len(np.unique(grid.final_val_accuracy + grid.train_loss[:, -1])) == 3


def test_asking_for_more_trains_only_what_is_missing_and_keeps_the_old_bits(tmp_path):
    out = tmp_path / "grid.npz"
    old = train(out=out, seed=range(2), train_fraction=[0.4, 0.6])
    params = sorted((tmp_path / "grid.params").iterdir())
    written = {file: file.stat().st_mtime_ns for file in params}
    new = train(out=out, seed=range(3), train_fraction=[0.4, 0.5, 0.6])
    assert new.attrs["meta"] != old.attrs["meta"] and run_steps(out) == 5 * 60
    assert same_bits(new.sel(seed=[0, 1], train_fraction=[0.4, 0.6]), old)
    assert {file: file.stat().st_mtime_ns for file in params} == written
    assert same_bits(new.sel(seed=2, train_fraction=0.5), train(seed=2, train_fraction=0.5))
    grown = train(out=out, seed=range(3), train_fraction=[0.4, 0.5, 0.6], weight_decay=[1.0, 0.5])
    assert same_bits(grown.sel(weight_decay=1.0), new)


def test_the_same_sweep_again_computes_nothing_and_leaves_the_file_alone(tmp_path, capsys):
    out = tmp_path / "grid.npz"
    first = train(out=out, seed=range(2))
    before = out.read_bytes()
    again = gj.sweep(tiny(), out=out, seed=range(2))
    assert "holds all 2 runs" in capsys.readouterr().err
    assert again.identical(first) and out.read_bytes() == before
    part = train(out=out, seed=range(1))
    assert part.drop_attrs().identical(first.sel(seed=[0]).drop_attrs()) and out.read_bytes() == before


def test_overwrite_starts_anew(tmp_path):
    out = tmp_path / "grid.npz"
    train(out=out, seed=range(2))
    other = train(out=out, seed=range(2), learning_rate=1e-4, overwrite=True)
    assert gj.load(out).identical(other)
    assert gj.results.read(out)[1]["config"]["learning_rate"] == 1e-4


def test_a_result_that_lost_runs_is_completed(tmp_path):
    out = tmp_path / "grid.npz"
    whole = train(out=out, seed=range(3))
    arrays, meta = gj.results.read(out)
    arrays["status"][1] = "not run"
    for name in METRICS:
        arrays[name][1] = np.nan
    gj.results.write(out, arrays, meta)
    assert gj.load(out).status[1] == "not run"
    completed = train(out=out, seed=range(3))
    assert same_bits(completed, whole)
    assert run_steps(out) == 60
