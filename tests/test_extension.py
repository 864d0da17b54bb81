"""A task, a model, an optimizer and a metric of one's own: the example of docs/own_parts.md, as written there."""

import dataclasses
import functools
import inspect
import itertools
import os
import subprocess
import sys
import types
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
import xarray as xr
from fuzz_library import fuzz_library
from tiny import same_bits, tiny

import grokjax as gj
from grokjax.cli.training import sweep_command
from grokjax.config import OPTIONS, SWEEP_KEYWORDS
from grokjax.sweeps import axes, forecast, programs
from grokjax.sweeps.inventory import Inventory
from grokjax.sweeps.training import Training


def my_filter(lamb):
    """Adds lamb times a running mean of the gradient."""

    def update(gradient, mean, params=None):
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        return jax.tree.map(lambda g, m: g + lamb * m, gradient, mean), mean

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def my_norm(params):
    return optax.global_norm(params)


class Mine(nn.Module):
    """Tokens [batch, length] -> logits [batch, answers, classes]."""

    width: int = 64

    @nn.compact
    def __call__(self, tokens, *, train=False):
        x = nn.Embed(60, self.width)(tokens).reshape(len(tokens), -1)
        return nn.Dense(60)(nn.relu(nn.Dense(self.width)(x)))[:, None]


def make_optimizer():
    return gj.optimizers.custom(
        lambda h: optax.chain(my_filter(h.lamb), optax.adamw(h.learning_rate)), lamb=2.0, learning_rate=1e-2
    )


def make_task():
    return gj.tasks.from_function(lambda x, y: (x**2 + 3 * y) % 59, modulus=59)


def config(**changed):
    parts = dict(task=make_task(), model=Mine(), optimizer=make_optimizer(), metrics={"norm": my_norm})
    return gj.Config(**(parts | dict(steps=40, eval_at="every:20") | changed))


CONFIG = config()


@pytest.fixture(scope="module")
def grid():
    return gj.sweep(CONFIG, lamb=[0.0, 2.0, 5.0], seed=range(2), progress=False, num_devices=1)


def test_the_example_runs_and_each_of_its_parts_is_swept_without_recompiling(grid):
    assert grid.status.dims == ("lamb", "seed") and (grid.status == "finished").all()
    assert (grid.train_loss.isel(step=-1) < grid.train_loss.isel(step=0)).all()
    assert grid.num_train.values.tolist() == [[1740, 1740]] * 3
    assert len(np.unique(grid.train_loss.isel(step=-1))) == 6
    before = programs.compilations
    more = dict(learning_rate=[1e-2, 3e-3], train_fraction=[0.4, 0.5], lamb=2.0, seed=1)
    other = gj.sweep(CONFIG, **more, progress=False, num_devices=1)
    assert programs.compilations == before
    assert same_bits(other.sel(learning_rate=1e-2, train_fraction=0.5), grid.sel(lamb=2.0, seed=1))


def test_its_metric_is_a_curve_and_its_model_has_a_width(grid):
    assert (grid.norm.isel(step=0) > 1).all() and (grid.norm.isel(step=-1) != grid.norm.isel(step=0)).all()
    wide = gj.sweep(config(steps=20), width=[32, 64], progress=False, num_devices=1)
    assert same_bits(wide.sel(width=64), grid.sel(lamb=2.0, seed=0, step=slice(0, 20)))
    assert (wide.norm.sel(width=32) != wide.norm.sel(width=64)).all()


def test_the_same_example_asked_for_again_is_known_and_changed_code_is_not(tmp_path):
    out = tmp_path / "mine.npz"
    keywords = dict(seed=range(2), progress=False, num_devices=1, out=out)
    gj.sweep(config(steps=20), **keywords)
    before = out.read_bytes()
    gj.sweep(config(steps=20), **keywords)
    assert out.read_bytes() == before
    meta = gj.results.read(out)[1]["config"]
    assert meta["model"] == "Mine" and meta["width"] == 64
    assert meta["metrics"] == ["norm=my_norm"] and "#" in meta["task"]
    assert {entry["piece"] for entry in gj.results.read(out)[1]["code"]} == {"model", "optimizer", "metrics.norm"}
    other = gj.tasks.from_function(lambda x, y: (x**2 + 4 * y) % 59, modulus=59)
    with pytest.raises(gj.ConfigError, match="holds another sweep: task is"):
        gj.sweep(config(task=other, steps=20), **keywords)


