"""Programs for accelerators not at hand: they lower, their forms compute the same, and what they move is counted."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import DECODER, same_bits, tiny, train

from grokjax.config import ConfigError
from grokjax.experiments.speed import accelerators, benchmark, hlo
from grokjax.models import attention, rows
from grokjax.sweeps import programs
from grokjax.sweeps.engine import make_groups
from grokjax.sweeps.grid import make_grid


def group_of(workload):
    """The group of a workload of the benchmark."""
    keywords = benchmark.preset(workload).overridden({})
    (group,) = make_groups(make_grid(keywords.pop("config"), keywords, keywords.pop("zip")).runs())
    return group


@pytest.mark.parametrize("workload", benchmark.WORKLOADS)
def test_every_workload_lowers_for_cuda(workload):
    group = group_of(workload)
    text = programs.lower(group.program, group.values, group.arrays, 2, "cuda").as_text()
    assert "stablehlo.while" in text and re.search(r"tensor<2x\d+x\d+xf32>", text)


def test_lowered_for_a_tpu_rows_are_taken_by_products_and_lanes_take_turns():
    (group,) = make_groups(make_grid(tiny(DECODER), {}).runs())
    cpu, tpu = (programs.lower(group.program, group.values, group.arrays, 3, name).as_text() for name in ("cpu", "tpu"))
    assert cpu.count("stablehlo.dot_general") < tpu.count("stablehlo.dot_general")
    assert cpu.count('"stablehlo.scatter"') > tpu.count('"stablehlo.scatter"')
    alone = programs.lower(group.program, group.values, group.arrays, 1, "tpu").as_text()
    assert tpu.count("stablehlo.while") == alone.count("stablehlo.while") + 1


def test_lanes_that_take_turns_compute_what_they_do_at_once(monkeypatch):
    told = dict(seed=range(3), lanes=3, steps=20)
    at_once = train(**told)
    monkeypatch.setitem(programs.TOGETHER, "cpu", 2)
    programs.forget()
    in_turns = train(**told)
    programs.forget()
    np.testing.assert_allclose(in_turns.train_loss, at_once.train_loss, rtol=1e-5)
    assert not same_bits(in_turns.sel(seed=0), in_turns.sel(seed=1))


@pytest.mark.parametrize("queries", [1, 3])
def test_the_forms_of_attention_for_a_tpu_are_those_for_others(queries):
    random = np.random.default_rng(0)
    query, key = (jnp.asarray(random.normal(size=(5, n, 2, 4)), jnp.float32) for n in (queries, 3))
    weights = jnp.asarray(random.normal(size=(5, queries, 3, 2)), jnp.float32)
    for ours, tpus, operands in (
        (attention._pair_scores, attention._pair_scores_tpu, (query, key)),
        (attention._mix, attention._mix_tpu, (weights, key)),
    ):
        plain, other = ours(*operands, "highest"), tpus(*operands, "highest")
        assert plain.shape == other.shape
        np.testing.assert_allclose(other, plain, rtol=1e-5, atol=1e-6)


def test_rows_taken_by_a_product_are_the_rows_and_their_derivatives_are_the_same():
    random = np.random.default_rng(0)
    x, index = jnp.asarray(random.normal(size=(2, 7, 6)) * 1e5, jnp.float32), jnp.array([[0, 6, 6], [3, 0, 1]])
    places = jnp.asarray(random.integers(-9, 9, (2, 3, 6)), jnp.float32)  # whose sums are exact
    assert np.array_equal(rows._take_tpu(x, index, 1), rows._take(x, index, 1))
    assert np.array_equal(rows._add_tpu(places, index, 1, 7), rows._add(places, index, 1, 7))
    assert rows._take_tpu(x, index, 0).shape == rows._take(x, index, 0).shape == (2, 3, 7, 6)


def test_rows_are_those_of_the_index_differentiated_mapped_and_transposed():
    random = np.random.default_rng(1)
    x, index = jnp.asarray(random.normal(size=(2, 7, 2, 3)), jnp.float32), jnp.array([[[0, 6, 6]], [[3, 0, 1]]])

    def loss(take):
        return lambda x: sum(jnp.sin(take(x[lane], index[lane])).sum() for lane in range(2))

    ours, plain = (jax.value_and_grad(loss(take)) for take in (rows.rows_of, lambda x, i: x[i]))
    for one, other in zip(ours(x), plain(x), strict=True):
        assert np.array_equal(one, other)
    mapped = jax.vmap(jax.grad(lambda x, i: jnp.sin(rows.rows_of(x, i)).sum()), in_axes=(0, 0))(x, index)
    assert np.array_equal(mapped, ours(x)[1])
    shared = jax.vmap(jax.grad(lambda x, i: jnp.sin(rows.rows_of(x, i)).sum()), in_axes=(0, None))(x, index[0])
    assert np.array_equal(shared[0], mapped[0])
    hessian = jax.hessian(loss(rows.rows_of))(x).reshape(x.size, x.size)
    np.testing.assert_allclose(hessian, jax.hessian(loss(lambda x, i: x[i]))(x).reshape(x.size, x.size), atol=1e-7)


TEXT = """HloModule m

