"""Rows of features, classes or real targets: the loss and its steps by hand, and all that holds of other runs."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest
from tiny import same_bits, train

import grokjax as gj
from grokjax import runs
from grokjax.models import fitted
from grokjax.runs import Program, RunValues, TableArrays
from grokjax.sweeps import programs

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(24, 5)).astype(np.float32)
CLASSES = RANDOM.integers(0, 3, 24)
TARGETS = RANDOM.normal(size=(24, 2)).astype(np.float32)
TASKS = {
    "classes": gj.tasks.from_table(INPUTS, CLASSES, name="classes"),
    "targets": gj.tasks.from_table(INPUTS, TARGETS, name="targets"),
}
MLP = gj.models.Mlp(num_layers=1, width=6)


def config(task, **changed):
    values = dict(batch_rule="full", train_rows=16, loss="mse", steps=60, eval_at="every:20") | changed
    optimizer = values.pop("optimizer", gj.optimizers.AdamW(learning_rate=1e-2, warmup_steps=0))
    return gj.Config(task=task, model=values.pop("model", MLP), optimizer=optimizer, **values)


def squares(outputs, kind, rows):
    """[rows, outputs] float64: what is squared of each output, times its weight in the mean."""
    wanted = np.eye(3)[CLASSES[rows]] if kind == "classes" else np.float64(TARGETS[rows])
    return (outputs - wanted) / outputs.shape[1] ** 0.5


@pytest.mark.parametrize("kind", TASKS)
def test_a_step_of_gradient_descent_on_the_squared_error_is_that_by_hand(kind):
    told = config(TASKS[kind], optimizer=gj.optimizers.Sgd(learning_rate=0.3, warmup_steps=0), init_scale=3.0)
    table = told.task.table()
    program, values = Program.of(told, table), RunValues.of(told)
    arrays = TableArrays.of(table, program)

    @jax.jit
    def stepped(values, arrays):
        state = runs.init_run(program, values, arrays)
        return state, runs.train_step(program, values, arrays, state), runs.evaluate(program, values, arrays, state)

    state, after, measured = stepped(values, arrays)
    w1, b1, w2, b2 = (
        np.float64(state.params[layer][part]) for layer in ("layer_0", "output") for part in ("kernel", "bias")
    )
    order = np.asarray(state.order)
    means = {}
    for part, rows in (("val", order[16:]), ("train", order[:16])):
        x = np.float64(INPUTS[rows])
        h = np.maximum(x @ w1 + b1, 0)
        error = squares(h @ w2 + b2, kind, rows)
        means[part] = (error**2).sum() / len(rows)
    np.testing.assert_allclose(measured["train_loss"], means["train"], rtol=1e-5)
    np.testing.assert_allclose(measured["val_loss"], means["val"], rtol=1e-5)

    back = 2 * error / error.shape[1] ** 0.5 / 16  # of the outputs
    hidden = back @ w2.T * (h > 0)
    expected = {"layer_0": (x.T @ hidden, hidden.sum(0)), "output": (h.T @ back, back.sum(0))}
    for layer, gradients in expected.items():
        for part, gradient in zip(("kernel", "bias"), gradients, strict=True):
            before = np.float64(state.params[layer][part])
            np.testing.assert_allclose(after.params[layer][part], before - 0.3 * gradient, rtol=1e-4, atol=1e-5)


class Line(nn.Module):
    """y = w.x + c: [batch, features] -> [batch, targets, 1]."""

    num_answers: int | None = None

    @nn.compact
    def __call__(self, features):
        return nn.Dense(self.num_answers)(features)[..., None]


def test_gradient_descent_of_a_line_is_that_of_its_closed_form_and_ends_at_least_squares():
    rate, steps = 0.2, (0, 1, 10, 389)
    sgd = gj.optimizers.Sgd(learning_rate=rate, warmup_steps=0)
    told = config(TASKS["targets"], model=Line(), optimizer=sgd, train_rows=20)
    program, values = Program.of(told, told.task.table()), RunValues.of(told)
    arrays = TableArrays.of(told.task.table(), program)
    state = jax.jit(functools.partial(runs.init_run, program))(values, arrays)
    advance = jax.jit(functools.partial(runs.train_chunk, program))

    rows = np.asarray(state.order)[:20]
    x = np.hstack([INPUTS[rows], np.ones((20, 1))]).astype(np.float64)
    best = np.linalg.lstsq(x, np.float64(TARGETS[rows]), rcond=None)[0]  # [features + 1, targets]
    shrinking = np.eye(6) - rate * x.T @ x / 20  # the loss is the mean over 20 rows and 2 targets
    expected = first = matrix_of(state) - best
    for more in steps:
        state, measured = advance(values, arrays, state, np.int32(more), np.bool_(True), np.bool_(True))
        expected = np.linalg.matrix_power(shrinking, more) @ expected
        np.testing.assert_allclose(matrix_of(state), best + expected, atol=1e-5)
    assert np.abs(first).max() > 0.1 and np.abs(expected).max() < 1e-3
    residual = ((x @ best - TARGETS[rows]) ** 2).mean()
    np.testing.assert_allclose(measured.values[measured.names.index("train_loss")], residual, rtol=1e-4)


def matrix_of(state):
    """[features + 1, targets] float64: the parameters of a line."""
    return np.vstack([np.float64(state.params["Dense_0"][part]) for part in ("kernel", "bias")])


def test_a_prediction_within_the_tolerance_is_right_and_tolerances_are_values(tmp_path):
    out = tmp_path / "a.npz"
    grid = train(config(TASKS["targets"], metrics=("train_mode_accuracy",)), out=out, target_tolerance=[0.3, 1.0])
    before = programs.compilations
    other = train(config(TASKS["targets"], metrics=("train_mode_accuracy",)), target_tolerance=0.6)
    assert programs.compilations == before
    for name in ("train_loss", "val_loss", "weight_norm"):
        np.testing.assert_array_equal(grid[name].sel(target_tolerance=1.0), other[name])
    for tolerance in (0.3, 1.0):
        run = gj.open_run(out, task=TASKS["targets"], target_tolerance=tolerance)
        right = (np.abs(run.logits()[..., 0] - TARGETS) <= tolerance).all(1)
        one = grid.sel(target_tolerance=tolerance).isel(step=-1)
        assert one.train_accuracy == right[run.train_rows].mean().astype(np.float32)
        assert one.val_accuracy == right[~run.train_rows].mean().astype(np.float32)
        np.testing.assert_allclose(run.loss(), one.train_loss, rtol=1e-5)
    assert 0 < grid.val_accuracy.sel(target_tolerance=1.0).max() <= 1 and grid.val_loss.units == "1"
    assert (grid.train_accuracy.sel(target_tolerance=0.3) < grid.train_accuracy.sel(target_tolerance=1.0)).any()


def test_a_run_stops_where_targets_are_met():
    told = config(TASKS["targets"], steps=200, stop_accuracy=0.9, hold_steps=20)
    grid = train(told, target_tolerance=[0.01, 6.0])
    assert grid.status.values.tolist() == ["finished", "stopped"]
    assert np.isinf(grid.steps_to_val_99.values[0]) and grid.steps_to_val_99.values[1] == 0


@pytest.mark.parametrize("kind", TASKS)
def test_a_run_of_features_is_its_own_and_its_values_do_not_recompile(kind):
    grid = train(config(TASKS[kind]), learning_rate=[1e-2, 1e-3], seed=[0, 1])
    before = programs.compilations
    alone = train(config(TASKS[kind]), learning_rate=1e-3, seed=1)
    assert same_bits(grid.sel(learning_rate=1e-3, seed=1), alone)
    assert not same_bits(grid.sel(learning_rate=1e-3, seed=0), alone)
    other = train(config(TASKS[kind]), seed=5, init_scale=8.0, output_scale=2.0, outliers=2)
    assert programs.compilations == before and np.isfinite(other.train_loss).all()


def test_outliers_have_the_targets_of_other_rows(tmp_path):
    out = tmp_path / "a.npz"
    train(config(TASKS["targets"], outliers=5, steps=1), out=out)
    run = gj.open_run(out, task=TASKS["targets"])
    changed = (run.labels != TARGETS).any(1)
    assert changed.sum() == 5 and run.train_rows[changed].all()
    donors = [np.flatnonzero((label == TARGETS).all(1)) for label in run.labels[changed]]
    assert all(len(rows) == 1 and run.train_rows[rows].all() for rows in donors)


def test_classes_of_features_are_learned_by_cross_entropy_and_several_of_a_row():
    labels = np.stack([INPUTS[:, 0] > 0, INPUTS[:, 1] > 0], 1).astype(int)
    told = config(gj.tasks.from_table(INPUTS, labels), metrics=("token_accuracy", "per_answer"), loss="cross_entropy")
    grid = train(told, learning_rate=0.1)
    assert grid.train_accuracy[-1] > 0.9 and grid["train_accuracy.1"][-1] > 0.9 and grid.val_loss.units == "nat"


REFUSED = {
    **{
        kind: (
            config(TASKS["classes"], model=gj.models.MODELS[kind]()),
            f"model={kind} reads tokens, and the inputs of classes are features. Try --model=mlp.",
        )
        for kind in ("decoder", "encoder_decoder", "lstm", "resnet")
    },
    "pool": (
        config(TASKS["classes"], model=gj.models.Mlp(pool="concat")),
        "pool=concat says how tokens are read, and the inputs of classes are features. Leave it out.",
    ),
    "cross-entropy": (
        config(TASKS["targets"], loss="cross_entropy"),
        "loss=cross_entropy needs classes, and the labels of targets are targets. Try --loss=mse.",
    ),
    "metric": (
        config(TASKS["targets"], metrics=("token_accuracy",)),
        "The metric token_accuracy needs classes, and targets has targets. Leave it out.",
    ),
    "gini": (config(TASKS["classes"], metrics=("gini",)), "The metric gini needs a parameter 'embedding'"),
    "pairs": (config(TASKS["classes"], split_by="pair"), "split_by=pair needs rows that are pairs, and classes has"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_suit_a_table_is_refused_in_one_sentence(case):
    told, message = REFUSED[case]
    with pytest.raises(gj.ConfigError) as error:
        train(told)
    assert str(error.value).startswith(message) and len(str(error.value).splitlines()) == 1


class Embedding(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(3)(nn.Embed(9, 4)(tokens).mean(1))[:, None]


class Outputs(nn.Module):
    last: bool = True

    @nn.compact
    def __call__(self, features):
        return nn.Dense(4 if self.last else 2)(features).reshape(-1, *((2, 2) if self.last else (2,)))


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (Embedding(), "classes", "Embedding cannot be called on features of shape [batch, 5]: ValueError: Input type"),
        (
            Outputs(),
            "targets",
            "Outputs returns [batch, 2, 2] float32; targets needs logits of shape [batch, 2, 1] float32: one for each "
            "target. Try returning one number for each target.",
        ),
        (
            Outputs(last=False),
            "targets",
            "Outputs returns [batch, 2] float32; targets needs logits of shape [batch, 2, 1] float32: one for each "
            "target. Try returning logits[..., None].",
        ),
    ],
)
def test_a_module_of_one_s_own_that_does_not_suit_features_or_targets_is_refused(model, kind, message):
    with pytest.raises(gj.ConfigError) as error:
        train(config(TASKS[kind], model=model))
    assert str(error.value).startswith(message)


def test_an_mlp_of_features_counts_its_products():
    model = fitted(gj.models.Mlp(num_layers=3, width=6), TASKS["targets"].table())
    assert model.operations(10) == 2 * 10 * (5 * 6 + 2 * 6 * 6 + 6 * 2)