def test_a_table_of_one_s_own_is_a_task_and_equals_the_same_one_of_ours():
    table = gj.tasks.modular("add", 11).table()
    mine = gj.tasks.from_table(table.inputs, table.labels, vocab_size=table.vocab_size)
    one, other = (
        gj.sweep(tiny(steps=20), task=[task], progress=False, num_devices=1).isel(task=0)
        for task in (mine, gj.tasks.modular("add", 11))
    )
    assert same_bits(one, other)


FILE = """
import flax.linen as nn, optax, jax, jax.numpy as jnp, grokjax as gj
def make_task():
    return gj.tasks.from_function(lambda x, y: (x**2 + 3*y) % 13, modulus=13)
class Mine(nn.Module):
    width: int = 8
    num_classes: int | None = None
    @nn.compact
    def __call__(self, tokens, *, train=False):
        return nn.Dense(self.num_classes)(nn.Embed(14, self.width)(tokens).mean(1))[:, None]
class Wrong(Mine):
    @nn.compact
    def __call__(self, tokens, *, train=False):
        return nn.Dense(5)(nn.Embed(14, self.width)(tokens))
class Raising(Mine):
    @nn.compact
    def __call__(self, tokens, *, train=False):
        raise RuntimeError("boom")
def make_optimizer():
    return gj.optimizers.custom(lambda h: optax.sgd(h.learning_rate * h.lamb), lamb=2.0)
def wrong_optimizer():
    return gj.optimizers.custom(lambda h: 3)
def norm(params):
    return optax.global_norm(params)
def broken():
    raise RuntimeError("no")
def raises(params):
    raise ValueError("boom")
def branching():
    return gj.optimizers.custom(lambda h: optax.sgd(h.learning_rate if h.lamb > 0 else 0.0), lamb=2.0)
def shrinking():
    shrink = lambda updates, state, params: (jax.tree.map(jnp.sum, updates), state)
    return gj.optimizers.custom(lambda h: optax.GradientTransformation(lambda p: (), shrink))
def exits():
    raise SystemExit(5)
number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def run(*arguments):
    sweep_command(["sweep", "--steps=10", "--eval_at=every:5", "--batch_size=32", "--num_devices=1", *arguments])


def test_the_command_line_takes_them_from_a_file_and_their_settings_as_flags(file, tmp_path):
    out = tmp_path / "a.npz"
    parts = (f"--task={file}:make_task", f"--model={file}:Mine", f"--optimizer={file}:make_optimizer")
    run(*parts, f"--metrics={file}:norm,weight_norm", "--lamb=1,2", "--width=8", f"--out={out}")
    grid = gj.load(out)
    assert grid.lamb.values.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(grid.norm, grid.weight_norm, rtol=1e-6)
    with pytest.raises(SystemExit):
        run(*parts, "--num_heads=2", f"--out={out}")


def test_an_operation_may_be_any_formula(tmp_path):
    out = tmp_path / "a.npz"
    run("--operation=x**2+3*y,(x+y)^2", "--modulus=11", "--num_layers=1", "--width=16", f"--out={out}")
    assert gj.load(out).operation.values.tolist() == ["x**2+3*y", "(x+y)^2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--task={file}/no.py:make_task", "names a file that does not exist. Try --task=my_file.py:make_task."),
        ("--task={file}:nothing", "could not be made (AttributeError: module 'mine' has no attribute 'nothing')."),
        ("--task={file}:broken", "could not be made (RuntimeError: no)."),
        ("--task={file}:number", "does not give a task: task=3 is no task. Give one, such as grokjax.tasks.modular("),
        ("--task={file}:make_task --model={file}:Wrong", "Wrong returns [batch, 3, 5] float32; function mod 13 needs"),
        ("--optimizer={file}:wrong_optimizer", "returned int, which is no optax transformation."),
        ("--metrics={file}:number", "is of type int. It must be a function."),
        (
            "--model={file}:Raising",
            "Raising cannot be called on tokens of shape [batch, 3], ids below 98: RuntimeError: boom",
        ),
        ("--metrics={file}:raises", "A program with the metric raises cannot be made: ValueError: boom ("),
        ("--optimizer={file}:branching", "Values are traced: use jax.numpy, and jnp.where in place of if."),
        ("--optimizer={file}:shrinking", "The optimizer's update of ['block_0']"),
        ("--task={file}:make_optimizer", "does not give a task: task=Custom("),
        ("--task={file}:exits", "could not be made (SystemExit: 5)."),
        ("--task={file}", "names a file and nothing in it. Try --task="),
        ("--num_seeds=1000000000", "num_seeds=1000000000 is out of range: it must be at most 1,000,000. Try fewer."),
        ("--seed=0:9999:1 --split_seed=0:9999:1", "The grid has 100,000,000 runs, more than 1,000,000."),
        ("--metrics=wieght_norm", "There is no metric 'wieght_norm'. Did you mean weight_norm?"),
        ("--operation=__import__('os')", "operation="),
        ("--operation=x+z", "operation="),
        ("--operation=2x", "operation="),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(file, tmp_path, capsys, arguments, message):
    out = tmp_path / "a.npz"
    with pytest.raises(SystemExit):
        run(*arguments.format(file=file).split(), f"--out={out}")
    said = capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1 and not out.exists()


def test_the_guide_shows_the_same_example():
    guide = (Path(__file__).parents[1] / "docs" / "own_parts.md").read_text()
    here = Path(__file__).read_text()
    shown = guide[guide.index("class Mine(nn.Module):") :].split("```")[0]
    for line in shown.splitlines():
        words = line.strip().split("  #")[0]
        if words.startswith(("class", "width", "@nn", "def __call__", "x = nn", "return")):
            assert words in here, f"the guide shows a line that is not tried: {words}"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(model=None), "model=None is no model. Give a Flax Linen module, such as grokjax.models.Decoder()."),
        (dict(model=Mine), r"model=the class Mine is no model. Give one of it, such as Mine\(\)"),
        (dict(model="mlp"), "model='mlp' is no model."),
        (dict(optimizer=optax.adam(1e-3)), "It is a chain of optax, whose numbers are fixed."),
        (dict(optimizer=gj.optimizers.AdamW), "optimizer=the class AdamW is no optimizer."),
        (dict(task="modular"), "task='modular' is no task."),
        (dict(task=[5]), r"task=\[5\] is no task."),
        (dict(metrics=None), "metrics=None is no list of names."),
        (dict(metrics=[("a", my_norm), ("a", my_norm)]), "metrics names a twice."),
    ],
)
def test_a_configuration_is_made_of_the_right_things(wrong, message):
    with pytest.raises(gj.ConfigError, match=message):
        config(**wrong)


def test_an_empty_name_of_a_file_is_refused():
    with pytest.raises(gj.ConfigError, match="is no name of a file. Try out='results/sweep.npz'."):
        gj.sweep(config(), out="")


@pytest.mark.parametrize("values", [dict(zip=[[]]), dict(zip=["seed"]), dict(status={"a": {"seed": 1}})])
def test_wrong_groups_and_axes_are_refused(values):
    with pytest.raises(gj.ConfigError, match="no group of names|cannot be an axis"):
        gj.sweep(config(), **values)


def test_the_library_tells_what_does_not_fit():
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            return nn.Dense(60)(nn.Embed(60, 8)(tokens).mean(1))

    with pytest.raises(gj.ConfigError, match=r"Try returning logits\[:, None\]"):
        gj.sweep(config(model=Flat()), progress=False)
    with pytest.raises(gj.ConfigError, match="labels holds 7 at"):
        gj.tasks.from_table([[0, 1], [1, 0]], [7, 0], num_classes=5)
    with pytest.raises(gj.ConfigError, match="gives 59 at x=0, y=59|gives 60|not a whole number from 0 to 58"):
        gj.tasks.from_function(lambda x, y: x + y, modulus=59)


def accepted(monkeypatch, *given, **keywords):
    """The configurations of the runs that a sweep would train; nothing is compiled or trained."""
    asked = []
    monkeypatch.setattr(forecast, "make", lambda grid, runs, groups, where, lanes: where)
    monkeypatch.setattr(Training, "train", lambda self, groups: asked.append((self.request.runs, self.execution)))
    monkeypatch.setattr(Inventory, "dataset", lambda self: None)
    gj.sweep(*given, progress=False, **keywords)
    ((runs, execution),) = asked
    return [run.config for run in runs], execution


@pytest.mark.parametrize(
    "seeds",
    [
        jnp.arange(3),
        np.arange(3),
        pd.Series([0, 1, 2]),
        pd.Index([0, 1, 2]),
        xr.DataArray([0, 1, 2]),
        (0, 1, 2),
        range(3),
        {0: "a", 1: "b", 2: "c"}.keys(),
        dict(a=0, b=1, c=2).values(),
        [np.int64(0), jnp.int32(1), Fraction(2)],
    ],
    ids=lambda seeds: type(seeds).__name__,
)
def test_whatever_holds_values_in_an_order_is_an_axis(seeds, monkeypatch):
    configs, _ = accepted(monkeypatch, tiny(), seed=seeds)
    assert [run.seed for run in configs] == [0, 1, 2] and all(type(run.seed) is int for run in configs)


def test_a_generator_is_an_axis_and_one_without_end_is_refused(monkeypatch):
    configs, _ = accepted(monkeypatch, tiny(), seed=(i * i for i in range(3)))
    assert [run.seed for run in configs] == [0, 1, 4]
    monkeypatch.setattr(axes, "MOST_RUNS", 10)
    with pytest.raises(gj.ConfigError, match="seed has more than 10 values"):
        gj.sweep(tiny(), seed=itertools.count())


@pytest.mark.parametrize("number", [np.int64(2), np.array(2), jnp.int32(2), Fraction(2), Decimal(2), 2.0, np.uint8(2)])
def test_a_number_of_any_kind_is_that_number(number, monkeypatch):
    keywords = dict(seed=number, lanes=number, num_devices=1, checkpoint_minutes=number)
    configs, execution = accepted(monkeypatch, tiny(hold_steps=number), **keywords)
    assert configs == [tiny(hold_steps=2, seed=2)] and type(configs[0].seed) is int
    assert execution.lanes == 2 and execution.checkpoint_minutes == 2.0


def test_a_float_of_few_bits_is_the_decimal_that_it_was_made_from(monkeypatch):
    for values in (np.array([0.3, 0.45], np.float32), jnp.array([0.3, 0.45])):
        configs, _ = accepted(monkeypatch, tiny(), train_fraction=values)
        assert [run.train_fraction for run in configs] == [0.3, 0.45]
    assert tiny(train_fraction=np.float32(0.3)) == tiny(train_fraction=0.3)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (dict(lanes=True), "lanes=True is not a whole number."),
        (dict(lanes=0), "lanes=0 is out of range: it must be at least 1."),
        (dict(lanes=[1]), "lanes=[1] is not a whole number."),
        (dict(num_devices="two"), "num_devices=two is not a whole number."),
        (dict(snapshots=1.5), "snapshots=1.5 is not a whole number."),
        (dict(checkpoint_minutes=True), "checkpoint_minutes=True is not a number."),
        (dict(checkpoint_minutes=10**5000), "checkpoint_minutes=a value of type int is not a number."),
        (dict(overwrite="no"), "overwrite=no is not true or false."),
        (dict(coordinator=1), "coordinator=1 is not a name. Try coordinator='auto' or 'host:port'."),
        (dict(seed={1, 2}), "seed={1, 2} is a set, whose values are in no order. Try seed=sorted(...)."),
        (dict(seed=np.ones((2, 2))), "seed has 2 dimensions, and its values must lie along one."),
        (dict(seed=b"12"), "seed=b'12' is not a whole number."),
        (dict(seed=jax.random.key(0)), "is not a whole number. The default is 0."),
        (dict(num_seeds=10**5000), "num_seeds=a value of type int is out of range: it must be at most 1,000,000."),
        (dict(seed=range(10**30)), "seed has more than 1,000,000 values. Try fewer."),
        (dict(metrics=["weight_norm"]), "Try grokjax.Config(..., metrics=[...])."),
        (dict(seed=10**5000), "seed=a value of type int is out of range"),
        (dict(optimizer=optax.adam(1e-3)), "It is a chain of optax, whose numbers are fixed. Try optimizer="),
        (dict(optimizer=[optax.adam(1e-3)]), "It is a chain of optax, whose numbers are fixed. Try optimizer="),
    ],
)
def test_a_wrong_keyword_is_refused_in_one_line(keywords, message):
    with pytest.raises(gj.ConfigError) as error:
        gj.sweep(tiny(), **keywords)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: tiny(lr=3),
            "lr is a setting of the optimizer, called learning_rate here. Give it where the optimizer",
        ),
        (lambda: tiny(learning_rate=3), "or try grokjax.sweep(config, learning_rate=3)."),
        (lambda: tiny(width=3), "width is a setting of the model. Give it where the model is made"),
        (lambda: tiny(num_seeds=3), "num_seeds is no setting of a run. Try grokjax.sweep(config, num_seeds=3)."),
        (lambda: tiny(out="a.npz"), "out is no setting of a run. Try grokjax.sweep(config, out=a.npz)."),
        (lambda: tiny(stepz=3), "There is no setting of Config 'stepz'. Did you mean steps?"),
        (lambda: tiny(seed=range(3)), "seed=range(0, 3) holds several values, and one run has one of them. Try grokj"),
        (lambda: gj.Config(), "Config needs task=. Give one, such as grokjax.tasks.modular('add', 97)"),
        (lambda: gj.Config(*[None] * 99), "Config cannot be made: too many positional arguments."),
        (lambda: gj.Config(gj.models.Decoder(), 1, 2), "It is a model: try model=..., and name task, model and"),
        (lambda: gj.optimizers.AdamW(lr=3), "lr is called learning_rate here."),
        (lambda: gj.models.Decoder(d_model=3), "d_model is called width here."),
        (lambda: gj.models.Lstm(witdh=3), "There is no setting of Lstm 'witdh'. Did you mean width?"),
        (lambda: gj.tasks.modular("add", p=3), "p is called modulus here."),
        (lambda: config(optimizer=optax.adamw), "Try optimizer=grokjax.optimizers.custom(lambda h: optax.adamw(h.le"),
        (lambda: config(optimizer=optax.contrib.muon), "custom(lambda h: optax.contrib.muon(h.learning_rate))."),
        (lambda: config(optimizer=make_optimizer), "becomes one by grokjax.optimizers.custom(function)."),
    ],
)
def test_what_a_configuration_is_not_made_of_is_answered_by_where_it_belongs(make, message):
    with pytest.raises(gj.ConfigError) as error:
        make()
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_every_keyword_of_sweep_is_known_as_one_and_cannot_be_a_hyperparameter():
    named = {n: p for n, p in inspect.signature(gj.sweep).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert {*named, "num_seeds", "variant"} == set(SWEEP_KEYWORDS)
    assert {name: named[name].default for name in OPTIONS} == {name: option.default for name, option in OPTIONS.items()}
    for name in SWEEP_KEYWORDS:
        with pytest.raises(gj.ConfigError, match=f"{name} is the name of something else already."):
            gj.optimizers.custom(lambda h: optax.sgd(h.learning_rate), **{name: 1.0})


class Small(nn.Module):
    """A model that compiles at once, with dropout."""

    @nn.compact
    def __call__(self, tokens, *, dropout=0.0, train=False):
        x = nn.Embed(13, 8)(tokens).reshape(len(tokens), -1)
        if train:
            x = jnp.where(jax.random.bernoulli(self.make_rng("dropout"), 1 - dropout, x.shape), x, 0.0)
        return nn.Dense(12)(nn.relu(nn.Dense(16)(x)))[:, None]


def swept(build, metrics=(), **keywords):
    """Twenty steps of a user's chain."""
    optimizer = gj.optimizers.custom(build)
    config = dataclasses.replace(
        tiny(steps=20, eval_at="every:10", metrics=metrics), model=Small(), optimizer=optimizer
    )
    return gj.sweep(config, progress=False, num_devices=1, **keywords)


