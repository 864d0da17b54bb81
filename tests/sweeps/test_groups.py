"""A group of tensors with a learning rate and a weight decay of its own, in a sweep."""

import jax
import numpy as np
import pytest
from tiny import same_bits, train

import grokjax as gj
from grokjax.config import ConfigError
from grokjax.optimizers import in_group, tensor_paths
from grokjax.sweeps import programs

GROUP = "embedding+*.bias"
RATES = [0.0, 0.1, 1.0]


def tensors(out, **selection):
    """The final parameters of a run by path, and those of them in the group."""
    params = gj.params(out, **selection)
    paths, leaves, inside = tensor_paths(params), *map(jax.tree.leaves, (params, in_group(params, GROUP)))
    return dict(zip(paths, leaves, strict=True)), {path for path, yes in zip(paths, inside, strict=True) if yes}


def test_the_rate_of_a_group_is_an_axis_of_one_program_and_0_freezes_its_tensors_to_the_bit(tmp_path):
    alone = train(group=GROUP, group_rate=0.1)
    before, out = programs.compilations, tmp_path / "grid.npz"
    grid = train(group=GROUP, group_rate=RATES, steps=[1, 60], out=out)
    assert programs.compilations == before
    assert same_bits(grid.sel(group_rate=0.1, steps=60, step=alone.step), alone)
    for rate in RATES:
        first, group = tensors(out, group_rate=rate, steps=1)  # in the first step of a warm-up nothing moves
        last, _ = tensors(out, group_rate=rate, steps=60)
        assert group and group < set(first)
        still = {path for path in first if np.array_equal(first[path], last[path])}
        assert still == (group if rate == 0 else set())


def test_a_pattern_that_names_no_tensor_is_refused_with_the_paths_of_all():
    with pytest.raises(ConfigError) as error:
        train(group="embedding + embeding", steps=20)
    assert str(error.value) == (
        "group=embedding + embeding has the pattern 'embeding', which names none of the tensors of Mlp: "
        "embedding, layer_0.bias, layer_0.kernel, output.bias, output.kernel."
    )
