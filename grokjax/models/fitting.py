"""A model meets the table it is to learn: what it needs to know is filled in, what it returns is checked."""

import dataclasses
import functools
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import ChoosyModel, ConfigError, nnx_advice, offers
from grokjax.tasks.table import Table


def fitted(model, table: Table):
    """`model` with what it declares and leaves None filled in from the table it is to learn.

    Args:
      model: a Linen module. Of `vocab_size`, `num_classes`, `num_answers`, `length`, `answer_positions`,
        `part_position` and `part_tokens` it declares what it needs. If it has a method `check_table(table)`, that may
        refuse; one `caveat(table)` may return a sentence, which a sweep says before it trains.
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
        num_answers=table.num_answers,
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
      ConfigError: unless it returns [batch, answers, classes] float32 with at least the table's number of classes, or
        one number for each target: what it returned, what is needed, what to try; or what it raised.
    """
    answers, length = table.num_answers, table.inputs.shape[1]
    try:
        found, dtype, trains = _output(model, length, table.inputs.dtype.name)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        what = "features" if table.has_features else "tokens"
        ids = "" if table.has_features else f", ids below {table.vocab_size}"
        raise ConfigError(
            f"{type(model).__name__} cannot be called on {what} of shape [batch, {length}]{ids}: "
            f"{type(error).__name__}: {reason:.300}"
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
            f"one for each {_answer(table)}. {hint}"
        )


ROWS = 2
"""Rows of the batch that shapes are tried on."""


@functools.lru_cache(maxsize=256)
def _output(model: nn.Module, length: int, dtype: str) -> tuple[tuple[int, ...] | None, str, bool]:
    """The shape and dtype a model returns for `ROWS` rows of inputs, or None and a type; whether it has parameters."""
    inputs = jax.ShapeDtypeStruct((ROWS, length), dtype)
    train = {"train": False} if "train" in call_arguments(type(model)) else {}

    def logits(inputs):
        streams = dict(zip(("params", "dropout"), jax.random.split(jax.random.key(0)), strict=True))
        variables = model.init(streams, inputs, **train)
        return model.apply(variables, inputs, **train), variables.get("params", {})

    found, params = jax.eval_shape(logits, inputs)
    trains = bool(jax.tree.leaves(params))
    if isinstance(found, jax.ShapeDtypeStruct):
        return found.shape, found.dtype.name, trains
    return None, f"a {type(found).__name__}", trains


@functools.lru_cache(maxsize=256)
def parameter_shapes(model: nn.Module, length: int, dtype: np.dtype):
    """The parameters of a fitted model as shapes, for rows of so many tokens or features; nothing is computed."""
    inputs = jax.ShapeDtypeStruct((1, length), dtype)
    return jax.eval_shape(lambda inputs: model.init(jax.random.key(0), inputs)["params"], inputs)


def forget() -> None:
    """Forgets what models have returned, since what they refer to may have changed."""
    _output.cache_clear()
    parameter_shapes.cache_clear()


def _hint(found: tuple[int, ...], dtype: str, length: int, table: Table) -> str | None:
    """What to try where a model returns `found`; None where that will do."""
    answers, classes = table.num_answers, table.num_classes
    if len(found) == 3 and found[:2] == (ROWS, answers):
        if table.has_targets and found[2] != 1:
            return "Try returning one number for each target."
        if found[2] < classes:
            return "Try declaring num_classes: int | None = None and as many outputs; the table's number is filled in."
        if dtype == "float32":
            return None
        if not jnp.issubdtype(dtype, jnp.floating):
            return "Try returning what these are computed from: real scores, which have a gradient."
        return "Try logits.astype(jnp.float32)."
    if found == (ROWS, answers) and table.has_targets:
        return "Try returning logits[..., None]."
    if len(found) == 2 and found[0] == ROWS and answers == 1:
        return "Try returning logits[:, None]."
    if len(found) == 3 and found[:2] == (ROWS, length) and not table.has_features:
        return (
            "Try declaring answer_positions: tuple[int, ...] | None = None, which is filled in, and returning "
            "logits[:, self.answer_positions, :]."
        )
    return f"Try returning [batch, {answers}, {classes}]."


def _answer(table: Table) -> str:
    """What of a table there is a logit for."""
    if table.has_targets:
        return "target"
    places = ", ".join(map(str, table.answer_positions))
    return f"answer (read at token {places}) and class" if places else "answer and class"
