"""What the benchmark's PyTorch side is told. PyTorch itself is not needed here."""

import dataclasses
import importlib.util
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_golden import MODELS, golden, named
from tiny import DECODER, tiny

import grokjax as gj
from grokjax.config import ConfigError
from grokjax.experiments.speed import torch_peer
from grokjax.runs import RunValues, batch_of
from grokjax.sweeps.engine import make_groups
from grokjax.sweeps.identity import Run
from grokjax.sweeps.programs import initial_state


def grouped(config):
    """A run of the configuration, and its group."""
    run = Run((), config)
    (group,) = make_groups([run])
    return run, group


@pytest.fixture(scope="module")
def short_last_batch():
    """A run of 60 training rows in batches of 32, its group and its job."""
    run, group = grouped(tiny(DECODER))
    return run, group, torch_peer.job(run, group, num_batches=5)


@pytest.mark.parametrize("name", MODELS)
def test_weights_take_the_names_and_layouts_that_pytorch_recorded(name):
    _, to_tree, _ = MODELS[name]
    recorded = named(golden(name), golden(name)["weights"])
    found = torch_peer.torch_weights(to_tree(recorded))
    assert found.keys() == recorded.keys()
    for parameter, value in recorded.items():
        np.testing.assert_array_equal(found[parameter], value, err_msg=parameter)


def test_a_job_trains_on_the_rows_of_each_step_without_padding(short_last_batch):
    run, group, job = short_last_batch
    values = jax.tree.map(jnp.asarray, RunValues.of(run.config))
    state = initial_state(group.program, values, group.arrays, jax.local_devices()[0])
    assert [len(rows) for rows in job.rows] == [32, 28] * 3  # whole epochs
    arrays = jax.tree.map(jnp.asarray, group.arrays)
    for step in (0, 1, 4):
        batch = batch_of(group.program, values, arrays, state._replace(step=jnp.int32(step)))
        np.testing.assert_array_equal(job.rows[step], batch.rows[batch.counts])
        np.testing.assert_array_equal(job.tokens[job.rows[step]], batch.inputs[batch.counts])
        np.testing.assert_array_equal(job.labels[job.rows[step]], batch.labels[batch.counts])


def test_an_epoch_visits_every_training_row_once(short_last_batch):
    _, _, job = short_last_batch
    for epoch in range(3):
        visited = np.concatenate(job.rows[2 * epoch : 2 * epoch + 2])
        assert sorted(visited) == sorted(job.train_rows) and len(visited) == 60


def test_a_full_batch_is_recorded_once():
    run, group = grouped(tiny(DECODER, batch_rule="full", loss_dtype="float64"))
    job = torch_peer.job(run, group)
    assert job.full_batch and job.loss_dtype == "float64"
    (rows,) = job.rows
    assert sorted(rows) == sorted(job.train_rows) and len(rows) == 60


def test_a_job_starts_from_the_initial_weights_and_is_plain_enough_to_send(short_last_batch):
    run, group, job = short_last_batch
    state = initial_state(group.program, RunValues.of(run.config), group.arrays, jax.local_devices()[0])
    np.testing.assert_array_equal(job.weights["output.weight"], np.asarray(state.params["output"]).T)
    assert job.weights["layers.0.linear1.weight"].shape == (64, 16)
    sent = pickle.dumps(vars(job))
    assert b"jax" not in sent and b"grokjax" not in sent and b"torch_peer" not in sent
    assert pickle.loads(sent)["sizes"] == job.sizes


def test_optimizers_are_told_in_pytorchs_words():
    def told(optimizer):
        return torch_peer._optimizer(optimizer)

    adam = dict(betas=(0.9, 0.98), eps=1e-8)
    assert told(gj.optimizers.AdamW()) == ("adamw", dict(weight_decay=1.0, **adam))
    assert told(gj.optimizers.AdamW(decay="gradient")) == ("adam", dict(weight_decay=1.0, **adam))
    assert told(gj.optimizers.Adam(b1=0.96, weight_decay=0.1)) == (
        "adamw",
        dict(weight_decay=0.1, betas=(0.96, 0.98), eps=1e-8),
    )
    assert told(gj.optimizers.Sgd(weight_decay=0.1)) == ("sgd", dict(weight_decay=0.1, momentum=0.0))
    assert told(gj.optimizers.SgdMomentum()) == ("sgd", dict(weight_decay=0.0, momentum=0.9))
    assert told(gj.optimizers.RmsProp(b2=0.9)) == (
        "rmsprop",
        dict(weight_decay=0.0, alpha=0.9, eps=1e-8, momentum=0.0),
    )


