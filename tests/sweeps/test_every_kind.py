"""Every task, model and optimizer there is: it learns, its runs are its own, and its values do not recompile."""

import numpy as np
import pytest
from tiny import same_bits, tiny, train

import grokjax as gj
from grokjax.config import RUN, settings
from grokjax.models import MODELS
from grokjax.optimizers import DECAYS, OPTIMIZERS
from grokjax.sweeps import programs
from grokjax.tasks import TASKS

SMALL = dict(modulus=7, tokens="a o b =", batch_rule="full", train_fraction=0.8, eval_at="every:50", width=16)

MODEL_CASES = {
    "Power et al.": dict(model="decoder", num_heads=2),
    "Nanda et al.": dict(
        model="decoder", num_heads=2, num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda"
    ),
    "Nanda et al., attention only": dict(model="decoder", num_heads=2, norm="none", mlp_width=0, positions="learned"),
    "Melnik et al.": dict(
        model="decoder",
        num_heads=2,
        num_layers=1,
        norm="pre",
        inner_norm=True,
        norm_affine=False,
        init_scheme="normal",
        tokens="a b",
    ),
    "Melnik et al., BatchNorm": dict(
        model="decoder",
        num_heads=2,
        norm="pre",
        inner_norm=True,
        norm_kind="batch",
        tokens="a b",
        batch_rule="shuffled",
        batch_size=16,
    ),
    "Huang et al., split": dict(
        model="decoder", num_heads=2, split_mlp=True, task="mixture", norm="none", second_rows=20, train_rows=20
    ),
    "encoder-decoder": dict(model="encoder_decoder", num_heads=2, num_layers=1, modulus=5),
    "encoder-decoder, zero is padding, dropout": dict(
        model="encoder_decoder", num_heads=2, num_layers=1, modulus=5, zero_is_padding=True, dropout=0.05, steps=250
    ),
    "LSTM": dict(model="lstm", num_layers=1),
    "MLP": dict(model="mlp", num_layers=2),
    "ResNet": dict(model="resnet"),
    "ResNet, unshared": dict(model="resnet", shared=False),
}


def case(told):
    """The settings of a case, over those that all have; a mixture has but one way to be written."""
    merged = SMALL | told
    return {name: value for name, value in merged.items() if "task" not in merged or name != "tokens"}


def test_every_kind_has_a_case():
    assert {told["model"] for told in MODEL_CASES.values()} == set(MODELS)
    assert {told["optimizer"] for told in OPTIMIZER_CASES.values()} == set(OPTIMIZERS)
    assert {told["task"] for told in TASK_CASES.values()} == set(TASKS)
    assert {told.get("decay", "zero") for told in OPTIMIZER_CASES.values()} == set(DECAYS)


@pytest.mark.parametrize("name", MODEL_CASES)
def test_every_model_memorises_and_its_runs_are_their_own_without_recompiling(name):
    told = case(MODEL_CASES[name])
    grid = train(tiny(steps=150), **told, learning_rate=[1e-2, 1e-3], weight_decay=0.0, seed=[0, 1])
    assert (grid.train_accuracy.sel(learning_rate=1e-2).max("step") > 0.99).all()
    assert grid.train_loss.sel(learning_rate=1e-2).isel(step=0).min() > 1
    before = programs.compilations
    alone = train(tiny(steps=150), **told, learning_rate=1e-3, weight_decay=0.0, seed=1, init_scale=1.0)
    assert same_bits(grid.sel(learning_rate=1e-3, seed=1), alone)
    assert not same_bits(grid.sel(learning_rate=1e-3, seed=0), alone)
    other = train(tiny(steps=50), **told, seed=5, init_scale=0.5, output_scale=2.0, outliers=1)
    assert programs.compilations == before and np.isfinite(other.train_loss).all()


