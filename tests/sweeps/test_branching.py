"""A branch goes on from its parent's snapshot: the same bits if nothing is changed, and only what is changed if not."""

import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor

import flax.linen as nn
import numpy as np
import pytest
import tiny
from test_checkpoints import interrupted_after

import grokjax as gj
from grokjax.config import ConfigError
from grokjax.results import ResultError
from grokjax.runs import METRICS
from grokjax.sweeps import programs

SGD = gj.optimizers.Sgd(learning_rate=0.5, warmup_steps=0)


def settings_of(**changes):
    """A run that has no state but its parameters: full batch, no momentum, no warm-up."""
    values = dict(optimizer=SGD, steps=40, eval_at="every:10", batch_rule="full", metrics=("distance",)) | changes
    return dataclasses.replace(tiny.tiny(), **values)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """Two seeds by two decays, 40 steps, with snapshots at 0, 10 and 40."""
    out = tmp_path_factory.mktemp("parent") / "add.npz"
    tiny.train(settings_of(), seed=[0, 7], weight_decay=[0.0, 0.1], out=out, snapshots=3)
    return out


def branch(path, **given):
    return gj.branch(path, **dict(num_devices=1, progress=False) | given)


def goes_on(branched, parent, step):
    """Whether the curves of one run are, to the bit, those of its parent from a step on."""
    later = parent.sel(step=[step + at for at in branched.step.values])
    assert (later.train_loss.notnull()).all() and later.train_loss[0] != later.train_loss[-1]
    return all(np.array_equal(branched[name].values, later[name].values) for name in (*METRICS, "distance"))


def test_a_branch_without_changes_is_the_parent_s_continuation_to_the_bit(parent, tmp_path):
    out = tmp_path / "on.npz"
    grid, before = branch(parent, step=10, steps=30, out=out), gj.load(parent, fill=None)
    assert dict(grid.sizes) == {"seed": 2, "weight_decay": 2, "step": 4}
    for one in (dict(seed=seed, weight_decay=decay) for seed in (0, 7) for decay in (0.0, 0.1)):
        assert goes_on(grid.sel(one), before.sel(one), 10)
        ends, ended = gj.params(out, **one), gj.params(parent, **one)
        assert np.array_equal(ends["embedding"], ended["embedding"]) and ends.keys() == ended.keys()
    assert grid.identical(gj.load(out))
    starts = gj.results.read(out)[1]["starts"]
    assert starts["step"] == [[10, 10], [10, 10]] and starts["run_id"] == before.run_id.values.tolist()


def test_a_centred_run_goes_on_with_the_function_that_it_began_with(tmp_path):
    config = settings_of(centred=True, output_scale=2.0, init_scale=1.5)
    whole = tiny.train(config, out=tmp_path / "a.npz", snapshots=3)
    grid = branch(tmp_path / "a.npz", step=10, steps=30, out=tmp_path / "b.npz")
    assert goes_on(grid, whole, 10)
    np.testing.assert_allclose(gj.open_run(tmp_path / "b.npz").loss(), whole.train_loss[-1], rtol=1e-5)
    with pytest.raises(ConfigError, match="Of the weights of run .* at step 10 only the hash is known here"):
        tiny.train(gj.open_run(tmp_path / "b.npz").config)
    again = branch(tmp_path / "b.npz", step=30, steps=10)  # a branch of a branch
    assert again.train_loss[0] == whole.train_loss[-1]


class Added(nn.Module):
    """The logits are the sum of a row's embeddings."""

    @nn.compact
    def __call__(self, tokens, *, train=False):
        return nn.Embed(20, 12, name="embed")(tokens).sum(1, keepdims=True)


