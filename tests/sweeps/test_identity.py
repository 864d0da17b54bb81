"""Two runs are the same run exactly if their settings are the same and their code computes the same."""

import dataclasses
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import flax.linen as nn
import numpy as np
import optax
import pytest
from tiny import DECODER, run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.runs import Program
from grokjax.sweeps import code, identity
from grokjax.sweeps.grid import make_grid
from grokjax.sweeps.identity import Run, describe


def run_id(**changed):
    (run,) = make_grid(dataclasses.replace(tiny(), **changed), {}).runs()
    return run.run_id


class Mine(nn.Module):
    depths: tuple
    rate: float = 0.1
    act: object = nn.relu
    inner: tuple = (1,)

    @nn.compact
    def __call__(self, tokens, *, train=False, dropout=0.0):
        x = nn.Embed(12, 8)(tokens).mean(1)
        for depth in self.depths:
            x = self.act(nn.Dense(depth)(x))
        return nn.Dense(12)(x)[:, None] * self.inner[0]


SMALL = dict(num_layers=1, width=16, num_heads=2)


class Deeper(gj.models.Decoder):
    own: int = 3


def test_every_field_of_a_user_s_model_tells_runs_apart():
    models = [
        Mine((4,)),
        Mine((64,)),
        Mine((4,), rate=0.2),
        Mine((4,), act=nn.gelu),
        Mine((4,), inner=(2,)),
        Deeper(**SMALL),
        Deeper(**SMALL, own=4),
        DECODER,
        dataclasses.replace(DECODER, vocab_size=99),
    ]
    ids = [run_id(model=model) for model in models]
    assert len(set(ids)) == len(models)
    assert ids == [run_id(model=dataclasses.replace(model)) for model in models]


def test_models_that_differ_in_a_field_that_is_no_number_are_trained_apart():
    arms = {"small": {"model": Mine((4,))}, "big": {"model": Mine((64,))}}
    grid = train(tiny(steps=20), m=arms)
    assert not same_bits(grid.sel(m="small"), grid.sel(m="big"))
    assert same_bits(grid.sel(m="big"), train(tiny(steps=20), model=Mine((64,))))


class Named(Mine):
    modulus: int = 5
    dropout: float = 0.1


def test_a_model_s_field_that_is_called_as_another_setting_hides_nothing_and_cannot_be_swept():
    tasks = [gj.tasks.modular("add", 11), gj.tasks.modular("add", 7), gj.tasks.modular("multiply", 11)]
    assert len({run_id(model=Named((4,)), task=task, batch_size=1) for task in tasks}) == 3
    assert run_id(model=Named((4,)), dropout=0.5) != run_id(model=Named((4,)))
    with pytest.raises(gj.ConfigError, match="modulus=7 is a setting of the task and of the model"):
        make_grid(tiny(), dict(model=Named((4,)), modulus=7)).runs()
    with pytest.raises(gj.ConfigError, match="dropout=0.0 is a setting of the model and of the run"):
        make_grid(tiny(), dict(model=Named((4,)), dropout=[0.0, 0.9])).runs()


def test_a_function_s_task_is_known_by_its_answers():
    def task(k, operands=2):
        return gj.tasks.from_function(lambda x, y=0: (k * x + y) % 7, 7, operands=operands, name="t")

    assert run_id(task=task(1), batch_size=1) == run_id(task=task(8), batch_size=1)
    others = {run_id(task=t, batch_size=1) for t in (task(1), task(3), task(1, operands=1))}
    assert len(others) == 3


