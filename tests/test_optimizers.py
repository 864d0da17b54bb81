import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.config import run_part
from grokjax.optimizers import OPTIMIZERS, Adam, AdamW, RmsProp, Sgd, SgdMomentum, apply


def by_hand(optimizer, params, gradients):
    """The parameters after each step, in NumPy float64, from the papers' equations."""
    h = {name: float(np.float32(value)) for name, value in run_part(optimizer).items()}
    theta = {name: value.astype(np.float64) for name, value in params.items()}
    mean, square, total = ({name: np.zeros(value.shape) for name, value in params.items()} for _ in range(3))
    trajectory = []
    for t, gradient in enumerate(gradients, start=1):
        done = t - 1
        share = 1.0 if done >= h["warmup_steps"] else done / h["warmup_steps"]
        for name in theta:
            g = gradient[name].astype(np.float64)
            if isinstance(optimizer, Adam):
                mean[name] = h["b1"] * mean[name] + (1 - h["b1"]) * g
                square[name] = h["b2"] * square[name] + (1 - h["b2"]) * g * g
                corrected = square[name] / (1 - h["b2"] ** t)
                direction = mean[name] / (1 - h["b1"] ** t) / (np.sqrt(corrected) + h["eps"])
            elif isinstance(optimizer, RmsProp):
                square[name] = h["b2"] * square[name] + (1 - h["b2"]) * g * g
                total[name] = h["momentum"] * total[name] + g / (np.sqrt(square[name]) + h["eps"])
                direction = total[name]
            elif isinstance(optimizer, SgdMomentum):
                total[name] = h["momentum"] * total[name] + g
                direction = total[name]
            else:
                direction = g
            theta[name] = theta[name] - h["learning_rate"] * share * (direction + h["weight_decay"] * theta[name])
        trajectory.append({name: value.copy() for name, value in theta.items()})
    return trajectory


def stepped(optimizer, params, gradients):
    """The parameters after each step, by the optax chain."""
    hyper = {name: jnp.float32(value) for name, value in run_part(optimizer).items()}
    chain = optimizer.chain(hyper)
    state, trajectory = chain.init(params), []
    for gradient in gradients:
        with jax.numpy_dtype_promotion("standard"):
            updates, state = chain.update(gradient, state, params)
        params = apply(params, updates)
        trajectory.append(params)
    return trajectory


def example(num_steps=3):
    """Parameters, biases among them, and gradients of sizes from 1e-9 to 10."""
    random = np.random.default_rng(0)
    params = {
        "kernel": random.normal(size=(3, 4)).astype(np.float32),
        "bias": random.normal(size=4).astype(np.float32),
    }
    sizes = 10.0 ** np.array([-9.0, -6.0, -2.0, 1.0])
    gradients = [
        {name: (random.normal(size=value.shape) * sizes).astype(np.float32) for name, value in params.items()}
        for _ in range(num_steps)
    ]
    return params, gradients


CASES = [
    Adam(),
    Adam(warmup_steps=0),
    Adam(learning_rate=0.1, warmup_steps=2, weight_decay=0.3, b1=0.5, b2=0.75, eps=1e-3),
    AdamW(),
    AdamW(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, eps=1e-9),
    AdamW(learning_rate=0.1, warmup_steps=3, b1=0.0),
    Sgd(),
    Sgd(learning_rate=0.1, warmup_steps=0, weight_decay=0.5),
    SgdMomentum(),
    SgdMomentum(learning_rate=0.1, warmup_steps=1, weight_decay=0.5, momentum=0.7),
    RmsProp(),
    RmsProp(learning_rate=0.1, warmup_steps=0, weight_decay=0.5),
    RmsProp(learning_rate=0.1, warmup_steps=0, eps=1e-2, b2=0.5),
    RmsProp(learning_rate=0.1, warmup_steps=2, momentum=0.9),
]


@pytest.mark.parametrize("optimizer", CASES, ids=repr)
def test_three_steps_are_those_computed_by_hand(optimizer):
    params, gradients = example()
    for found, expected in zip(
        stepped(optimizer, params, gradients), by_hand(optimizer, params, gradients), strict=True
    ):
        for name in params:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
            moved = expected[name] - params[name]
            np.testing.assert_allclose(found[name] - params[name], moved, atol=1e-5 * np.abs(moved).max() + 1e-6)


def test_every_optimizer_is_among_the_cases():
    assert {type(optimizer) for optimizer in CASES} == set(OPTIMIZERS.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_of_ten_warm_up_steps_moves_nothing_and_the_second_a_tenth(name):
    params, gradients = example()
    gradients = [gradients[0]] * 2
    optimizer = OPTIMIZERS[name](learning_rate=0.5, weight_decay=0.0)
    first, second = stepped(optimizer, params, gradients)
    for leaf in params:
        np.testing.assert_array_equal(first[leaf], params[leaf])
    full = stepped(OPTIMIZERS[name](learning_rate=0.05, weight_decay=0.0, warmup_steps=0), params, gradients)
    for leaf in params:
        moved = np.asarray(full[1][leaf]) - np.asarray(full[0][leaf])
        np.testing.assert_allclose(np.asarray(second[leaf]) - params[leaf], moved, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_gradient_only_the_decay_acts_and_on_every_parameter(name):
    params, gradients = example()
    nothing = [{leaf: np.zeros_like(value) for leaf, value in params.items()}] * 3
    optimizer = OPTIMIZERS[name](learning_rate=0.1, weight_decay=0.5, warmup_steps=0)
    last = stepped(optimizer, params, nothing)[-1]
    for leaf in params:
        np.testing.assert_allclose(last[leaf], params[leaf] * 0.95**3, rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_hyperparameters_do_not_recompile(name):
    optimizer, traces = OPTIMIZERS[name](), []
    params, gradients = example()
    with jax.numpy_dtype_promotion("standard"):

        @jax.jit
        def step(hyper, params, gradient):
            traces.append(None)
            chain = optimizer.chain(hyper)
            return chain.update(gradient, chain.init(params), params)

        for factor in (1.0, 0.5, 0.0):
            hyper = {key: jnp.float32(value * factor) for key, value in run_part(optimizer).items()}
            step(hyper, params, gradients[0])
    assert len(traces) == 1


def test_defaults_are_those_of_the_papers():
    power = dict(learning_rate=1e-3, weight_decay=1.0, warmup_steps=10.0, b1=0.9, b2=0.98, eps=1e-8)
    assert run_part(AdamW()) == power
    assert run_part(Adam()) == power | dict(weight_decay=0.0)
    pytorch = dict(learning_rate=5e-4, weight_decay=0.0, warmup_steps=10.0, momentum=0.0, b2=0.99, eps=1e-8)
    assert run_part(RmsProp()) == pytorch
    assert run_part(SgdMomentum()) == dict(learning_rate=1e-2, weight_decay=0.0, warmup_steps=10.0, momentum=0.9)


def test_updates_take_the_dtype_of_the_parameters():
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    changed = apply(params, {"w": jnp.full(2, 0.5, jnp.float32)})
    assert changed["w"].dtype == jnp.bfloat16
    assert changed["w"].tolist() == [1.5, 1.5]