def test_a_changed_decay_takes_the_steps_that_are_taken_by_hand(tmp_path):
    path, out = tmp_path / "a.npz", tmp_path / "b.npz"
    tiny.train(settings_of(model=Added(), metrics=()), seed=[3], out=path, snapshots=3)
    own = dict(model=Added())
    grid = branch(path, step=10, own=own, steps=20, weight_decay=[0.0, 0.3], learning_rate=0.2, out=out)
    assert grid.train_loss.dims == ("seed", "weight_decay", "step")
    for decay in (0.0, 0.3):
        run = gj.open_run(out, weight_decay=decay, **own)
        tokens, right = run.table.inputs[run.train_rows], np.eye(12)[run.labels[run.train_rows, 0]]
        embedding = gj.params(path, step=10)["embed"]["embedding"].astype(np.float64)
        for step in range(21):
            z = np.exp(embedding[tokens].sum(1))
            p = z / z.sum(1, keepdims=True)
            if step % 10 == 0:
                loss = -np.log((p * right).sum(1)).mean()
                np.testing.assert_allclose(grid.train_loss.sel(weight_decay=decay, step=step), [loss], rtol=1e-5)
            if step < 20:
                slope = np.zeros_like(embedding)
                np.add.at(slope, tokens, (p - right)[:, None] / len(tokens))
                embedding -= 0.2 * (slope + decay * embedding)
        np.testing.assert_allclose(run.params["embed"]["embedding"], embedding, rtol=1e-4, atol=1e-6)
    with pytest.raises(ResultError, match="Pass what you gave to the sweep, such as task="):
        branch(path, step=10)


def test_changes_are_axes_behind_those_of_the_parents_and_recompile_nothing(parent, tmp_path):
    before, out = programs.compilations, tmp_path / "off.npz"
    grid = branch(parent, step=10, weight_decay=[0.0, 0.1], steps=30, out=out)
    assert programs.compilations == before
    assert dict(grid.sizes) == {"seed": 2, "parent_weight_decay": 2, "weight_decay": 2, "step": 4}
    for decay in (0.0, 0.1):
        same = dict(seed=7, parent_weight_decay=decay, weight_decay=decay)
        assert goes_on(grid.sel(same), gj.load(parent, fill=None).sel(seed=7, weight_decay=decay), 10)
    other = dict(seed=7, parent_weight_decay=0.1, weight_decay=0.0)
    run = gj.open_run(out, **other)
    assert run.config.optimizer.weight_decay == 0.0 and run.config.seed == 7
    np.testing.assert_allclose(run.loss(), grid.sel(other).train_loss[-1], rtol=1e-5)
    assert not tiny.same_bits(grid.sel(other), grid.sel(other | {"weight_decay": 0.1}))
    one = branch(parent, step=10, select=dict(seed=7, weight_decay=0.1), weight_decay=0.0, steps=30)
    assert one.train_loss.dims == ("step",) and tiny.same_bits(one, grid.sel(other))
    assert one.run_id == grid.run_id.sel(other)  # whatever else is in the grid


def test_another_optimizer_train_fraction_or_order_of_batches_leaves_the_rest_the_parent_s(parent, tmp_path):
    out = tmp_path / "other.npz"
    arms = {"adam": dict(optimizer="adam"), "more": dict(optimizer="adam", train_fraction=0.6)}
    given = dict(select=dict(seed=[7]), variant=arms, batch_rule="shuffled", batch_seed=[0, 1], steps=20)
    grid = branch(parent, step=10, out=out, **given)
    assert dict(grid.sizes) == {"seed": 1, "parent_weight_decay": 2, "variant": 2, "batch_seed": 2, "step": 3}
    before = gj.open_run(parent, seed=7, weight_decay=0.1)
    for arm in arms:
        run = gj.open_run(out, parent_weight_decay=0.1, variant=arm, batch_seed=1)
        assert run.config.optimizer == gj.optimizers.Adam()
        assert run.config.seeds["batch"] == 1 and run.config.seeds["split"] == 7
        assert np.array_equal(run.train_rows, before.train_rows) == (arm == "adam")
        assert (run.train_rows >= before.train_rows).all()
    first = grid.isel(step=0).train_loss.sel(variant="adam").values[0]
    assert (first == gj.load(parent).train_loss.sel(seed=7, step=10).values[:, None]).all()


def test_an_interrupted_branch_goes_on_and_shares_of_it_are_the_same_to_the_bit(parent, tmp_path, monkeypatch):
    given = dict(step=10, select=dict(seed=7), weight_decay=[0.0, 0.5])
    calm = branch(parent, **given)

    def begin(config, **more):
        return branch(parent, **given, **more)

    interrupted_after(6, monkeypatch, begin=begin, out=tmp_path / "a.npz")
    assert 0 < tiny.run_steps(tmp_path / "a.npz") < 160
    assert branch(parent, out=tmp_path / "a.npz", **given).drop_attrs().identical(calm.drop_attrs())
    with ThreadPoolExecutor(1) as executor:
        shared = branch(parent, out=tmp_path / "b.npz", executor=executor, shares=2, num_devices=None, **given)
    assert shared.drop_attrs().identical(calm.drop_attrs())


