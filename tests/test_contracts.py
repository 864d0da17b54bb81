"""The examples of the contracts do what the contracts say, and what lacks something is refused by its name."""

import dataclasses
import inspect
import re
import textwrap

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import grokjax as gj
import grokjax.config
from grokjax.config import CONTRACTS, MetricFunction, MixedTask, RandomTask, SharingModel, StreamTask, offers

NAMES = dict(dataclasses=dataclasses, nn=nn, jax=jax, jnp=jnp, np=np, optax=optax, gj=gj)


def example(contract):
    """What the code in a contract's docstring defines."""
    code = max(re.findall(r"(?:^ {4}.*\n|^\n)+", inspect.getdoc(contract), re.MULTILINE), key=len)
    found = {}
    exec(textwrap.dedent(code), NAMES | {"__name__": __name__}, found)
    (made,) = found.values()
    return made


def test_the_examples_of_the_contracts_are_a_run_that_learns():
    task, model, optimizer = (example(contract)() for contract in CONTRACTS.values())
    metric = example(MetricFunction)
    config = gj.Config(task, model, optimizer, batch_size=8, steps=60, eval_at="every:20", metrics={"largest": metric})
    grid = gj.sweep(config, learning_rate=[1e-3, 1e-2], num_devices=1, progress=False)
    assert (grid.train_loss.isel(step=-1) < grid.train_loss.isel(step=0)).all()
    assert (grid.largest > 0).all() and config.task.name == "parity of 6 bits"


@pytest.mark.parametrize(("which", "left_out"), [("task", "length"), ("task", "name"), ("optimizer", "chain")])
def test_a_part_that_lacks_something_is_refused(which, left_out):
    kind = example(CONTRACTS[which])
    fields = {name: value for name, value in vars(kind).items() if name != left_out and not name.startswith("__")}
    part = dataclasses.dataclass(frozen=True)(
        type(kind.__name__, (), fields | {"__annotations__": kind.__annotations__})
    )
    parts = dict(task=gj.tasks.modular(), model=gj.models.Decoder(), optimizer=gj.optimizers.AdamW())
    with pytest.raises(gj.ConfigError, match=f"is no {which}.") as error:
        gj.Config(**parts | {which: part()})
    if which == "task":
        assert f"It lacks {left_out}: see help(grokjax.config.Task)." in str(error.value)


def test_our_own_parts_offer_what_they_declare():
    assert offers(gj.tasks.Mixture(), MixedTask) and offers(gj.tasks.modular("random"), RandomTask)
    assert offers(gj.tasks.Digits(), StreamTask) and not offers(gj.tasks.modular(), StreamTask)
    assert offers(gj.models.Decoder(), SharingModel) and not offers(gj.models.Mlp(), MixedTask)


@pytest.mark.parametrize("which", CONTRACTS)
def test_every_kind_of_ours_has_what_its_contract_asks_for(which):
    kinds = {"task": gj.tasks.TASKS, "model": gj.models.MODELS, "optimizer": gj.optimizers.OPTIMIZERS}[which]
    for kind in kinds.values():
        assert offers(kind(), CONTRACTS[which])