def test_a_finished_result_is_returned_under_the_labels_and_in_the_order_asked_for(tmp_path):
    out = tmp_path / "a.npz"
    arms = {"a": {"learning_rate": 0.1}, "b": {"learning_rate": 1e-3}}
    first = train(tiny(steps=20), v=arms, out=out)
    swapped = {"b": arms["a"], "a": arms["b"]}
    again = train(tiny(steps=20), v=swapped, out=out)
    assert again.v.values.tolist() == ["b", "a"]
    for old, new in (("a", "b"), ("b", "a")):
        assert same_bits(first.sel(v=old), again.sel(v=new))
    assert train(tiny(steps=20), v={"b": arms["b"]}, out=out).v.values.tolist() == ["b"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(train_rows=40, train_fraction=[0.3, 0.7]), "train_fraction=0.3 and 0.7 make the same runs"),
        (dict(task="digits", batch_rule="stream", outliers=[0, 5]), "outliers=0 and 5 make the same runs"),
    ],
)
def test_an_axis_without_effect_is_refused(values, message):
    with pytest.raises(gj.ConfigError, match=message):
        make_grid(tiny(), values).runs()


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("loss", lambda logits: logits[:, 0, 0]),
        ("val_accuracy", lambda step: step),
        ("num_train", lambda step: step),
        ("learning_rate", lambda step: step),
        ("seed", lambda step: step),
        ("step", lambda step: step),
        ("weight_norm", lambda step: step),
        ("no name", lambda step: step),
    ],
)
def test_a_metric_may_not_bear_the_name_of_something_else(name, metric):
    with pytest.raises(gj.ConfigError, match="metrics"):
        train(tiny(metrics={"tensor_norms": None, name: metric}), seed=[0, 1])
    if name != "weight_norm":
        with pytest.raises(gj.ConfigError, match="metrics"):
            train(tiny(metrics={"weight_norm": None, name: metric}), seed=[0, 1])


def test_a_run_ends_at_the_loss_it_is_told_to_end_at():
    whole = train(tiny(steps=60))
    reached = float(whole.train_loss[0])
    stopped = train(tiny(steps=60), stop_loss=100.0)
    assert stopped.status == "stopped" and int(stopped.last_step) == 0 and reached > 0
    assert train(tiny(steps=60), stop_loss=0.0).status == "finished"


def test_the_initial_weight_norm_is_always_stored():
    grid = train(tiny(DECODER, steps=20), norm="none", init_scale=[1.0, 2.0])
    norms = grid.weight_norm.sel(step=0).values
    assert norms[1] == pytest.approx(2 * norms[0], rel=1e-6) and np.isfinite(norms).all()


SHIPPED = {
    "demo/quickstart-quick c215cc1e1125c42e": dict(
        task=gj.tasks.modular("add", 53),
        model=gj.models.Decoder(
            num_layers=1, width=64, norm="none", bias="mlp", positions="learned", init_scheme="nanda"
        ),
        optimizer=gj.optimizers.AdamW(learning_rate=3e-3),
        values=dict(seed=10, train_fraction=0.3, batch_size=288, steps=6000, stop_accuracy=0.99),
    ),
    "pku/equal_rows-quick b7cd9031c033f865": dict(
        task=gj.tasks.modular("add", 23, "a o b ="),
        model=gj.models.EncoderDecoder(),
        optimizer=gj.optimizers.AdamW(warmup_steps=0),
        values=dict(
            train_rows=370,
            batch_rule="fixed",
            batch_size=64,
            dropout=0.1,
            steps=8000,
            eval_at="log:100",
            stop_accuracy=0.99,
            metrics=("train_mode_accuracy", "unswapped_accuracy"),
        ),
    ),
} | {
    f"pku/architectures-part {run_id}": dict(
        task=gj.tasks.modular("add", 47, "a o b ="),
        model=kind(),
        optimizer=gj.optimizers.AdamW(learning_rate=7e-4, warmup_steps=0, b1=0.96, b2=0.99),
        values=dict(
            train_fraction=0.3,
            batch_rule="fixed",
            batch_size=80,
            epochs=100_000,
            eval_at="log:100",
            stop_accuracy=0.99,
            metrics="unswapped_accuracy",
        ),
    )
    for kind, run_id in ((gj.models.Mlp, "d1b11b9c27663961"), (gj.models.ResNet, "4ed68fdd9b61644f"))
}


@pytest.mark.parametrize("shipped", SHIPPED)
def test_runs_of_results_that_ship_keep_their_identity_whatever_settings_were_added_since(shipped):
    told, (result, expected) = dict(SHIPPED[shipped]), shipped.split()
    config = gj.Config(**told.pop("values"), **told)
    assert Run((), config).run_id == expected
    with np.load(Path(__file__).parents[2] / "results" / "reference" / f"{result}.npz") as held:
        assert expected in held["run_id"]


