"""A model meets the table it is to learn: what it needs to know is filled in, what it returns is checked."""

import dataclasses
import functools
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokjax.config import ChoosyModel, ConfigError, nnx_advice, offers
from grokjax.tasks.table import Table


def fitted(model, table: Table):
    """`model` with what it declares and leaves None filled in from the table it is to learn.

    Args:
      model: a Linen module. Of `vocab_size`, `num_classes`, `length`, `answer_positions`, `part_position` and
        `part_tokens` it declares what it needs. If it has a method `check_table(table)`, that may refuse; one
        `caveat(table)` may return a sentence, which a sweep says before it trains.
      table: the examples.

    Returns:
      A module that can be initialised.

    Raises:
      ConfigError: if `model` is no Linen module, or does not suit the table.
    """
    if advice := nnx_advice(model):
        raise ConfigError(advice)
    if not isinstance(model, nn.Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        hint = f"{model.__name__}()" if isinstance(model, type) and issubclass(model, nn.Module) else "Decoder()"
        raise ConfigError(
            f"model must be a Flax Linen module (an instance of a subclass of flax.linen.Module), not {got}. "
            f"Try model={hint}."
        )
    if offers(model, ChoosyModel):
        model.check_table(table)
    known = dict(
        vocab_size=table.vocab_size,
        num_classes=table.num_classes,
        length=table.inputs.shape[1],
        answer_positions=table.answer_positions,
        part_position=table.part_position,
        part_tokens=table.part_tokens,
    )
    declared = {f.name for f in dataclasses.fields(model)}
    return model.clone(
        **{name: value for name, value in known.items() if name in declared and getattr(model, name) is None}
    )


def call_arguments(kind: type) -> frozenset[str]:
    """The arguments that the `__call__` of a kind of model takes."""
    return frozenset(inspect.signature(kind.__call__).parameters)


def check_logits(model: nn.Module, table: Table) -> None:
    """Checks, without computing anything, that a fitted model returns logits that the table's labels can be held to.

    Args:
      model: what `fitted` returned.
      table: the examples.

    Raises:
      ConfigError: unless it returns [batch, answers, classes] float32 with at least the table's number of classes:
        what it returned, what is needed, what to try; or what it raised.
    """
    answers, length = len(table.answer_positions), table.inputs.shape[1]
    try:
        found, dtype, trains = _output(model, length)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{type(model).__name__} cannot be called on tokens of shape [batch, {length}], ids below "
            f"{table.vocab_size}: {type(error).__name__}: {reason:.300}"
        ) from error
    if not trains:
        raise ConfigError(
            f"{type(model).__name__} has no parameters, so there is nothing to train. Try a layer in its __call__, "
            f"such as nn.Dense({table.num_classes}), decorated with @nn.compact."
        )
    needed = f"[batch, {answers}, {table.num_classes}] float32"
    if found is None:
        problem = f"{dtype}, no array"
        hint = "Try returning the logits alone."
    else:
        shown = ", ".join(map(str, ("batch", *found[1:]) if found[:1] == (ROWS,) else found))
        problem = f"[{shown}] {dtype}"
        hint = _hint(found, dtype, length, table)
    if hint:
        raise ConfigError(
            f"{type(model).__name__} returns {problem}; {table.name} needs logits of shape {needed}: "
            f"one for each answer (read at token {_places(table)}) and class. {hint}"
        )


ROWS = 2
"""Rows of the batch that shapes are tried on."""


@functools.lru_cache(maxsize=256)
def _output(model: nn.Module, length: int) -> tuple[tuple[int, ...] | None, str, bool]:
    """The shape and dtype a model returns for `ROWS` rows of tokens, or None and a type; whether it has parameters."""
    tokens = jax.ShapeDtypeStruct((ROWS, length), jnp.int32)
    train = {"train": False} if "train" in call_arguments(type(model)) else {}

    def logits(tokens):
        streams = dict(zip(("params", "dropout"), jax.random.split(jax.random.key(0)), strict=True))
        variables = model.init(streams, tokens, **train)
        return model.apply(variables, tokens, **train), variables.get("params", {})

    found, params = jax.eval_shape(logits, tokens)
    trains = bool(jax.tree.leaves(params))
    if isinstance(found, jax.ShapeDtypeStruct):
        return found.shape, found.dtype.name, trains
    return None, f"a {type(found).__name__}", trains


@functools.lru_cache(maxsize=256)
def parameter_shapes(model: nn.Module, length: int):
    """The parameters of a fitted model as shapes, for rows of so many tokens; nothing is computed."""
    tokens = jax.ShapeDtypeStruct((1, length), jnp.int32)
    return jax.eval_shape(lambda tokens: model.init(jax.random.key(0), tokens)["params"], tokens)


def forget() -> None:
    """Forgets what models have returned, since what they refer to may have changed."""
    _output.cache_clear()
    parameter_shapes.cache_clear()


def _hint(found: tuple[int, ...], dtype: str, length: int, table: Table) -> str | None:
    """What to try where a model returns `found`; None where that will do."""
    answers, classes = len(table.answer_positions), table.num_classes
    if len(found) == 3 and found[:2] == (ROWS, answers):
        if found[2] < classes:
            return "Try declaring num_classes: int | None = None and as many outputs; the table's number is filled in."
        if dtype == "float32":
            return None
        if not jnp.issubdtype(dtype, jnp.floating):
            return "Try returning what these are computed from: real scores, which have a gradient."
        return "Try logits.astype(jnp.float32)."
    if len(found) == 2 and found[0] == ROWS and answers == 1:
        return "Try returning logits[:, None]."
    if len(found) == 3 and found[:2] == (ROWS, length):
        return (
            "Try declaring answer_positions: tuple[int, ...] | None = None, which is filled in, and returning "
            "logits[:, self.answer_positions, :]."
        )
    return f"Try returning [batch, {answers}, {classes}]."


def _places(table: Table) -> str:
    return ", ".join(map(str, table.answer_positions))