def test_an_update_may_ask_for_the_loss_its_gradient_and_both_as_functions_of_the_parameters():
    def still_where_they_agree(h):
        def update(gradient, state, params, *, key, value, grad, value_fn, obj_fn, grad_fn):
            shifted = jax.tree.map(lambda p, g: p - 0.1 * g, params, grad)  # a little downhill
            again = jax.tree.leaves(jax.tree.map(jnp.subtract, grad_fn(params, 0), gradient))
            right = jnp.array(
                [
                    jnp.allclose(value_fn(params), value, rtol=1e-6),
                    jnp.allclose(obj_fn(params), value, rtol=1e-6),
                    value_fn(shifted) < value,
                    optax.tree.norm(jax.tree.map(jnp.subtract, grad, gradient)) == 0,
                    optax.tree.norm(again) <= 1e-6 * optax.tree.norm(gradient),
                    jax.random.uniform(key) < 1,
                ]
            )
            return jax.tree.map(lambda g: jnp.where(right.all(), 0.0, jnp.nan) * jnp.ones_like(g), gradient), state

        return optax.GradientTransformationExtraArgs(lambda params: (), update)

    grid = swept(still_where_they_agree, dropout=0.3, weight_noise=0.01)  # of one step, also in what is random
    assert len(np.unique(grid.weight_norm)) == 1 and grid.status == "finished"


