"""Each metric against NumPy on a state of a real run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from grokjax import losses, metrics, runs
from grokjax.config import Config, ConfigError
from grokjax.models import Decoder, Mlp
from grokjax.optimizers import Sgd
from grokjax.runs import Program, RunValues, TableArrays
from grokjax.tasks import Mixture, modular


def config(**changed):
    defaults = dict(
        task=modular("x^2+x*y+y^2", 7, "<eos> a o b = c <eos>"),
        model=Decoder(num_layers=1, width=8, num_heads=2, mlp_width=16),
        optimizer=Sgd(learning_rate=0.5, warmup_steps=0),
        batch_rule="fixed",
        batch_size=10,
        train_fraction=0.5,
    )
    return Config(**(defaults | changed))


class Run:
    """A run advanced by some steps and measured, with all that is needed to measure it again by hand."""

    def __init__(self, told, num_steps):
        self.config, self.table = told, told.task.table()
        self.program = Program.of(told, self.table)
        self.values, self.arrays = RunValues.of(told), TableArrays.of(self.table, self.program)
        init, chunk = _compiled(self.program)
        self.first = init(self.values, self.arrays)
        true = np.True_
        state = self.first
        if num_steps:
            state, _ = chunk(self.values, self.arrays, state, np.int32(0), true, true)
        self.state, measured = chunk(self.values, self.arrays, state, np.int32(num_steps), true, np.False_)
        self.measured = dict(zip(measured.names, np.asarray(measured.values).tolist(), strict=True))
        order = np.asarray(self.state.order)
        self.train, self.val = order[: told.num_train], order[told.num_train :]
        self.labels = np.asarray(self.state.labels)

    def logits(self, params, rows=slice(None)):
        return np.asarray(_applied(self.program.model)({"params": params}, self.table.inputs), np.float64)[rows]

    def answers(self, params, rows=slice(None)):
        """[rows, answers] losses and whether right."""
        z, labels = self.logits(params, rows), self.labels[rows]
        top = z.max(-1, keepdims=True)
        log_p = z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))
        return -np.take_along_axis(log_p, labels[..., None], -1)[..., 0], z.argmax(-1) == labels


@functools.cache
def _compiled(program):
    return tuple(jax.jit(functools.partial(f, program)) for f in (runs.init_run, runs.train_chunk))


@functools.cache
def _applied(model):
    return jax.jit(model.apply)


def norm(leaves):
    return np.sqrt(sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in leaves))


PLAIN = dict(task=modular("add", 7), model=Mlp(num_layers=1, width=8))
"""One answer, on a model that compiles twice as fast."""

EVERYTHING = (
    "weight_norm", "tensor_norms", "distance", "gradient_norm", "tensor_gradient_norms", "effective_learning_rate",
    "effective_gradient", "train_mode_loss", "train_mode_accuracy", "token_accuracy", "per_answer",
    "unswapped_accuracy",
)  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return Run(config(metrics=EVERYTHING), 3)


def test_norms_are_those_of_the_parameters(run):
    params, first = run.state.params, run.first.params
    assert run.measured["weight_norm"] == pytest.approx(norm(jax.tree.leaves(params)), rel=1e-5)
    kernel = params["block_0"]["query"]["kernel"]
    assert run.measured["tensor_norms.block_0.query.kernel"] == pytest.approx(norm([kernel]), rel=1e-5)
    assert len([name for name in run.measured if name.startswith("tensor_norms.")]) == len(jax.tree.leaves(params))
    moved = jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), params, first)
    assert run.measured["distance"] == pytest.approx(norm(jax.tree.leaves(moved)), rel=1e-4)
    weight_norm = norm(jax.tree.leaves(params))
    assert run.measured["effective_learning_rate"] == pytest.approx(0.5 / weight_norm**2, rel=1e-5)
    expected = run.measured["gradient_norm"] * weight_norm
    assert run.measured["effective_gradient"] == pytest.approx(expected, rel=1e-5)


def test_norms_of_the_weights_that_a_model_declares_scale_invariant():
    model = Decoder(num_layers=1, width=8, num_heads=2, norm="pre", inner_norm=True, positions="learned")
    run = Run(config(model=model, metrics=("invariant_norms", "tensor_norms", "tensor_gradient_norms")), 3)
    for name, tensors in (("weight", "tensor_norms"), ("gradient", "tensor_gradient_norms")):
        expected = np.sqrt(sum(run.measured[f"{tensors}.{path}"] ** 2 for path in model.scale_invariant))
        assert run.measured[f"invariant_norms.{name}"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match="a model that declares scale-invariant weights"):
        Run(config(metrics=("invariant_norms",)), 1)


def test_running_means_are_over_the_batches_since_the_last_evaluation(run):
    batches = [run.train[:10], run.train[10:20], run.train[20:]]
    assert [len(batch) for batch in batches] == [10, 10, 4]
    params, norms, kernels, lost, right = run.first.params, [], [], 0.0, 0.0

    def loss(params, rows, counts):
        z = run.program.model.apply({"params": params}, jnp.asarray(run.table.inputs)[rows])
        picked = jnp.take_along_axis(jax.nn.log_softmax(z), jnp.asarray(run.labels)[rows][..., None], -1)
        return -(picked.mean((1, 2)) * counts).sum() / counts.sum()

    slope = jax.jit(jax.grad(loss))

    for rows in batches:
        losses, correct = run.answers(params, rows)
        lost, right = lost + losses.mean(1).sum(), right + correct.all(1).sum()
        gradient = slope(params, np.resize(rows, 10), (np.arange(10) < len(rows)).astype(np.float32))
        norms.append(norm(jax.tree.leaves(gradient)))
        kernels.append(norm([gradient["output"]]))
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradient)
    reference.assert_trees_close(run.state.params, params, 1e-5)
    assert run.measured["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-4)
    assert run.measured["tensor_gradient_norms.output"] == pytest.approx(np.mean(kernels), rel=1e-4)
    assert run.measured["train_mode_loss"] == pytest.approx(lost / 24, rel=1e-4)
    assert run.measured["train_mode_accuracy"] == pytest.approx(right / 24, rel=1e-6)


def test_running_means_begin_anew_after_an_evaluation_that_was_due_and_only_then(run):
    _, chunk = _compiled(run.program)
    begin = np.int32(2), np.True_
    kept, _ = chunk(run.values, run.arrays, run.first, *begin, np.False_)
    anew, _ = chunk(run.values, run.arrays, run.first, *begin, np.True_)
    assert kept.means["steps"] == 2 and anew.means["steps"] == 0
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(anew.means))
    reference.assert_trees_identical(kept.params, anew.params)


def test_before_the_first_step_there_is_no_mean_over_steps():
    measured = Run(config(metrics=EVERYTHING), 0).measured
    assert np.isnan(measured["gradient_norm"]) and np.isnan(measured["train_mode_loss"])


def test_each_answer_has_its_own_loss_and_accuracy(run):
    losses, right = run.answers(run.state.params)
    for side, rows in (("train", run.train), ("val", run.val)):
        for i in (0, 1):
            assert run.measured[f"{side}_loss.{i}"] == pytest.approx(losses[rows, i].mean(), rel=1e-4)
            assert run.measured[f"{side}_accuracy.{i}"] == pytest.approx(right[rows, i].mean(), rel=1e-6)
        assert run.measured[f"{side}_token_accuracy"] == pytest.approx(right[rows].mean(), rel=1e-6)
        assert run.measured[f"{side}_accuracy"] == pytest.approx(right[rows].all(1).mean(), rel=1e-6)
    assert losses[:, 0].mean() != pytest.approx(losses[:, 1].mean(), rel=0.1)


def test_unswapped_rows_are_those_whose_other_order_does_not_train(run):
    operands = [tuple(row) for row in run.table.inputs[:, [1, 3]].tolist()]
    trained = {operands[row] for row in run.train}
    unswapped = [row for row in run.val if operands[row][::-1] not in trained]
    assert 0 < len(unswapped) < len(run.val)
    _, right = run.answers(run.state.params)
    assert run.measured["unswapped_accuracy"] == pytest.approx(right[unswapped].all(1).mean(), rel=1e-6)


def test_the_parts_of_a_mixture_are_measured_apart_and_random_rows_do_not_validate():
    task = Mixture(modulus=7, second_rows=20)
    run = Run(config(task=task, metrics=("parts",), train_rows=30), 2)
    losses, right = run.answers(run.state.params)
    first, second = task.table().parts
    train = {0: run.train[run.train < 49], 1: run.train[run.train >= 49]}
    assert [len(train[i]) for i in (0, 1)] == [30, 20]
    for i, name in ((0, first), (1, second)):
        assert run.measured[f"train_loss.{name}"] == pytest.approx(losses[train[i]].mean(), rel=1e-4)
        assert run.measured[f"train_accuracy.{name}"] == pytest.approx(right[train[i]].mean(), rel=1e-6)
    val = run.val[run.val < 49]
    assert run.measured["val_loss"] == run.measured[f"val_loss.{first}"] == pytest.approx(losses[val].mean(), rel=1e-4)
    assert np.isnan(run.measured[f"val_loss.{second}"])


def test_of_a_collapsed_row_the_right_class_has_no_gradient_and_the_others_have():
    logits, labels = jnp.array([[[20.0, 0.0]], [[16.0, 0.0]], [[0.0, 20.0]]]), jnp.zeros((3, 1), jnp.int32)
    collapsed = metrics.softmax_collapse(logits, labels, "float32")
    slope = jax.grad(lambda z: losses.cross_entropy(z, labels).sum())(logits)[:, 0]
    assert collapsed.tolist() == [1, 0, 0]
    assert ((slope[:, 0] == 0) == (collapsed == 1)).all() and (slope[:, 1] > 0).all()
    assert slope[0, 1] == pytest.approx(np.exp(-20), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_collapse_counts_the_rows_whose_sum_is_exactly_one_at_the_right_class(dtype):
    told = config(**PLAIN, metrics=("softmax_collapse",), loss_dtype=dtype, output_scale=60.0)
    run = Run(told, 2)
    z = (run.logits(run.state.params).astype(np.float32) * np.float32(60)).astype(dtype)
    total = np.exp(z - z.max(-1, keepdims=True)).sum(-1)
    collapsed = (total == 1) & (z.argmax(-1) == run.labels)
    for side, rows in (("train", run.train), ("val", run.val)):
        assert run.measured[f"{side}_softmax_collapse"] == pytest.approx(collapsed[rows].mean(), rel=1e-6)
    if dtype == "float32":
        assert 0 < collapsed[run.train].mean() < 1


def test_the_centred_function_is_zero_at_first_and_scaled_by_alpha_later():
    told = config(**PLAIN, centred=True, output_scale=5.0)
    classes = Program.of(told, told.task.table()).model.num_classes
    assert Run(told, 0).measured["train_loss"] == pytest.approx(np.log(classes), rel=1e-6)
    run = Run(told, 2)
    z = 5 * (run.logits(run.state.params) - run.logits(run.first.params))
    top = z.max(-1, keepdims=True)
    log_p = z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_p, run.labels[..., None], -1)[run.train].mean()
    assert run.measured["train_loss"] == pytest.approx(expected, rel=1e-4)


def test_weight_noise_acts_in_training_alone():
    quiet, noisy = (Run(config(**PLAIN, weight_noise=noise), 1) for noise in (0.0, 0.3))
    reference.assert_trees_identical(quiet.first.params, noisy.first.params)
    assert not np.array_equal(quiet.state.params["embedding"], noisy.state.params["embedding"])
    losses, _ = noisy.answers(noisy.state.params)
    assert noisy.measured["train_loss"] == pytest.approx(losses[noisy.train].mean(), rel=1e-4)


@pytest.mark.parametrize("modulus", [7, 8])
def test_the_gini_metric_is_the_measure_of_the_same_name(modulus):
    from grokjax.analysis import groups, spectra
    from grokjax.analysis.gini import gini

    run = Run(config(task=modular("add", modulus, "a o b ="), metrics=("gini",)), 2)
    group = groups.cyclic(modulus)
    by_map = spectra.output_spectrum(spectra.output_map(run.state.params), group)
    by_embedding = spectra.embedding_spectrum(run.state.params["embedding"], group)
    assert run.measured["gini.output_map"] == pytest.approx(float(gini(by_map)), rel=1e-4)
    assert run.measured["gini.embedding"] == pytest.approx(float(gini(by_embedding)), rel=1e-4)
    assert run.measured["gini.embedding"] > 0.01
    with pytest.raises(ConfigError, match="gini needs a parameter 'embedding', and this model has kernel"):
        metrics.gini({"kernel": jnp.ones((3, 2))}, jnp.zeros((4, 1), jnp.int32))


def my_norm(params):
    return sum((leaf**2).sum() for leaf in jax.tree.leaves(params)) ** 0.5


def margin(logits, labels):
    right = jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return (right - logits.mean(-1)).mean(-1)


def test_a_user_s_metrics_are_told_what_they_ask_for_by_name():
    both = {"norm": my_norm, "margin": margin, "at": lambda step, train: {"step": step, "rows": train.sum()}}
    run = Run(config(**PLAIN, metrics=both | {"weight_norm": None}), 2)
    assert run.measured["norm"] == pytest.approx(run.measured["weight_norm"], rel=1e-6)
    z = run.logits(run.state.params)
    expected = (np.take_along_axis(z, run.labels[..., None], -1)[..., 0] - z.mean(-1)).mean(-1)
    assert run.measured["val_margin"] == pytest.approx(expected[run.val].mean(), rel=1e-4, abs=1e-5)
    assert run.measured["at.step"] == 2 and run.measured["at.rows"] == 24


def evaluated_at_once(program, values, arrays):
    return runs.evaluate(program, values, arrays, runs.init_run(program, values, arrays))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("weight_nrm", "There is no metric 'weight_nrm'. Did you mean weight_norm? Known: "),
        ({"mine": 3}, "The metric mine is of type int. Give a function, or None for ours."),
        (
            {"mine": lambda wieghts: 0},
            "The metric mine asks for 'wieghts', which there is not. It may ask for: ",
        ),
        (
            {"mine": lambda logits, params: 0},
            "The metric mine asks for 'params', which there is not. It may ask for: ",
        ),
        ("parts", "The metric parts needs rows that have a part; x+y mod 7 has none. Leave it out."),
        ({"mine": lambda logits: 0.0}, "The metric mine returned an array of shape () for 49 rows. One that asks for "),
        ({"mine": lambda right: right}, "The metric mine returned an array of shape (49, 1). Return a scalar or a "),
    ],
)
def test_a_metric_that_cannot_be_is_refused(asked, message):
    with pytest.raises(ConfigError) as error:
        told = config(**PLAIN, metrics=asked)
        table = told.task.table()
        program = Program.of(told, table)
        arrays, values = TableArrays.of(table, program), RunValues.of(told)
        jax.eval_shape(functools.partial(evaluated_at_once, program), values, arrays)
    assert str(error.value).startswith(message)


def test_every_metric_of_ours_is_tested_here_by_name():
    assert set(EVERYTHING) | {"parts", "softmax_collapse", "gini", "invariant_norms"} == set(metrics.METRICS)