def test_a_setting_that_was_added_later_tells_runs_apart_where_it_is_not_the_default():
    models = [gj.models.Mlp(), gj.models.Mlp(activation="gelu"), gj.models.Mlp(pool="concat"), gj.models.Decoder()]
    models += [gj.models.Decoder(activation="gelu"), gj.models.Mlp(pool="concat", activation="gelu")]
    assert len({run_id(model=model) for model in models}) == len(models)
    table = tiny().task.table()
    assert len({Program.of(dataclasses.replace(tiny(), model=model), table) for model in models}) == len(models)
    told = describe(dataclasses.replace(tiny(), model=gj.models.Mlp()))
    assert (told["activation"], told["pool"]) == ("relu", "mean"), "a result tells them all the same"


def test_a_sweep_of_another_activation_is_refused_by_its_name(tmp_path):
    out = tmp_path / "a.npz"
    train(tiny(steps=1), model=gj.models.Mlp(1, 4, activation="tanh"), out=out)
    with pytest.raises(gj.ConfigError, match="activation is tanh there and relu here"):
        train(tiny(steps=1), model=gj.models.Mlp(1, 4), out=out)


class Doubled(gj.models.Decoder):
    """A subclass that computes something else than what the savings of its base assume."""

    def __call__(self, tokens, *, train=False, dropout=0.0, counts=None):
        return 2 * super().__call__(tokens, train=train, dropout=dropout, counts=counts)


def test_a_subclass_that_overrides_a_model_is_trained_as_it_computes():
    model = Doubled(num_layers=1, width=16, num_heads=2)
    one, other = train(tiny(model, steps=20)), train(tiny(DECODER, steps=20), output_scale=2.0)
    np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)


SOURCE = """
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import helpers

CALLS = []
FACTOR = 2.0

class Mine(nn.Module):
    @nn.compact
    def __call__(self, tokens, *, train=False):
        CALLS.append(1)
        x = nn.Embed(12, 8)(tokens).mean(1)
        return nn.Dense(12)(helpers.act(nn.Dense(8)(x)))[:, None]

def build(h):
    return optax.sgd(FACTOR * h.learning_rate)

def norm(params):
    return FACTOR * optax.tree.norm(params)

def of_rows(logits, labels, loss_dtype):
    return logits[:, 0, 0].astype(jnp.float32) * FACTOR
"""
"""A user's file, which uses another and changes a global each time it is called."""

HELPERS = "import jax\ndef act(x):\n    return jax.nn.relu(x)\n"


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A function that runs the user's file in one namespace, as cells of a notebook are, with parts replaced."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    namespace = types.ModuleType("cells").__dict__

    def run(*replaced, helpers=HELPERS):
        (tmp_path / "helpers.py").write_text(helpers)
        importlib.invalidate_caches()
        sys.modules.pop("helpers", None)
        source = SOURCE
        for old, new in replaced:
            assert old in source
            source = source.replace(old, new)
        exec(source, namespace)
        return namespace

    yield run
    sys.modules.pop("helpers", None)


def own(cells):
    return dict(
        model=cells["Mine"](),
        optimizer=gj.optimizers.custom(cells["build"]),
        metrics={"norm": cells["norm"], "first": cells["of_rows"]},
    )


@pytest.mark.parametrize(
    "edit",
    [
        ("nn.Dense(8)", "nn.Dense(64)"),
        ("helpers.act(nn.Dense(8)(x))", "helpers.act(nn.Dense(8)(jax.lax.stop_gradient(x)))"),
        ("return optax.sgd(", "return optax.adam("),
        ("FACTOR = 2.0", "FACTOR = 3.0"),
        ("return FACTOR * optax.tree.norm(params)", "return FACTOR + optax.tree.norm(params)"),
        ("logits[:, 0, 0]", "logits[:, 0, 1]"),
    ],
)
def test_an_edited_cell_makes_another_run(notebook, edit):
    before = run_id(**own(notebook()))
    assert run_id(**own(notebook(edit))) != before
    assert run_id(**own(notebook())) == before


def test_an_edited_helper_in_another_file_makes_another_run_and_a_comment_does_not(notebook):
    before = run_id(**own(notebook()))
    commented = HELPERS.replace("return", "# as everybody does\n    return")
    assert run_id(**own(notebook(("x = nn.Embed", "# a comment\n        x = nn.Embed"), helpers=commented))) == before
    assert run_id(**own(notebook(helpers=HELPERS.replace("relu", "gelu")))) != before


def test_a_global_that_code_changes_while_it_runs_makes_no_other_run(notebook):
    cells = notebook()
    ids = {run_id(**own(cells)) for _ in range(2)}
    assert len(ids) == 1 and len(cells["CALLS"]) > 2