def test_line_searches_and_sharpness_aware_steps_train():
    searched = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8, store_grad=True))
    grid = swept(lambda h: searched, batch_rule="full")
    assert (np.diff(grid.train_loss) < -0.1).all()

    def sam(h):
        toward = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
        return optax.contrib.sam(optax.sgd(h.learning_rate), toward, sync_period=2, opaque_mode=True)

    def by_hand(h):
        def update(gradient, state, params, *, grad_fn, **extra):
            length = optax.tree.norm(gradient)
            sharp = grad_fn(jax.tree.map(lambda p, g: p + 0.05 * g / length, params, gradient), 0)
            return jax.tree.map(lambda g: -h.learning_rate * g, sharp), state

        return optax.GradientTransformationExtraArgs(lambda params: (), update)

    one, other = (swept(build, learning_rate=0.1) for build in (sam, by_hand))
    np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)


def test_a_schedule_that_compares_its_values_is_refused_with_one_that_works():
    with pytest.raises(gj.ConfigError) as error:
        swept(lambda h: optax.adam(optax.warmup_cosine_decay_schedule(0.0, h.learning_rate, 10, 20)))
    advice = str(error.value).partition("Give it numbers and scale what it returns: ")[2].removesuffix(".")
    schedule = eval(advice, dict(optax=optax, h=types.SimpleNamespace(learning_rate=jnp.float32(0.5))))
    assert [round(float(schedule(step)), 3) for step in (0, 5, 10, 1000)] == [0.0, 0.25, 0.5, 0.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda h: optax.sgd(h.lamb), "Declare it with its default, as in grokjax.optimizers.custom(function, lamb=1"),
        (lambda h: optax.sgd, "returned function, which is no optax transformation."),
        (lambda h: asking("foo"), "An update may ask for key, value, grad, value_fn, obj_fn, grad_fn"),
        (lambda h: optax.chain(optax.identity(), asking(None)), "as optax.GradientTransformation(it.init, it.update)."),
        (lambda h: growing(), "has type float32[3] but the corresponding output carry component has type float32[4]"),
    ],
)
def test_a_chain_that_cannot_be_is_refused_by_what_would_make_it_fit(build, message):
    with pytest.raises(gj.ConfigError) as error:
        swept(build)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def asking(argument):
    """A chain whose update takes one argument that a step does not give, or none at all."""

    def asks(updates, state, params=None, *, foo):
        return updates, state

    def asks_nothing(updates, state, params=None):
        return jax.tree.map(lambda g: -0.1 * g, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: (), asks if argument else asks_nothing)