%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0:T(256)} parameter(0)
  ROOT %n = f32[2]{0:T(256)} negate(%p), metadata={op_name="transpose(jvp(x))/neg"}
}

%body (arg: (f32[16,100], f32[3])) -> (f32[16,100], f32[3]) {
  %arg = (f32[16,100]{1,0:T(8,128)}, f32[3]{0:T(128)}) parameter(0)
  %a = f32[16,100]{1,0:T(8,128)} get-tuple-element(%arg), index=0
  %fast = f32[16,100]{1,0:T(8,128)S(1)} fusion(%a), kind=kLoop, metadata={op_name="transpose(jvp(x))/mul"}
  %start = (f32[4]{0:T(128)S(1)}, f32[4]{0:T(128)}) copy-start(%fast)
  %done = f32[4]{0:T(128)S(1)} copy-done(%start)
  %b = f32[16,100]{0,1:T(8,128)} add(%fast, %a)
  ROOT %t = (f32[16,100]{1,0:T(8,128)}, f32[3]{0:T(128)}) tuple(%b, %a)
}

ENTRY %main (x: f32[3]) -> f32[3] {
  %w = (f32[16,100]{1,0:T(8,128)}, f32[3]{0:T(128)}) while(%x), condition=%c, body=%body
}
"""


def test_bytes_are_those_of_main_memory_with_padding_each_copy_once():
    tile = 16 * 128 * 4  # of [16, 100] with its rows padded
    turned = 104 * 128 * 4  # of the same with columns as rows: 16 padded to 128, 100 to 104
    assert hlo.step_bytes(TEXT) == tile + 4 * 4 + (turned + tile)
    with pytest.raises(ValueError, match="no loop with gradients"):
        hlo.step_bytes(TEXT.replace("transpose(jvp", "jvp("))


def test_the_loop_is_found_in_a_program_that_was_compiled():
    (group,) = make_groups(make_grid(tiny(), {}).runs())
    device = jax.devices()[0]
    text = programs.lower(group.program, group.values, group.arrays, 1, device).compile().as_text()
    assert hlo.step_bytes(text) > 3 * 4 * sum(x.size for x in jax.tree.leaves(state_of(group).params))


def state_of(group):
    return programs.state_shapes(group.program, group.values, group.arrays)


@pytest.mark.parametrize("text", ["gpu:h100", "tpu", "v5e:2x2"])
def test_what_cannot_be_compiled_for_is_one_sentence(text):
    with pytest.raises(ConfigError, match=rf"compile_for={text} is no accelerator .* Try tpu:v5e:2x2\."):
        accelerators.device(text)


def test_without_the_compiler_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)
    with pytest.raises(ConfigError, match=r"pip install 'grokjax\[tpu\]'"):
        accelerators.device("tpu:v5e:2x2")