PLAIN = dict(model="mlp", num_layers=1, learning_rate=3e-2)
OPTIMIZER_CASES = {
    "AdamW": dict(optimizer="adamw"),
    "Adam, dropout": dict(
        optimizer="adam", model="decoder", num_heads=2, num_layers=1, dropout=0.1, learning_rate=1e-2
    ),
    "Adam, L2 in the gradient": dict(optimizer="adam", decay="gradient", weight_decay=1e-3),
    "AdamW towards init": dict(optimizer="adamw", decay="init"),
    "AdamW, jiggle": dict(optimizer="adamw", decay="jiggle"),
    "AdamW, update noise": dict(optimizer="adamw", update_noise=0.5),
    "Adam, gradient noise, clipped": dict(optimizer="adam", gradient_noise=1e-3, clip_norm=0.5),
    "AdamW, weight noise": dict(optimizer="adamw", weight_noise=0.01),
    "AdamW, Grokfast EMA": dict(optimizer="adamw", grokfast="ema"),
    "AdamW, Grokfast MA": dict(optimizer="adamw", grokfast="ma", grokfast_window=5),
    "AdamW, orthogonal gradient": dict(optimizer="adamw", orthogonal_gradient=True),
    "AdamW on a sphere": dict(optimizer="adamw", fixed_norm=True),
    "AdamW, StableMax": dict(optimizer="adamw", loss="stablemax"),
    "AdamW, float64 loss": dict(optimizer="adamw", loss_dtype="float64"),
    "AdamW, float16 loss": dict(optimizer="adamw", loss_dtype="float16"),
    "AdamW, centred": dict(optimizer="adamw", centred=True, output_scale=3.0),
    "SGD, momentum": dict(optimizer="sgd_momentum", learning_rate=0.1),
    "SGD, minibatches": dict(optimizer="sgd_momentum", batch_rule="fixed", batch_size=16, learning_rate=0.05),
    "SGD, a group": dict(optimizer="sgd", learning_rate=0.5, weight_decay=1e-3, group="embedding", group_rate=0.5),
    "RMSprop": dict(optimizer="rmsprop", learning_rate=1e-2),
    "RMSprop, momentum": dict(optimizer="rmsprop", momentum=0.5, learning_rate=1e-3),
    "Muon": dict(optimizer="muon"),
}


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_every_optimizer_lowers_the_loss_and_its_runs_are_their_own_without_recompiling(name):
    told = SMALL | PLAIN | OPTIMIZER_CASES[name] | dict(warmup_steps=0, eval_at="every:30")
    grid = train(tiny(steps=60), **told, seed=[0, 1])
    assert (grid.train_loss.isel(step=-1) < 0.9 * grid.train_loss.isel(step=0)).all()
    before = programs.compilations
    assert same_bits(grid.sel(seed=1), train(tiny(steps=60), **told, seed=1))
    optimizer = OPTIMIZERS[told["optimizer"]]
    moved = {
        n: value for n, f in settings(optimizer).items() if f.metadata["role"] == RUN and (value := other(f, told))
    }
    changed = train(tiny(steps=60), **told | moved, seed=1)
    assert programs.compilations == before
    assert not same_bits(changed, grid.sel(seed=1))


def other(field, told):
    """Another value of a hyperparameter; None for one that is off, which would be another program or refused."""
    value = told.get(field.name, field.default)
    if field.metadata["on"] is not None and value == 0 or field.name.startswith("group_") and "group" not in told:
        return None
    return value * 0.9 or 0.1