def growing():
    return optax.GradientTransformation(lambda params: jnp.zeros(3), lambda u, s, p=None: (u, jnp.zeros(4)))


def test_one_that_asks_for_nothing_trains_alone_and_wrapped():
    def wrapped(h):
        return optax.chain(optax.identity(), optax.GradientTransformation(*asking(None)))

    one, other = (swept(build) for build in (lambda h: asking(None), wrapped))
    assert one.status == "finished" and same_bits(one, other)


def focal(logits, labels):
    """The focal loss: cross-entropy times the square of what is missing to a probability of 1."""
    lost = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return lost * (1 - jnp.exp(-lost)) ** 2


def with_loss(loss, **changed):
    values = dict(steps=20, eval_at="every:10") | changed
    return dataclasses.replace(tiny(**values), model=Small(), loss=loss)


def test_a_function_is_a_loss_and_optax_s_cross_entropy_gives_the_runs_of_ours(tmp_path):
    ours = gj.sweep(with_loss("cross_entropy"), progress=False, num_devices=1)
    theirs = optax.softmax_cross_entropy_with_integer_labels
    keywords = dict(loss=theirs, progress=False, num_devices=1, out=tmp_path / "a.npz")
    grid = gj.sweep(with_loss("cross_entropy"), learning_rate=[3e-3, 1e-3], **keywords)
    np.testing.assert_allclose(grid.sel(learning_rate=3e-3).train_loss, ours.train_loss, rtol=1e-5)
    meta = gj.results.read(tmp_path / "a.npz")[1]
    assert meta["config"]["loss"] == theirs.__qualname__
    assert {entry["piece"] for entry in meta["code"]} == {"model", "loss"}


