"""A task, a model, an optimizer and a metric of one's own: the example of the README, as written there."""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import same_bits, tiny

import grokjax as gj
from grokjax.sweeps import programs
from grokjax.sweeps.flags import main


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
    main(["sweep", "--steps=10", "--eval_at=every:5", "--batch_size=32", "--num_devices=1", *arguments], doc="")


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
        ("--num_seeds=1000000000", "seed has 1,000,000,000 values, more than 1,000,000. Try fewer."),
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


def test_the_readme_shows_the_same_example():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    here = Path(__file__).read_text()
    shown = readme[readme.index("class Mine(nn.Module):") :].split("```")[0]
    for line in shown.splitlines():
        words = line.strip().split("  #")[0]
        if words.startswith(("class", "width", "@nn", "def __call__", "x = nn", "return")):
            assert words in here, f"the README shows a line that is not tried: {words}"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(model=None), "model=None is no model. Give a Flax Linen module, such as grokjax.models.Decoder()."),
        (dict(model=Mine), "model=the class Mine is no model."),
        (dict(model="mlp"), "model='mlp' is no model."),
        (dict(optimizer=optax.adam(1e-3)), "is no optimizer. Give one, such as grokjax.optimizers.AdamW()"),
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
    with pytest.raises(gj.ConfigError, match="gives 59 at x=0, y=59|gives 60|no whole number from 0 to 58"):
        gj.tasks.from_function(lambda x, y: x + y, modulus=59)