def test_code_is_known_again_by_another_process(notebook, tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    script = "import mine; from test_identity import own, run_id; print(run_id(**own(vars(mine))))"
    notebook()
    folders = os.pathsep.join([str(tmp_path), *sys.path])
    ids = set()
    for number in "12":
        env = os.environ | {"PYTHONPATH": folders, "PYTHONHASHSEED": number}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
        ids.add(done.stdout.strip() or done.stderr)
    importlib.invalidate_caches()
    assert ids == {run_id(**own(vars(importlib.import_module("mine"))))}


def test_a_result_of_edited_code_is_refused_and_named(notebook, tmp_path):
    out = tmp_path / "a.npz"
    model = notebook()["Mine"]()
    first = train(tiny(steps=20), model=model, out=out)
    assert same_bits(
        first, train(tiny(steps=20), model=notebook(("import optax", "import optax as optax"))["Mine"](), out=out)
    )
    for edited in (notebook(("nn.Dense(8)", "nn.Dense(64)")), notebook(helpers=HELPERS.replace("relu", "gelu"))):
        with pytest.raises(gj.ConfigError, match="the model Mine computes something else than when a.npz"):
            train(tiny(steps=20), model=edited["Mine"](), out=out)


def test_a_helper_edited_within_a_process_is_trained_as_it_is_now(notebook):
    cells = notebook()
    model = cells["Mine"]()
    before = train(tiny(steps=20), model=model)
    cells["helpers"].act = nn.gelu
    after = train(tiny(steps=20), model=model)
    assert not same_bits(before, after)
    assert same_bits(after, train(tiny(steps=20), model=notebook(helpers=HELPERS.replace("relu", "gelu"))["Mine"]()))


def test_an_edited_function_answers_as_it_does_now():
    scope = {"k": 1}
    task = gj.tasks.from_function(lambda x, y: (scope["k"] * x + y) % 11, 11)
    config = dataclasses.replace(tiny(), task=task)
    before = make_grid(config, {}).runs()[0].run_id
    scope["k"] = 2
    (run,) = make_grid(config, {}).runs()
    assert run.run_id != before
    assert run.config.task.table().labels[11, 0] == 2


def test_an_edited_file_that_a_command_line_names_is_read_again(tmp_path):
    file = tmp_path / "mine.py"

    def factor(k):
        file.write_text(f"import grokjax as gj\ntask = gj.tasks.from_function(lambda x, y: ({k} * x + y) % 7, 7)\n")
        os.utime(file, ns=(k, k))
        (run,) = make_grid(tiny(batch_size=8), {"task": f"{file}:task"}).runs()
        return run.config.task.table().labels[7, 0]

    assert [factor(2), factor(3)] == [2, 3]


def test_unchanged_source_is_the_same_code_under_other_versions_and_says_so(notebook, tmp_path, monkeypatch, capsys):
    out = tmp_path / "a.npz"
    model = notebook()["Mine"]()
    train(tiny(steps=20), model=model, out=out, seed=[0])
    monkeypatch.setattr(identity, "versions", lambda: {"jax": "99.0"})
    lowered = code._lowered
    monkeypatch.setattr(code, "_lowered", lambda *arguments: lowered(*arguments) + "in other words")
    gj.sweep(tiny(steps=20), model=model, out=out, seed=[0, 1], num_devices=1, progress=True)
    assert "The model Mine is taken as the one in" in capsys.readouterr().err
    assert run_steps(out) == 20
    with pytest.raises(gj.ConfigError, match="the model Mine computes something else"):
        train(tiny(steps=20), model=notebook(("nn.Dense(8)", "nn.Dense(64)"))["Mine"](), out=out, seed=[0, 1])


def test_optimizers_that_differ_in_their_code_alone_make_an_axis():
    def chain(factor):
        return gj.optimizers.custom(lambda h: optax.sgd(h.learning_rate * factor))

    chains = [chain(1), chain(100)]
    grid = train(tiny(steps=20), optimizer=chains)
    assert len(set(grid.optimizer.values)) == 2
    assert not same_bits(grid.isel(optimizer=0), grid.isel(optimizer=1))
    with pytest.raises(gj.ConfigError, match="given twice"):
        make_grid(tiny(), dict(optimizer=[chains[0], chains[0]]))