def test_a_run_of_a_loss_of_one_s_own_is_opened_with_it_and_another_is_refused(tmp_path):
    out = tmp_path / "a.npz"
    grid = gj.sweep(with_loss(focal), progress=False, num_devices=1, out=out)
    run = gj.open_run(out, model=Small(), loss=focal)
    np.testing.assert_allclose(run.loss(rows="val"), grid.val_loss.isel(step=-1), rtol=1e-5)
    with pytest.raises(gj.ResultError, match="was trained by a loss of yours, focal. Pass it, as in loss=focal."):
        gj.open_run(out, model=Small())
    with pytest.raises(gj.ResultError, match="was trained by other code"):
        gj.open_run(out, model=Small(), loss=lambda logits, labels: 2 * focal(logits, labels))
    with pytest.raises(gj.ConfigError, match="the loss .*lambda.* computes something else than when a.npz was trained"):
        gj.sweep(with_loss(lambda z, labels: 2 * focal(z, labels)), progress=False, num_devices=1, out=out)


def test_losses_are_compared_under_labels(tmp_path):
    arms = {"plain": {"loss": "cross_entropy"}, "focal": {"loss": focal}}
    keywords = dict(variant=arms, progress=False, num_devices=1, out=tmp_path / "a.npz")
    grid = gj.sweep(with_loss("cross_entropy"), **keywords)
    before = (tmp_path / "a.npz").read_bytes()
    gj.sweep(with_loss("cross_entropy"), **keywords)
    assert (tmp_path / "a.npz").read_bytes() == before
    assert (grid.sel(variant="focal").train_loss < grid.sel(variant="plain").train_loss).all()


