import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny import tiny, train

import grokjax as gj
from grokjax.config import ConfigError
from grokjax.models import MODELS, Decoder, check_logits, fitted
from grokjax.models import fitting as fitting_module
from grokjax.sweeps.grid import Run
from grokjax.tasks import Table, modular

TABLE = modular("add", 5, "a o b =").table()
MIXED = dataclasses.replace(TABLE, part_position=1, part_tokens=(5, 6), name="two tasks")
TWO_ANSWERS = dataclasses.replace(
    TABLE, labels=np.zeros((25, 2), np.int32), answer_positions=(2, 3), name="two answers"
)


class Mine(nn.Module):
    """What a user would write: no settings, no attribute for the task."""

    width: int = 16
    shape: Any = lambda logits: logits[:, None]
    outputs: int = 7

    @nn.compact
    def __call__(self, tokens, *, train=False):
        return self.shape(nn.Dense(self.outputs)(nn.Embed(7, self.width)(tokens).mean(1)))


class Declaring(nn.Module):
    """A user's module that asks for what it needs, and has no switch for training."""

    vocab_size: int | None = None
    num_classes: int | None = None
    answer_positions: tuple[int, ...] | None = None
    part_tokens: tuple[int, ...] | None = None

    @nn.compact
    def __call__(self, tokens):
        logits = nn.Dense(self.num_classes)(nn.Embed(self.vocab_size, 8)(tokens))
        return logits[:, self.answer_positions, :]


def test_a_module_gets_what_it_declares_and_keeps_what_it_was_given():
    model = fitted(Declaring(num_classes=9), MIXED)
    assert (model.vocab_size, model.num_classes, model.answer_positions) == (7, 9, (3,))
    assert model.part_tokens == (5, 6)
    decoder = fitted(Decoder(), MIXED)
    assert (decoder.length, decoder.part_position, decoder.part_tokens) == (4, 1, (5, 6))


@pytest.mark.parametrize("model", [object(), 3, Decoder, lambda tokens: tokens])
def test_what_is_no_module_is_refused(model):
    with pytest.raises(ConfigError, match=r"must be a Flax Linen module.*Try model=Decoder\(\)"):
        fitted(model, TABLE)


@pytest.mark.parametrize("kind", ["encoder_decoder", "lstm", "mlp", "resnet"])
def test_a_model_of_one_answer_is_refused_where_a_row_has_several(kind):
    with pytest.raises(ConfigError, match=f"model={kind} gives one answer per row, and a row of two answers has 2"):
        fitted(MODELS[kind](), TWO_ANSWERS)
    fitted(Decoder(), TWO_ANSWERS)


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_returns_what_is_needed(kind):
    check_logits(fitted(MODELS[kind](width=8), TABLE), TABLE)


def test_a_module_of_one_s_own_will_do():
    check_logits(fitted(Mine(), TABLE), TABLE)
    check_logits(fitted(Declaring(), TWO_ANSWERS), TWO_ANSWERS)
    check_logits(fitted(Mine(outputs=20), TABLE), TABLE)  # more classes than labels do no harm


def one_per_token(logits):
    return jnp.repeat(logits[:, None], 4, axis=1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Mine(outputs=6), r"\[batch, 1, 6\] float32.*\[batch, 1, 7\] float32.*num_classes"),
        (Mine(shape=lambda z: z), r"\[batch, 7\] float32.*\[batch, 1, 7\].*Try returning logits\[:, None\]"),
        (Mine(shape=one_per_token), r"\[batch, 4, 7\] float32.*read at token 3.*self.answer_positions"),
        (Mine(shape=lambda z: z[:, None].astype(jnp.bfloat16)), r"\[batch, 1, 7\] bfloat16.*astype\(jnp.float32\)"),
        (Mine(shape=lambda z: z.sum()), r"returns \[\] float32.*Try returning \[batch, 1, 7\]"),
        (Mine(shape=lambda z: (z[:, None], 3)), r"returns a tuple, no array.*logits alone"),
    ],
)
def test_a_module_that_returns_something_else_is_told_what_to_return(model, message):
    with pytest.raises(ConfigError, match=f"Mine returns.*{message}|Mine {message}"):
        check_logits(fitted(model, TABLE), TABLE)


class Bare(nn.Module):
    """Nothing that could be trained."""

    def __call__(self, tokens):
        return jax.nn.one_hot(tokens[:, -1:], 6)


def test_a_module_without_parameters_is_told_that_nothing_can_be_trained():
    with pytest.raises(ConfigError, match=r"Bare has no parameters, so .* Try .*nn.Dense\(6\).*@nn.compact"):
        train(tiny(batch_size=4), task=gj.tasks.modular("add", 5), model=Bare())


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.complex64, jnp.bool_])
def test_logits_that_have_no_gradient_are_not_told_to_be_converted(dtype):
    with pytest.raises(ConfigError, match=f"{jnp.dtype(dtype).name};.*real scores, which have a gradient"):
        check_logits(fitted(Mine(shape=lambda z: z[:, None].astype(dtype)), TABLE), TABLE)


class Nnx(nnx.Module):
    def __init__(self, width, *, rngs):
        self.embedding, self.output = nnx.Embed(6, width, rngs=rngs), nnx.Linear(width, 6, rngs=rngs)

    def __call__(self, tokens):
        return self.output(self.embedding(tokens).mean(1))[:, None]


def with_nnx(model):
    return gj.Config(
        task=gj.tasks.modular("add", 5), model=model, optimizer=gj.optimizers.AdamW(), batch_size=8, steps=4
    )


@pytest.mark.parametrize("model", [Nnx, Nnx(4, rngs=nnx.Rngs(0))])
def test_an_nnx_module_is_answered_with_the_line_that_makes_it_fit(model):
    message = "model=Nnx is a Flax NNX module.*Try model=flax.nnx.bridge.to_linen\\(Nnx, ...\\)"
    with pytest.raises(ConfigError, match=message):
        with_nnx(model)
    with pytest.raises(ConfigError, match=message):
        fitted(model, TABLE)


def test_that_line_makes_it_fit():
    configs = [with_nnx(nnx.bridge.to_linen(Nnx, width)) for width in (4, 8)]
    assert len({Run((), config).run_id for config in configs}) == 2
    assert train(configs[0]).status == "finished"


def test_a_shape_is_asked_for_once():
    model = fitted(Decoder(width=4), TABLE)
    check_logits(model, TABLE)
    before = fitting_module._output.cache_info().misses
    for _ in range(3):
        check_logits(fitted(Decoder(width=4), TABLE), TABLE)
    assert fitting_module._output.cache_info().misses == before


def test_a_split_mlp_needs_parts_that_a_token_tells_and_that_divide_its_units():
    with pytest.raises(ConfigError, match="x\\+y mod 5 has no such token. Try --split_mlp=false"):
        fitted(Decoder(split_mlp=True), TABLE)
    with pytest.raises(ConfigError, match="13 hidden units do not divide evenly between the 2 parts of two tasks"):
        fitted(Decoder(split_mlp=True, mlp_width=13), MIXED)
    assert fitted(Decoder(split_mlp=True, mlp_width=12), MIXED).split_mlp


def test_tables_without_parts_are_told_apart_from_none():
    assert isinstance(TABLE, Table) and fitted(Decoder(), TABLE).part_position is None
