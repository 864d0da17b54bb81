"""A sweep in shares on engines that place them: the bits of one process, whoever dies, and nothing is lost."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import distributed
import pytest
import submitit
from test_checkpoints import interrupted_after
from tiny import same_bits, train

import grokjax as gj
from grokjax import cli
from grokjax.sweeps.lock import owned
from grokjax.sweeps.shares import REQUEST, Parts

GRID = dict(seed=range(5), steps=200)
LONG = dict(seed=range(2), steps=15_000, eval_at="every:500")


@pytest.fixture(scope="module")
def alone():
    return train(**GRID)


@pytest.fixture
def pool():
    """An engine of one thread of this process."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def cluster():
    """A Dask scheduler on the loopback, with two workers."""
    local = dict(threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
    with distributed.LocalCluster(2, **local) as cluster:
        yield cluster


def address(cluster):
    return cluster.scheduler_address.removeprefix("tcp://")


def test_dask_gives_what_one_process_gives_to_the_bit(tmp_path, alone, cluster):
    out = tmp_path / "a.npz"
    grid = train(out=out, executor="dask", address=address(cluster), shares=3, **GRID)
    assert same_bits(grid, alone) and grid.identical(gj.load(out)) and (grid.status == "finished").all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.params"]
    meta = gj.results.read(out)[1]
    assert meta["run_steps"] == 1000 and meta["processes"] == len(meta["trained_by"]) == 3


def test_a_worker_that_is_killed_in_mid_share_loses_nothing_and_another_may_come(tmp_path, cluster):
    out, killed = tmp_path / "a.npz", []

    def kill():
        """Kills the process of a worker that has trained some steps of a share, and adds a worker."""
        until = time.monotonic() + 300
        while not killed and time.monotonic() < until:
            time.sleep(0.02)
            if any(gj.results.read(part)[1]["run_steps"] for part in (tmp_path / "a.parts").glob("*-of-*.npz")):
                busy = {at for at, keys in cluster.scheduler.workers.items() if keys.processing}
                worker = next(one for one in cluster.workers.values() if one.worker_address in busy)
                killed.append(worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
                cluster.scale(3)

    thread = threading.Thread(target=kill)
    thread.start()
    told = dict(executor="dask", address=address(cluster), shares=2, checkpoint_minutes=0.005)
    grid = train(out=out, **told, **LONG)
    thread.join()
    assert killed and same_bits(grid, train(**LONG))


def test_jobs_of_submitit_give_what_one_process_gives_to_the_bit(tmp_path, alone):
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    executor.update_parameters(timeout_min=60)
    grid = train(out=tmp_path / "a.npz", executor=executor, shares=2, **GRID)
    assert same_bits(grid, alone) and len(list((tmp_path / "jobs").glob("*_result.pkl"))) == 2


SCRIPT = """
import flax.linen as nn
import jax
import grokjax as gj

class Mine(nn.Module):
    width: int = 8
    @nn.compact
    def __call__(self, tokens, *, train=False):
        return nn.Dense(12)(nn.relu(nn.Dense(self.width)(nn.Embed(12, 8)(tokens).reshape(len(tokens), -1))))[:, None]

if __name__ == "__main__":
    config = gj.Config(task=gj.tasks.modular("add", 11), model=Mine(), optimizer=gj.optimizers.AdamW(), batch_size=32,
                       steps=100, eval_at="every:20")
    shared = gj.sweep(config, seed=range(4), out="shared.npz", executor="local", shares=2)
    print("platforms:", jax.config.jax_platforms)
    alone = gj.sweep(config, seed=range(4), out="alone.npz", num_devices=1)
    print("same:", shared.identical(alone.assign_attrs(shared.attrs)))
    print("again:", gj.sweep(config, seed=range(4), out="shared.npz").identical(shared))
"""


def test_processes_of_this_machine_know_a_model_of_the_script_and_the_caller_starts_no_accelerator(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert "4/4 runs, " in done.stderr and "Wrote shared.npz (4 runs) from 2 shares." in done.stderr
    assert done.stdout == "platforms: cpu\nsame: True\nagain: True\n", done.stdout + done.stderr


def test_many_shares_are_joined(tmp_path, pool):
    grid = train(out=tmp_path / "a.npz", executor=pool, shares=30, seed=range(24), steps=5)
    assert gj.results.read(tmp_path / "a.npz")[1]["processes"] == 24 and (grid.status == "finished").all()
    assert same_bits(grid.isel(seed=[0, 20]), train(seed=[0, 20], steps=5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.params"]


def test_a_share_that_fails_takes_no_other_down_and_the_same_command_goes_on(tmp_path, pool, alone):
    out = tmp_path / "a.npz"
    told = dict(out=out, executor=pool, shares=3, **GRID)
    part = Parts(out, 3).path(1)
    part.parent.mkdir()
    with owned(part), pytest.raises(gj.ShareError) as failed:  # as by a worker that was given up too early
        train(**told)
    assert str(failed.value).startswith("1 of 3 shares failed, the first of them 1-of-3: Taken: ")
    assert "of 5 runs have ended and are kept in" in str(failed.value) and not out.exists()
    ended = [part.name for part in (tmp_path / "a.parts").glob("*.npz")]
    assert sorted(ended) == ["0-of-3.npz", "2-of-3.npz"]
    assert same_bits(train(**told), alone) and gj.results.read(out)[1]["run_steps"] == 1000


def test_an_interrupted_sweep_cancels_what_has_not_begun_and_goes_on_to_the_bit(tmp_path, monkeypatch, alone):
    out = tmp_path / "a.npz"
    with ThreadPoolExecutor(1) as pool:
        said = interrupted_after(12, monkeypatch, out=out, executor=pool, shares=5, **GRID)
    assert (
        said.startswith("Interrupted; shares that had not begun are cancelled.") and "the same command goes on" in said
    )
    parts = len(list((tmp_path / "a.parts").glob("*.npz")))
    assert 0 < parts < 5
    with ThreadPoolExecutor(1) as pool:
        grid = train(out=out, executor=pool, shares=5, **GRID)
    assert same_bits(grid, alone) and gj.results.read(out)[1]["run_steps"] == 1000


def test_shares_of_an_executor_and_processes_train_the_same_parts(tmp_path, pool, alone):
    out = tmp_path / "a.npz"
    assert train(out=out, process_id=1, num_processes=3, **GRID) is None
    before = (tmp_path / "a.parts" / "1-of-3.npz").read_bytes()
    with owned(out), pytest.raises(gj.ConfigError, match="is being written by another process"):
        train(out=out, executor=pool, shares=3, **GRID)
    assert (tmp_path / "a.parts" / "1-of-3.npz").read_bytes() == before
    grid = train(out=out, executor=pool, shares=3, **GRID)
    assert same_bits(grid, alone) and gj.results.read(out)[1]["run_steps"] == 1000


def test_joining_writes_what_there_is_and_the_sweep_goes_on(tmp_path, alone, capsys):
    out = tmp_path / "a.npz"
    train(out=out, process_id=1, num_processes=2, **GRID)
    part = gj.join(out)
    assert {*part.status.values} == {"finished", "not run"} and (tmp_path / "a.parts").exists()
    assert f"Wrote {out} with " in (said := capsys.readouterr().err)
    assert "have not ended, and the command of the sweep goes on with them." in said
    assert same_bits(
        part.isel(seed=[i for i in range(5) if part.status[i] == "finished"]),
        alone.isel(seed=[i for i in range(5) if part.status[i] == "finished"]),
    )
    grid = train(out=out, process_id=0, num_processes=2, **GRID)
    meta = gj.results.read(out)[1]
    assert same_bits(grid, alone) and meta["run_steps"] == 1000 and len(meta["trained_by"]) == 2
    assert not (tmp_path / "a.parts").exists()


def test_joining_repairs_a_result_whose_last_share_died_before_it_had_joined(tmp_path, alone, capsys):
    out = tmp_path / "a.npz"
    train(out=out, process_id=0, num_processes=2, **GRID)
    with owned(out):
        train(out=out, process_id=1, num_processes=2, **GRID)
    assert not out.exists()
    cli.main(["grokjax", "join", str(out)])
    assert same_bits(gj.load(out), alone) and not (tmp_path / "a.parts").exists()
    assert "Wrote" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["grokjax", "join", str(out)])
    assert "a.parts holds no parts of a sweep, so there is nothing to join." in capsys.readouterr().err


class Gone(Executor):
    """An engine that has taken every share when the process that calls it ends."""

    def __init__(self):
        self.shares = []

    def submit(self, share):
        self.shares.append(pickle.dumps(share))
        future = Future()
        future.cancel()
        return future


def test_shares_whose_caller_died_are_joined_by_the_last_of_them(tmp_path, alone):
    out, gone = tmp_path / "a.npz", Gone()
    with pytest.raises(gj.ShareError, match="3 of 3 shares failed, the first of them [012]-of-3: CancelledError"):
        train(out=out, executor=gone, shares=3, **GRID)
    for content in gone.shares:
        assert not out.exists()
        assert pickle.loads(content)().missing == 0
    assert same_bits(gj.load(out), alone) and not (tmp_path / "a.parts").exists()
    assert train(out=out, executor=gone, shares=3, **GRID).identical(gj.load(out)), "there is nothing to submit"


def test_a_request_of_other_versions_is_not_unpickled(tmp_path, alone):
    out = tmp_path / "a.npz"
    train(out=out, process_id=1, num_processes=2, **GRID)
    request = tmp_path / "a.parts" / REQUEST
    kept = json.loads(request.read_text())
    kept["versions"]["jax"] = "0.1.0"
    request.write_text(json.dumps(kept | {"request": "not to be read"}))
    with pytest.raises(gj.ConfigError, match=r"is of a sweep by jax 0.1.0 \(.* here\). Join it with these, or by the"):
        gj.join(out)
    assert same_bits(train(out=out, process_id=0, num_processes=2, **GRID), alone)


def test_an_executor_that_is_not_installed_is_named_with_what_installs_it(tmp_path, monkeypatch):
    out = tmp_path / "a.npz"
    with pytest.raises(gj.ConfigError, match="executor=slurm finds no SLURM here: there is no srun."):
        train(out=out, executor="slurm", **GRID)
    for module, told in (("submitit", dict(executor="slurm")), ("distributed", dict(executor="dask", address="a:1"))):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(gj.ConfigError, match=rf"needs the package {module}, .* Try pip install 'grokjax\[\w+\]'."):
            train(out=out, **told, **GRID)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (dict(executor="locale"), "There is no executor 'locale'. Did you mean local?"),
        (dict(executor=3), "executor=3 is no executor. Try executor='local', or an object with the interface of"),
        (dict(executor="local", process_id=0, num_processes=2), "executor and process_id are both given."),
        (dict(executor="local", address="a:1"), "executor=dask and address belong together."),
        (dict(executor="dask"), "executor=dask and address belong together."),
        (dict(shares=3), "shares=3 are those of an executor. Try --executor=local."),
        (dict(executor="local", shares=0), "shares=0 is out of range: it must be at least 1."),
        (dict(executor="local"), "The workers of an executor share a folder, and there is no --out to say which."),
    ],
)
def test_executors_that_make_no_sense_are_refused(told, said):
    with pytest.raises(gj.ConfigError) as refused:
        train(**told)
    assert str(refused.value).startswith(said)