def test_a_loss_is_given_no_label_that_is_not_scored():
    def only_real(logits, labels):
        return jnp.where(labels < 0, jnp.nan, gj.losses.cross_entropy(logits, labels))

    logits, labels = jnp.arange(12.0).reshape(2, 2, 3), jnp.array([[1, -1], [-1, 2]])
    lost, ours = (gj.losses.answer_losses(logits, labels, loss) for loss in (only_real, "cross_entropy"))
    np.testing.assert_array_equal(lost, ours)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda z, labels: focal(z, labels).mean(),
            "returned shape () for labels of shape (32, 1). It must return one",
        ),
        (lambda z, labels: None, "returned NoneType for labels of shape (32, 1)."),
        (lambda z: z, "cannot be made: TypeError: "),
        (3, "loss=3 is not a name. The default is cross_entropy."),
        (optax.softmax_cross_entropy, "A program with the model Small and the loss softmax_cross_entropy cannot be"),
        ("hinge", "The losses are cross_entropy, stablemax and mse; from Python, Config(loss=...) takes a function"),
    ],
)
def test_a_loss_that_is_none_is_refused_in_one_line(loss, message):
    with pytest.raises(gj.ConfigError) as error:
        gj.sweep(with_loss(loss), progress=False, num_devices=1)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_schedule_of_a_swept_learning_rate_is_that_schedule_at_every_step():
    def warmed_up(h):
        shape = optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 20)
        return optax.sgd(lambda step: h.learning_rate * shape(step))

    before = programs.compilations
    grid = swept(warmed_up, learning_rate=[0.1, 0.3], batch_rule="full")
    assert programs.compilations == before + 1
    alone = optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.3, 5, 20))
    fixed = swept(lambda h: alone, batch_rule="full")
    np.testing.assert_allclose(grid.sel(learning_rate=0.3).train_loss, fixed.train_loss, rtol=1e-5)
    assert (np.diff(grid.train_loss) < 0).all()