REFUSED = {
    "weight_noise=0.1": dict(weight_noise=0.1),
    "loss=stablemax": dict(loss="stablemax"),
    "precision=bfloat16": dict(precision="bfloat16"),
    "norm_kind=batch": dict(model=gj.models.Decoder(num_layers=1, width=16, num_heads=2, norm_kind="batch")),
    "with norms": dict(model=gj.models.Decoder(num_layers=1, width=16, num_heads=2, mlp_width=0)),
    "activation=gelu": dict(model=gj.models.Decoder(num_layers=1, width=16, num_heads=2, activation="gelu")),
    "pool=concat": dict(model=gj.models.Mlp(num_layers=1, width=16, pool="concat")),
    "Muon": dict(optimizer=gj.optimizers.Muon()),
    "clip_norm=1.0": dict(optimizer=gj.optimizers.AdamW(clip_norm=1.0)),
    "decay=init": dict(optimizer=gj.optimizers.AdamW(decay="init")),
    "weight decay beside": dict(optimizer=gj.optimizers.SgdMomentum(weight_decay=0.1)),
    "batch_rule=stream": dict(task=gj.tasks.TASKS["digits"](), batch_rule="stream"),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_pytorch_is_not_to_train_is_told_in_one_sentence(told):
    run, group = grouped(dataclasses.replace(tiny(DECODER), **REFUSED[told]))
    with pytest.raises(ConfigError, match=told) as error:
        torch_peer.job(run, group)
    assert "Try --" in str(error.value) and "\n" not in str(error.value)


def test_without_pytorch_it_is_told_what_to_install(short_last_batch, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    plain = torch_peer.Arrangement()
    for start, arrangements in ((torch_peer.best, [plain]), (torch_peer.Peer, plain)):
        with pytest.raises(ConfigError, match=r"needs PyTorch.* Try: pip install torch\."):
            start(short_last_batch[2], arrangements)


def test_a_worker_that_ends_is_told_by_its_last_words(short_last_batch, monkeypatch, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text("import sys; sys.exit('no such thing here')")
    monkeypatch.setattr(torch_peer, "WORKER", worker)
    monkeypatch.setattr(torch_peer, "check_torch", lambda: None)
    with pytest.raises(torch_peer.PeerError, match="no such thing here"):
        torch_peer.Peer(short_last_batch[2], torch_peer.Arrangement(processes=2))
    with pytest.raises(ConfigError, match="in any arrangement.*no such thing here"):
        torch_peer.best(short_last_batch[2], [torch_peer.Arrangement()])


WORKER = """
import pickle, sys, time
arrangement, job = pickle.load(sys.stdin.buffer)
def answer(*what):
    pickle.dump(what, sys.stdout.buffer)
    sys.stdout.flush()
answer("done", None)
while True:
    request, steps = pickle.load(sys.stdin.buffer)
    if arrangement["threads"] == 3 and request == "train":
        answer("failed", "three threads are too many")
    elif arrangement["threads"] == 4:
        time.sleep(60)
    else:
        time.sleep(steps * 4e-3 / arrangement["threads"] ** 3)
        answer("done", float(steps) if request == "loss" else None)
"""
"""Speaks as the real worker does; trains in no time, with two threads eight times as fast, with more not at all."""


def test_the_fastest_arrangement_is_kept_and_those_that_fail_are_told(short_last_batch, monkeypatch, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    monkeypatch.setattr(torch_peer, "WORKER", worker)
    monkeypatch.setattr(torch_peer, "PATIENCE", 3.0)
    monkeypatch.setattr(torch_peer, "check_torch", lambda: None)
    candidates = [torch_peer.Arrangement(threads=n) for n in (1, 2, 3, 4)]
    heard = []
    peer, trials = torch_peer.best(short_last_batch[2], candidates, seconds=0.02, heard=heard.append)
    with peer:
        assert peer.arrangement == candidates[1] and peer.loss(7) == 7.0
        assert peer.seconds(40) > 0.02
    assert heard == trials and [trial.arrangement for trial in trials] == candidates
    assert trials[0].rate < trials[1].rate
    assert [trial.failure for trial in trials[:3]] == ["", "", "three threads are too many"]
    assert "no answer in 3 s" in trials[3].failure


def test_arrangements_are_named_in_words_and_fill_the_machine():
    found = torch_peer.arrangements("cpu", 2)
    assert [str(arrangement) for arrangement in found] == [
        "2 processes of 1 thread, eager",
        "2 processes of 1 thread, compiled",
        "1 process of 2 threads, eager",
        "1 process of 2 threads, compiled",
        "2 processes of 1 thread, ensemble of 8 by torch.func.vmap, eager",
        "2 processes of 1 thread, ensemble of 8 by torch.func.vmap, compiled",
    ]
    assert [arrangement.runs for arrangement in found] == [2, 2, 1, 1, 16, 16]
    assert all(arrangement.processes * arrangement.threads == 2 for arrangement in found)
    assert any("CUDA graphs" in str(arrangement) for arrangement in torch_peer.arrangements("cuda"))