TASK_CASES = {
    "modular": dict(task="modular", operation="x^2+x*y+y^2+x", modulus=7),
    "Power et al.'s tokens": dict(task="modular", modulus=7, tokens="<eos> a o b = c <eos>", vocab_size=50),
    "three operands, ordered": dict(task="modular", modulus=7, operands=3, ordered=True, tokens="a o b ="),
    "random labels, all rows": dict(task="modular", operation="random_symmetric", modulus=7, train_fraction=1.0),
    "split by pair": dict(task="modular", modulus=7, split_by="pair"),
    "outliers": dict(task="modular", modulus=7, outliers=5),
    "rows by count": dict(task="modular", modulus=7, train_rows=20),
    "small batches": dict(task="modular", modulus=7, batch_rule="shuffled", batch_size=512, min_batches=2),
    "permutations": dict(task="permutations", degree=3, operation="xyx^-1"),
    "mixture": dict(task="mixture", modulus=7, second_rows=10, train_rows=30),
    "digits": dict(task="digits", digits=2, examples=60, train_rows=40),
    "digits without carry": dict(task="digits", digits=2, examples=60, train_rows=40, carry=False),
    "digits without end": dict(task="digits", digits=2, examples=60, batch_rule="stream", batch_size=32),
    "repeated": dict(task="repeated", vocabulary=9, sequence_length=14, subsequence=3, repeats=2, examples=60),
    "repeated without end": dict(
        task="repeated",
        vocabulary=9,
        sequence_length=14,
        subsequence=3,
        repeats=2,
        examples=60,
        batch_rule="stream",
        batch_size=32,
    ),
    "skip trigrams": dict(task="skip_trigram", num_trigrams=3, vocabulary=12, sequence_length=5, examples=60),
    "skip trigrams without end": dict(
        task="skip_trigram",
        num_trigrams=3,
        vocabulary=12,
        sequence_length=5,
        examples=60,
        batch_rule="stream",
        batch_size=32,
    ),
    "sparse parity": dict(task="sparse_parity", bits=8, parity_bits=2, examples=60),
    "sparse parity without end": dict(
        task="sparse_parity", bits=8, parity_bits=1, examples=60, batch_rule="stream", batch_size=32
    ),
    "teacher": dict(task="teacher", features=4, examples=60, loss="mse"),
    "polynomial without end": dict(
        task="polynomial", features=3, examples=60, loss="mse", batch_rule="stream", batch_size=32
    ),
}

FEATURES = ("teacher", "polynomial")
NEEDS_ORDER = {n for n, told in TASK_CASES.items() if told["task"] not in ("modular", "permutations", "mixture")}
NEEDS_ORDER -= {n for n, told in TASK_CASES.items() if told["task"] in FEATURES}
NEEDS_ORDER |= {"Power et al.'s tokens"}
"""Tasks of several answers, or that the mean of a row's embeddings does not solve."""


@pytest.mark.parametrize("name", TASK_CASES)
def test_every_task_can_be_trained_on_and_its_runs_are_their_own(name):
    told = dict(batch_rule="full", eval_at="every:40", num_layers=1, learning_rate=1e-2) | TASK_CASES[name]
    if name in NEEDS_ORDER:
        told |= dict(model="decoder", width=16, num_heads=2)
    metrics = ("token_accuracy",) if name == "repeated" else ()
    grid = train(tiny(steps=80, metrics=metrics), **told, seed=[0, 1])
    endless, memory = told["batch_rule"] == "stream", told.get("train_fraction") == 1.0
    lowered = grid.val_loss if endless else grid.train_loss
    assert (lowered.isel(step=-1) < 0.9 * lowered.isel(step=0)).all()
    assert np.isnan(grid.train_loss).all() == endless and np.isnan(grid.val_loss).all() == memory
    assert (grid.num_train == (0 if endless else tiny_rows(told))).all()
    assert (grid.status == "finished").all()
    assert same_bits(grid.sel(seed=1), train(tiny(steps=80, metrics=metrics), **told, seed=1))
    assert not same_bits(grid.sel(seed=0), grid.sel(seed=1))


def tiny_rows(told):
    """Training rows, counted from the arguments."""
    if told["task"] == "mixture":
        return told["train_rows"] + told["second_rows"]
    drawn = dict.fromkeys(("digits", "repeated", "skip_trigram", "sparse_parity", *FEATURES), 60)
    rows = ({"permutations": 36} | drawn).get(told["task"], 49)
    rows = 84 if told.get("operands") == 3 else rows  # 7 * 8 * 9 / 6 multisets of three of seven
    return told.get("train_rows") or int(rows * told.get("train_fraction", 0.5))


def test_a_deep_model_steps_and_one_that_no_device_holds_is_refused():
    grid = train(tiny(steps=2, eval_at="every:2"), model="decoder", num_layers=4, width=16, num_heads=2)
    assert np.isfinite(grid.train_loss).all()
    with pytest.raises(gj.ConfigError, match="A device would need about"):
        train(tiny(), model="decoder", num_layers=8, width=65536, num_heads=4)