def test_given_weights_are_those_of_a_branch_whether_held_or_in_a_file(parent, tmp_path):
    one = dict(seed=7, weight_decay=0.1)
    weights = gj.params(parent, step=10, **one)
    kept = weights["embedding"].copy()
    expected = branch(parent, step=10, select=one, steps=30)
    config = settings_of(seed=7, steps=30, optimizer=dataclasses.replace(SGD, weight_decay=0.1))
    held = tiny.train(dataclasses.replace(config, start=weights), learning_rate=[0.5, 0.1]).sel(learning_rate=0.5)
    assert tiny.same_bits(held, expected) and held.run_id == expected.run_id
    assert np.array_equal(weights["embedding"], kept)
    file = next(parent.with_suffix(".params").glob(f"{gj.load(parent).run_id.sel(one).item()}-10.npz"))
    shutil.copy(file, tmp_path / "weights.npz")
    read = dataclasses.replace(config, start=tmp_path / "weights.npz")
    assert tiny.train(read).run_id == expected.run_id
    np.savez(tmp_path / "weights.npz", embedding=kept)
    with pytest.raises(ConfigError, match="no longer holds the weights in"):
        tiny.train(read)


WRONG = {
    "a step without a snapshot": (dict(step=20), ResultError, "has no snapshot of run .* at step 20, only 0, 10"),
    "another shape": (dict(step=10, width=8), ConfigError, r"at step 10 do not fit the model Mlp: .* has shape \("),
    "another model": (dict(model="decoder"), ConfigError, "at step 40 do not fit the model Decoder: they "),
    "what is not kept": (
        dict(model=gj.models.Decoder(norm="pre", norm_kind="batch")),
        ConfigError,
        "also holds batch_stats, which the weights of run .* at step 40 lack",
    ),
    "another seed": (dict(seed=[0, 1]), ConfigError, "seed cannot change, for a branch goes on with a run"),
    "another beginning": (dict(init_scale=2.0), ConfigError, "init_scale cannot change"),
    "half an axis": (
        dict(variant={"as it was": {}, "off": {"weight_decay": 0.0}}),
        ConfigError,
        "variant changes weight_decay, an axis of the parents, at some of its points",
    ),
    "what a run has not": (dict(beta=1.0), ConfigError, "no setting 'beta'"),
    "no such parent": (dict(select=dict(seed=[1])), ResultError, "No run of .* has seed=1; it has 0, 7"),
    "no such code": (dict(own=dict(optimiser=SGD)), ConfigError, "own has optimiser, and may have: task"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_branch_is_answered_in_a_sentence_and_writes_nothing(parent, tmp_path, kind):
    given, error, words = WRONG[kind]
    with pytest.raises(error, match=words):
        branch(parent, out=tmp_path / "b.npz", **given)
    assert not list(tmp_path.iterdir())


def test_a_branch_cannot_be_written_over_its_parents_nor_over_other_branches(parent, tmp_path):
    with pytest.raises(ConfigError, match="holds the runs that are to branch"):
        branch(parent, out=parent, overwrite=True)
    given = dict(select=dict(seed=0, weight_decay=0.1), steps=1, out=tmp_path / "b.npz")
    branch(parent, step=10, **given)
    with pytest.raises(ConfigError, match="its runs start from other weights"):
        branch(parent, step=0, **given)


def test_weights_that_are_none_are_refused_where_they_are_given(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    for given, words in (
        (3, "start=3 holds no weights"),
        ({"embed": "text"}, "start has embed of type <U4"),
        (tmp_path / "none.npz", "none.npz cannot be read: No such file"),
        (tmp_path / "text.npz", "text.npz cannot be read: it is damaged"),
    ):
        with pytest.raises(ConfigError, match=words):
            settings_of(start=given)
    for given in (dict(start={"a": np.ones(3)}), dict(arm={"a": {"start": "weights.npz"}})):
        with pytest.raises(ConfigError, match="start cannot vary within a grid. Try grokjax.Config"):
            tiny.train(**given)