def test_a_platform_that_is_not_there_is_refused_in_one_line(tmp_path):
    command = [sys.executable, "-m", "grokjax", "sweep", "--steps=3", f"--out={tmp_path / 'a.npz'}"]
    done = subprocess.run(command, env=os.environ | {"JAX_PLATFORMS": "cuda"}, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1 and not list(tmp_path.iterdir())
    assert "JAX_PLATFORMS=cuda asks for what JAX cannot use here" in done.stderr
    assert "Try JAX_PLATFORMS=cpu, or, for an NVIDIA GPU, pip install 'jax[cuda12]'." in done.stderr


def test_a_device_that_cannot_be_started_is_refused_with_jax_s_reason(monkeypatch):
    def broken():
        raise RuntimeError("Unable to initialize backend 'cuda': no supported devices found\nand more")

    monkeypatch.setattr(jax, "local_devices", broken)
    with pytest.raises(gj.ConfigError, match=r"\(Unable to initialize backend 'cuda': no supported devices found\);"):
        gj.sweep(tiny(), progress=False)


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("jax_disable_jit", True, False),
        ("jax_default_prng_impl", "rbg", "threefry2x32"),
        ("jax_threefry_partitionable", False, True),
        ("jax_numpy_rank_promotion", "raise", "allow"),
    ],
)
def test_a_setting_of_jax_that_changes_runs_or_forbids_them_is_refused(name, wrong, right):
    before = getattr(jax.config, name)
    jax.config.update(name, wrong)
    try:
        with pytest.raises(gj.ConfigError, match=f"JAX is set to {name}={wrong}.* Try {name.upper()}={right}"):
            gj.sweep(tiny(), progress=False, num_devices=1)
    finally:
        jax.config.update(name, before)


def test_random_keywords_are_refused_in_one_line_or_could_train():
    found = fuzz_library(count=60, seed=2)
    assert not found["wrong"] and found["refused"] and found["accepted"]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda params: "a", "The metric mine returned a str and not a number. Return a scalar or a dictionary of"),
        (lambda params: None, "The metric mine returned a NoneType and not a number."),
        (lambda params: params, "The metric mine returned a dict and not a number."),
        (lambda params: {"a": {"b": 1.0}}, "The metric mine returned a dict and not a number."),
        (lambda params: jnp.complex64(1j), "and not a number."),
        (lambda params: jnp.zeros(3), "The metric mine returned an array of shape (3,)."),
        (lambda params: {1: 1.0, "1": 2.0}, "The metric mine returned '1' twice. Give each scalar its own name."),
        (lambda logits: None, "The metric mine returned a NoneType and not a number."),
        (lambda logits: 1.0, "One that asks for logits returns one number per row."),
        (dict, "The metric mine is of type type. Give a function, or None for ours."),
    ],
)
def test_a_metric_that_returns_no_numbers_is_refused_in_one_line(metric, message):
    with pytest.raises(gj.ConfigError) as error:
        gj.sweep(dataclasses.replace(tiny(metrics={"mine": metric}), model=Small()), progress=False, num_devices=1)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_metric_may_have_parameters_of_its_own_with_defaults():
    def scaled(params, factor=2.0):
        return factor * optax.tree.norm(params)

    mine = {"twice": scaled, "thrice": functools.partial(scaled, factor=3.0)}
    grid = swept(lambda h: optax.sgd(h.learning_rate), metrics=mine)
    np.testing.assert_allclose(grid.twice, 2 * grid.weight_norm, rtol=1e-6)
    np.testing.assert_allclose(grid.thrice, 3 * grid.weight_norm, rtol=1e-6)
