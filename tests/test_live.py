"""A run opened from its file computes what was trained."""

import textwrap

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
import xarray as xr

import grokjax as gj
from grokjax import analysis, live
from grokjax.analysis import kernels
from grokjax.results import ResultError


class Mine(nn.Module):
    """A user's model, and a setting of it."""

    width: int = 8
    num_classes: int | None = None

    @nn.compact
    def __call__(self, tokens, *, train=False):
        x = nn.Embed(20, self.width, name="embed")(tokens).reshape(len(tokens), -1)
        return nn.Dense(self.num_classes, name="out")(nn.relu(nn.Dense(self.width, name="hidden")(x)))[:, None]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two seeds by two decays, with snapshots, outliers and a loss in float64."""
    out = tmp_path_factory.mktemp("live") / "add.npz"
    config = tiny.tiny(tiny.DECODER, steps=40, loss_dtype="float64", outliers=3, output_scale=2.0, train_fraction=0.4)
    tiny.train(config, seed=[0, 7], weight_decay=[0.0, 1.0], out=out, snapshots=3)
    return out


def losses_by_hand(run, logits):
    """[rows]: cross-entropy in NumPy."""
    z = np.asarray(logits, np.float64)[:, 0]
    return np.log(np.exp(z).sum(-1)) - z[np.arange(len(z)), run.labels[:, 0]]


def test_every_snapshot_of_a_run_has_the_losses_of_its_curve(path):
    grid = gj.load(path, fill=None).sel(seed=7, weight_decay=1.0)
    runs = list(gj.snapshots(path, seed=7, weight_decay=1.0))
    assert [run.step for run in runs] == [0, 20, 40]
    for run in runs:
        by_hand = losses_by_hand(run, run.logits())
        at = grid.sel(step=run.step)
        for side, rows in (("train", run.train_rows), ("val", ~run.train_rows)):
            np.testing.assert_allclose(run.loss(rows=side), at[f"{side}_loss"], rtol=1e-5)
            np.testing.assert_allclose(by_hand[rows].mean(), at[f"{side}_loss"], rtol=1e-5)
    assert runs[-1].train_rows.sum() == grid.num_train
    assert (runs[-1].labels != runs[-1].table.labels)[~runs[-1].train_rows].sum() == 0
    assert 0 < (runs[-1].labels != runs[-1].table.labels).sum() <= 3


def test_the_tangent_kernel_of_a_run_is_that_of_the_jacobian_of_its_logits(path):
    run, rows = gj.open_run(path, seed=7, weight_decay=1.0), np.array([3, 50, 120])
    jacobian = jax.jacrev(lambda params: run.logits(params, rows)[:, 0])(run.params)
    flat = np.concatenate([np.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in jax.tree.leaves(jacobian)], axis=2)
    kernel = kernels.tangent_kernel(lambda params, rows: run.logits(params, rows)[:, 0], run.params, rows)
    np.testing.assert_allclose(kernel, np.einsum("icw,jcw->ij", flat, flat), rtol=1e-4)


def test_an_opened_run_is_the_one_that_was_asked_for_at_the_step_that_was_asked_for(path):
    run = gj.open_run(path, seed=0, weight_decay=0.0)
    assert (run.config.seed, run.config.optimizer.weight_decay, run.step) == (0, 0.0, 40)
    jax.tree.map(np.testing.assert_array_equal, run.params, gj.params(path, seed=0, weight_decay=0.0))
    first = gj.open_run(path, step=0, seed=0, weight_decay=0.0)
    assert first.step == 0 and not np.array_equal(first.params["output"], run.params["output"])
    rows = np.array([5, 3, 100])
    np.testing.assert_allclose(run.logits(rows=rows), run.logits()[rows], rtol=1e-5, atol=1e-6)
    with pytest.raises(ResultError, match="runs of .* match, and one was asked for"):
        gj.open_run(path, seed=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_of_an_opened_run_can_be_differentiated_twice(path, dtype):
    run = gj.open_run(path, seed=0, weight_decay=1.0)
    direction = jax.tree.map(lambda p: np.sin(np.arange(p.size, dtype=p.dtype)).reshape(p.shape), run.params)

    def loss(params):
        return run.loss(params, dtype=dtype)

    def along(params):
        return optax.tree.vdot(jax.grad(loss)(params), direction)

    def moved(by):
        return jax.tree.map(lambda p, d: p + np.float32(by) * d, run.params, direction)

    h = 1e-3
    with jax.enable_x64(dtype == "float64"):
        slope = jax.jit(along)
        curvature = optax.tree.vdot(jax.jit(jax.grad(along))(run.params), direction)
        slopes, values = [[f(moved(by)) for by in (-h, 0, h)] for f in (slope, jax.jit(loss))]
    np.testing.assert_allclose(slopes[1], (values[2] - values[0]) / (2 * h), rtol=0.02)
    # The difference also sees the kinks of ReLU, which the derivative does not.
    np.testing.assert_allclose(curvature, (slopes[2] - slopes[0]) / (2 * h), rtol=0.15)


def test_the_intermediates_of_a_decoder_lead_to_its_logits(path):
    run = gj.open_run(path, seed=0, weight_decay=1.0)
    held, block = run.cache(), run.params["block_0"]
    pattern, values = held["block_0.attention"], held["block_0.keys_values.1"]
    assert pattern.shape == (121, 1, 3, 2)
    np.testing.assert_allclose(pattern.sum(2), 1, rtol=1e-5)
    mixed = jnp.einsum("bqkh,bkhd->bqhd", pattern, values).reshape(121, 1, -1)
    np.testing.assert_allclose(mixed, held["block_0.output.input"], rtol=1e-4, atol=1e-5)
    neurons = held["block_0.mlp_out.input"]
    np.testing.assert_allclose(neurons, jnp.maximum(held["block_0.mlp_in"], 0), rtol=1e-6)
    np.testing.assert_allclose(neurons @ block["mlp_out"]["kernel"], held["block_0.mlp_out"], rtol=1e-4, atol=1e-5)
    logits = held["block_0.finish"] @ run.params["output"]
    np.testing.assert_allclose(logits, held["logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(2.0 * held["logits"], run.logits(), rtol=1e-4, atol=1e-4)  # the output scale
    np.testing.assert_allclose(
        run.cache(rows=np.array([7]))["block_0.queries"], held["block_0.queries"][7:8], rtol=1e-4
    )


def test_the_measures_of_an_opened_run_follow_it_from_snapshot_to_snapshot(path):
    from grokjax.analysis import frequencies, groups, progress, spectra, square

    *_, final = runs = list(gj.snapshots(path, seed=0, weight_decay=0.0))
    group, pairs = groups.of(final.config.task), square.operands(final.table)
    spectrum = spectra.output_spectrum(spectra.output_map(final.params), group)
    assert frequencies.labels_of(frequencies.key_frequencies(spectrum)) == []  # after 40 steps
    keys = spectrum == spectrum.max()
    logits = square.square(np.stack([run.logits()[:, 0] for run in runs]), pairs)
    logits = xr.DataArray(logits, dims=("step", "a", "b", "c"), coords={"step": [run.step for run in runs]})
    labels = square.square(final.labels, pairs)[..., 0].astype(int)
    train = square.square_mask(final.train_rows, pairs)
    found = progress.progress(logits, train, keys, group, labels)
    for run in runs:
        numbers = np.asarray(run.logits(), np.float64)[:, 0, :11]  # the loss here is over numbers alone
        by_hand = np.log(np.exp(numbers).sum(-1)) - numbers[np.arange(121), run.labels[:, 0]]
        expected = [by_hand[run.train_rows].mean(), by_hand[~run.train_rows].mean(), by_hand.mean()]
        np.testing.assert_allclose(found.loss.sel(step=run.step), expected, rtol=1e-6)
    assert found.excluded_loss_each.notnull().any("step").sum() == 1


def test_the_example_of_the_analysis_room_runs_on_a_sweep_s_file(path, monkeypatch):
    example = textwrap.dedent(analysis.__doc__[analysis.__doc__.index("    import") :])
    monkeypatch.chdir(path.parent)
    exec(example, given := {})
    assert given["losses"].restricted_loss.shape == (3, 3) and given["explained"].dims == ("step",)


def test_attention_of_a_deeper_decoder_is_causal_at_every_position():
    queries, keys = np.random.default_rng(0).normal(size=(2, 5, 3, 2, 4)).astype(np.float32)
    pattern = np.asarray(live.attention(jnp.asarray(queries), jnp.asarray(keys), np.arange(3)))
    for b, q, h in np.ndindex(5, 3, 2):
        scores = np.exp([queries[b, q, h] @ keys[b, k, h] / 2 for k in range(q + 1)])
        np.testing.assert_allclose(pattern[b, q, : q + 1, h], scores / scores.sum(), rtol=1e-5)
        assert (pattern[b, q, q + 1 :, h] == 0).all()


def test_a_user_s_task_model_and_optimizer_are_opened_with_the_same_objects_and_with_no_others(tmp_path):
    out = tmp_path / "mine.npz"
    task = gj.tasks.from_function(lambda x, y: (x**2 + 3 * y) % 11, modulus=11)
    optimizer = gj.optimizers.custom(lambda h: optax.adamw(h.learning_rate), lamb=2.0)
    config = gj.Config(task=task, model=Mine(), optimizer=optimizer, steps=10, batch_size=32, metrics={"norm": my_norm})
    tiny.train(config, width=[12], lamb=[1.0, 2.0], out=out, snapshots=2)
    own = dict(task=task, model=Mine(), optimizer=optimizer, metrics={"norm": my_norm})
    run = gj.open_run(out, lamb=1.0, **own)
    assert run.model.width == 12
    np.testing.assert_allclose(run.loss(), gj.load(out).train_loss.sel(lamb=1.0)[0, -1], rtol=1e-5)
    assert [at.step for at in gj.snapshots(out, lamb=1.0, **own)] == [0, 10]
    held = run.cache(rows=np.arange(4))
    assert held["hidden"].shape == (4, 12) and held["out.input"].min() >= 0
    forward = jax.jvp(run.loss, (run.params,), (run.params,))[1]  # in forward mode too
    np.testing.assert_allclose(forward, optax.tree.vdot(jax.grad(run.loss)(run.params), run.params), rtol=1e-3)
    with pytest.raises(ResultError, match="trained by other code"):
        gj.open_run(out, lamb=1.0, **own | {"task": gj.tasks.modular("add", 11)})
    with pytest.raises(ResultError, match="Pass what you gave to the sweep, such as task="):
        gj.open_run(out, lamb=1.0)


def test_runs_of_arms_that_exchange_their_optimizer_or_leave_alone_what_others_set_are_opened(tmp_path):
    out = tmp_path / "arms.npz"
    arms = {
        "free": dict(optimizer="adam"),
        "decay": dict(optimizer="adamw"),
        "own": dict(b1=0.5),
        "plain": dict(optimizer="sgd", steps=30),
    }
    config = tiny.tiny(steps=20, weight_noise=0.1)
    tiny.train(config, variant=arms, seed=[0, 1], out=out)
    opened = {arm: gj.open_run(out, variant=arm, seed=1).config for arm in arms}
    assert [one.optimizer.weight_decay for one in opened.values()] == [0.0, 1.0, 1.0, 0.0]
    assert [one.optimizer.learning_rate for one in opened.values()] == [1e-3, 1e-3, 3e-3, 1e-2]
    assert [one.steps for one in opened.values()] == [20, 20, 20, 30]
    assert {one.weight_noise for one in opened.values()} == {0.1}


def my_norm(params):
    return optax.tree.norm(params)


def test_an_axis_of_named_models_is_selected_by_name_and_epochs_are_budgets(tmp_path):
    out = tmp_path / "models.npz"
    config = tiny.tiny(epochs=2, centred=True, train_fraction=0.6)
    variants = {name: dict(model=name, num_layers=1, width=8) for name in ("mlp", "resnet")}
    tiny.train(config, arm=variants, init_seed=[3, 4], out=out)
    for arm, kind in (("mlp", gj.models.Mlp), ("resnet", gj.models.ResNet)):
        run = gj.open_run(out, arm=arm, init_seed=4)
        assert isinstance(run.model, kind)
        np.testing.assert_allclose(run.loss(rows="val"), gj.load(out).val_loss.sel(arm=arm, init_seed=4)[-1], rtol=1e-4)
    assert gj.open_run(out, model="mlp", init_seed=3).config.init_seed == 3
