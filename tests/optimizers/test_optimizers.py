import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grokjax.config import ConfigError, run_part
from grokjax.optimizers import (
    DECAYS,
    OPTIMIZERS,
    Adam,
    AdamW,
    Muon,
    RmsProp,
    Sgd,
    SgdMomentum,
    apply,
    custom,
    grokfast_ema,
    in_group,
    orthogonal_gradient,
    tensor_paths,
)
from grokjax.sweeps.components import component_name


def newton_schulz(matrix):
    """Jordan et al.'s iteration to the nearest orthogonal matrix, in float64."""
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def norm(arrays):
    return np.sqrt(sum((array**2).sum() for array in arrays))


class ByHand:
    """An optimizer in NumPy float64, from the papers' equations, one number of updates at a time."""

    def __init__(self, optimizer, params):
        self.kind = optimizer
        self.h = {name: float(np.float32(value)) for name, value in run_part(optimizer).items()}
        self.initial = {name: value.astype(np.float64) for name, value in params.items()}
        self.theta = dict(self.initial)
        zeros = {name: np.zeros(value.shape) for name, value in params.items()}
        self.mean, self.square, self.total = dict(zeros), dict(zeros), dict(zeros)
        self.slow, self.window = None, []
        self.done = 0

    def factor(self, name, of):
        """The group's factor on 'group_rate' or 'group_decay'; here every name is a whole pattern."""
        return self.h[of] if name in self.kind.group.split("+") else 1.0

    def free(self, tree):
        return {name: value for name, value in tree.items() if self.factor(name, "group_rate")}

    def filtered(self, g):
        kind, h = self.kind, self.h
        if kind.grokfast == "ema":
            self.slow = g if self.slow is None else self.slow
            self.slow = {n: h["grokfast_alpha"] * self.slow[n] + (1 - h["grokfast_alpha"]) * g[n] for n in g}
            g = {n: g[n] + h["grokfast_lamb"] * self.slow[n] for n in g}
        if kind.grokfast == "ma":
            self.window = [*self.window, g][-kind.grokfast_window :]
            if len(self.window) == kind.grokfast_window:
                g = {n: g[n] + h["grokfast_lamb"] * np.mean([past[n] for past in self.window], 0) for n in g}
        if kind.orthogonal_gradient:
            for n, theta in self.theta.items():
                rest = g[n] - (g[n] * theta).sum() / (theta * theta).sum() * theta
                g = g | {n: rest * norm([g[n]]) / norm([rest])}
        if h["clip_norm"] and norm(self.free(g).values()) > h["clip_norm"]:
            factor = h["clip_norm"] / norm(self.free(g).values())
            g = {n: factor * value for n, value in g.items()}
        if kind.decay == "gradient":
            strength = {n: h["weight_decay"] * self.factor(n, "group_decay") for n in g}
            g = {n: value + strength[n] * self.theta[n] for n, value in g.items()}
        return g

    def adam(self, name, g, t):
        h = self.h
        self.mean[name] = h["b1"] * self.mean[name] + (1 - h["b1"]) * g
        self.square[name] = h["b2"] * self.square[name] + (1 - h["b2"]) * g * g
        corrected = self.square[name] / (1 - h["b2"] ** t)
        return self.mean[name] / (1 - h["b1"] ** t) / (np.sqrt(corrected) + h["eps"])

    def muon(self, name, g, t):
        beta = self.h["momentum"]
        self.total[name] = beta * self.total[name] + (1 - beta) * g
        looked_ahead = beta * self.total[name] / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
        return newton_schulz(looked_ahead) * max(1, g.shape[1] / g.shape[0]) ** 0.5

    def direction(self, name, g, t):
        h = self.h
        if isinstance(self.kind, Muon) and name == "kernel":
            return self.muon(name, g, t)
        if isinstance(self.kind, Adam):
            return self.adam(name, g, t)
        if isinstance(self.kind, RmsProp):
            self.square[name] = h["b2"] * self.square[name] + (1 - h["b2"]) * g * g
            self.total[name] = h["momentum"] * self.total[name] + g / (np.sqrt(self.square[name]) + h["eps"])
            return self.total[name]
        if isinstance(self.kind, SgdMomentum):
            self.total[name] = h["momentum"] * self.total[name] + g
            return self.total[name]
        return g

    def step(self, gradient):
        h, t = self.h, self.done + 1
        share = 1.0 if self.done >= h["warmup_steps"] else self.done / h["warmup_steps"]
        g = self.filtered({name: value.astype(np.float64) for name, value in gradient.items()})
        for name, theta in self.theta.items():
            towards = {"zero": theta, "init": theta - self.initial[name], "gradient": 0.0}[self.kind.decay]
            moved = self.direction(name, g[name], t) + h["weight_decay"] * self.factor(name, "group_decay") * towards
            rate = h["learning_rate"] * self.factor(name, "group_rate")
            self.theta = self.theta | {name: theta - rate * share * moved}
        if self.kind.fixed_norm:
            factor = norm(self.free(self.initial).values()) / norm(self.free(self.theta).values())
            self.theta |= {name: factor * theta for name, theta in self.free(self.theta).items()}
        self.done += 1
        return self.theta


def by_hand(optimizer, params, gradients):
    """The parameters after each step, in NumPy float64, from the papers' equations."""
    hand = ByHand(optimizer, params)
    return [hand.step(gradient) for gradient in gradients]


def stepped(optimizer, params, gradients, key=None):
    """The parameters after each step, by the optax chain."""
    hyper = {name: jnp.float32(value) for name, value in run_part(optimizer).items()}
    chain = optimizer.chain(hyper)
    state, trajectory = chain.init(params), []
    for i, gradient in enumerate(gradients):
        with jax.numpy_dtype_promotion("standard"):
            given = {} if key is None else {"key": jax.random.fold_in(key, i)}
            updates, state = chain.update(gradient, state, params, **given)
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
    Muon(),
    Muon(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, momentum=0.8),
    AdamW(learning_rate=0.1, warmup_steps=0, decay="init", weight_decay=0.5),
    AdamW(learning_rate=0.1, warmup_steps=0, decay="gradient", weight_decay=0.5),
    Sgd(learning_rate=0.1, warmup_steps=0, decay="gradient", weight_decay=0.5),
    SgdMomentum(learning_rate=0.1, warmup_steps=0, decay="gradient", weight_decay=0.5),
    Sgd(learning_rate=0.1, warmup_steps=0, clip_norm=1.0),
    AdamW(learning_rate=0.1, warmup_steps=0, clip_norm=0.5, decay="gradient", weight_decay=0.2),
    Sgd(learning_rate=0.1, warmup_steps=0, clip_norm=1e9),
    Sgd(learning_rate=0.1, warmup_steps=0, grokfast="ema"),
    AdamW(learning_rate=0.1, warmup_steps=0, grokfast="ema", grokfast_alpha=0.5, grokfast_lamb=3.0),
    Sgd(learning_rate=0.1, warmup_steps=0, grokfast="ma", grokfast_window=2, grokfast_lamb=5.0),
    Sgd(learning_rate=0.1, warmup_steps=0, orthogonal_gradient=True),
    AdamW(learning_rate=0.1, warmup_steps=0, orthogonal_gradient=True, clip_norm=1.0),
    Sgd(learning_rate=0.1, warmup_steps=0, fixed_norm=True),
    AdamW(learning_rate=0.1, warmup_steps=0, fixed_norm=True),
    Sgd(learning_rate=0.1, warmup_steps=2, weight_decay=0.5, group="kernel", group_rate=0.25, group_decay=3.0),
    AdamW(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, group="bias", group_rate=4.0, group_decay=0.0),
    AdamW(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, decay="init", group="kernel", group_decay=0.3),
    Adam(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, decay="gradient", group="bias", group_decay=5.0),
    Muon(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, group="kernel", group_rate=0.2),
    SgdMomentum(learning_rate=0.1, warmup_steps=0, clip_norm=1.0, group="bias", group_rate=0.1),
    SgdMomentum(learning_rate=0.1, warmup_steps=0, clip_norm=1.0, group="bias", group_rate=0.0),
    AdamW(learning_rate=0.1, warmup_steps=0, fixed_norm=True, group="bias", group_rate=0.1),
    AdamW(learning_rate=0.1, warmup_steps=0, fixed_norm=True, group="kernel", group_rate=0.0),
]


@pytest.mark.parametrize("optimizer", CASES, ids=lambda kind: component_name("optimizer", kind))
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


HARD = dict(weight_decay=0.5, gradient_noise=1.0, update_noise=1.0, clip_norm=1.0, grokfast="ema", fixed_norm=True)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_frozen_tensor_keeps_its_bits_whatever_is_done_to_the_others(name, decay):
    params, gradients = example()
    params["bias"][0] = -0.0
    gradients[1]["bias"][0] = np.inf
    optimizer = OPTIMIZERS[name](**PLAIN, **HARD, decay=decay, group="bias", group_rate=0.0)
    for moved in stepped(optimizer, params, gradients, jax.random.key(0)):
        np.testing.assert_array_equal(np.asarray(moved["bias"]).view(np.int32), params["bias"].view(np.int32))
        assert np.isfinite(moved["kernel"]).all()
        assert (np.asarray(moved["kernel"]) != params["kernel"]).all()


def test_the_factors_of_a_group_act_within_the_random_factor_of_jiggle():
    moved = {}
    for factors in ({}, dict(group="w", group_rate=3.0, group_decay=0.5)):
        optimizer = Sgd(**PLAIN, decay="jiggle", weight_decay=0.5, **factors)
        (end,) = stepped(optimizer, SOME, [NOTHING], jax.random.key(0))
        moved[bool(factors)] = {name: np.log(np.asarray(end[name], np.float64) / SOME[name]).flat[0] for name in end}
    assert moved[True]["w"] == pytest.approx(1.5 * moved[False]["w"], rel=1e-4)
    assert moved[True]["b"] == moved[False]["b"]


def test_noise_on_the_update_is_times_the_learning_rate_of_the_group():
    optimizer = Sgd(**PLAIN, update_noise=1.0, group="w", group_rate=0.5)
    moved = stepped(optimizer, NOTHING, [NOTHING], jax.random.key(0))[0]
    assert np.asarray(moved["w"]).std() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("", ""),
        ("embedding", "embedding"),
        ("output", "output.bias output.kernel"),
        ("out", ""),
        ("block_*.mlp", "block_0.mlp.kernel block_1.mlp.kernel"),
        ("block_0 + *.bias", "block_0.mlp.kernel block_0.norm.scale output.bias"),
        ("*norm*", "block_0.norm.scale"),
        ("block_[1-9]", "block_1.mlp.kernel"),
        ("EMBEDDING", ""),
    ],
)
def test_a_group_has_the_tensors_that_its_patterns_name(group, expected):
    leaf = np.zeros(1)
    blocks = {"block_0": {"mlp": {"kernel": leaf}, "norm": {"scale": leaf}}, "block_1": {"mlp": {"kernel": leaf}}}
    params = {"embedding": leaf, "output": {"kernel": leaf, "bias": leaf}} | blocks
    inside = jax.tree.leaves(in_group(params, group))
    assert [path for path, yes in zip(tensor_paths(params), inside, strict=True) if yes] == sorted(expected.split())


@pytest.mark.parametrize("changes", [HARD | {"decay": decay} for decay in DECAYS], ids=DECAYS)
def test_a_group_whose_factors_are_1_changes_nothing(changes):
    params, gradients = example()
    without, within = (
        stepped(AdamW(**PLAIN, **changes, group=group), params, gradients, jax.random.key(0)) for group in ("", "bias")
    )
    for name in params:
        np.testing.assert_array_equal(within[-1][name], without[-1][name])


def test_factors_without_a_group_are_refused():
    for name in ("group_rate", "group_decay"):
        with pytest.raises(ConfigError, match=rf"{name}=0.5 is the factor of a group of tensors, and there is none\."):
            AdamW(**{name: 0.5})


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
    shared = dict(clip_norm=0.0, gradient_noise=0.0, grokfast_alpha=0.98, grokfast_lamb=2.0, update_noise=0.0)
    shared |= dict(group_rate=1.0, group_decay=1.0)
    power = shared | dict(learning_rate=1e-3, weight_decay=1.0, warmup_steps=10.0, b1=0.9, b2=0.98, eps=1e-8)
    assert run_part(AdamW()) == power
    assert run_part(Adam()) == power | dict(weight_decay=0.0)
    pytorch = shared | dict(learning_rate=5e-4, weight_decay=0.0, warmup_steps=10.0, momentum=0.0, b2=0.99, eps=1e-8)
    assert run_part(RmsProp()) == pytorch
    assert run_part(SgdMomentum()) == shared | dict(
        learning_rate=1e-2, weight_decay=0.0, warmup_steps=10.0, momentum=0.9
    )


def test_updates_take_the_dtype_of_the_parameters():
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    changed = apply(params, {"w": jnp.full(2, 0.5, jnp.float32)})
    assert changed["w"].dtype == jnp.bfloat16
    assert changed["w"].tolist() == [1.5, 1.5]


PLAIN = dict(learning_rate=0.1, warmup_steps=0)
NOTHING = {"w": jnp.zeros((300, 400)), "b": jnp.zeros(5)}
SOME = {"w": jnp.full((300, 400), 2.0), "b": jnp.full(5, 3.0)}


@pytest.mark.parametrize(("name", "factor"), [("gradient_noise", 0.1), ("update_noise", 0.1)])
def test_noise_is_gaussian_of_the_deviation_asked_for_and_new_in_each_update(name, factor):
    first, second = stepped(Sgd(**PLAIN, **{name: 0.5}), NOTHING, [NOTHING] * 2, jax.random.key(0))
    moved = np.asarray(first["w"]).ravel()
    count = moved.size
    assert abs(moved.mean()) < 5 * factor * 0.5 / count**0.5
    assert abs(moved.std() / (factor * 0.5) - 1) < 5 / (2 * count) ** 0.5
    assert abs((np.abs(moved) < factor * 0.5).mean() - 0.6827) < 5 * 0.47 / count**0.5
    again = np.asarray(second["w"]).ravel() - moved
    assert abs(np.corrcoef(moved, again)[0, 1]) < 5 / count**0.5
    assert not np.array_equal(first["b"], moved[:5])


def test_noise_on_the_gradient_goes_through_the_optimizer_and_noise_on_the_update_does_not():
    through = stepped(Adam(**PLAIN, gradient_noise=7.0), NOTHING, [NOTHING], jax.random.key(0))[0]
    np.testing.assert_allclose(np.abs(through["w"]), 0.1, rtol=1e-2)  # Adam's first step is the gradient's sign
    beside = stepped(Adam(**PLAIN, update_noise=7.0), NOTHING, [NOTHING], jax.random.key(0))[0]
    assert np.asarray(beside["w"]).std() == pytest.approx(0.7, rel=0.01)


def test_the_two_noises_of_an_update_are_drawn_apart():
    both = stepped(Sgd(**PLAIN, gradient_noise=1.0, update_noise=1.0), NOTHING, [NOTHING], jax.random.key(0))[0]
    assert np.asarray(both["w"]).std() == pytest.approx(0.1 * 2**0.5, rel=0.02)


def test_jiggle_multiplies_each_tensor_by_one_random_factor_of_mean_log_zero():
    logs = []
    for seed in range(60):
        optimizer = Sgd(**PLAIN, decay="jiggle", weight_decay=0.5)
        (moved,) = stepped(
            optimizer,
            {"w": jnp.full((2, 3), 2.0), "b": jnp.full(5, 3.0)},
            [{"w": jnp.zeros((2, 3)), "b": jnp.zeros(5)}],
            jax.random.key(seed),
        )
        factors = np.asarray(moved["w"]) / 2.0, np.asarray(moved["b"]) / 3.0
        for factor in factors:
            np.testing.assert_allclose(factor, factor.flat[0], rtol=1e-6)
        logs += [np.log(factor.flat[0]) for factor in factors]
        assert factors[0].flat[0] != factors[1].flat[0]
    assert abs(np.mean(logs)) < 5 * 0.05 / len(logs) ** 0.5
    assert np.std(logs) == pytest.approx(0.05, rel=5 / (2 * len(logs)) ** 0.5)


def test_the_four_kinds_of_decay_do_four_different_things():
    params, gradients = example(2)
    ends = {}
    for decay in DECAYS:
        optimizer = AdamW(**PLAIN, decay=decay, weight_decay=0.5)
        ends[decay] = np.asarray(stepped(optimizer, params, gradients, jax.random.key(0))[-1]["kernel"])
    for one in DECAYS:
        for other in DECAYS:
            assert one == other or np.abs(ends[one] - ends[other]).max() > 1e-3


def test_without_gradient_decay_towards_the_initial_weights_leaves_them_where_they_are():
    last = stepped(Sgd(**PLAIN, decay="init", weight_decay=0.5), SOME, [NOTHING] * 2)[-1]
    np.testing.assert_array_equal(last["w"], SOME["w"])


def test_the_orthogonal_gradient_has_no_part_along_the_weights_and_keeps_its_length():
    params, gradients = example(1)
    moved = stepped(Sgd(**PLAIN, orthogonal_gradient=True), params, gradients)[0]
    for name in params:
        step = np.asarray(moved[name], np.float64) - params[name]
        length = np.linalg.norm(gradients[0][name]) * 0.1
        assert abs((step * params[name]).sum()) < 1e-4 * length * np.linalg.norm(params[name])
        assert np.linalg.norm(step) == pytest.approx(length, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_stays_on_the_sphere_if_told_to(name):
    params, gradients = example(5)
    optimizer = OPTIMIZERS[name](**PLAIN, weight_decay=0.3, fixed_norm=True)
    for moved in stepped(optimizer, params, gradients):
        assert norm([np.asarray(x, np.float64) for x in moved.values()]) == pytest.approx(
            norm([x.astype(np.float64) for x in params.values()]), rel=1e-5
        )


def test_muon_trains_the_inner_matrices_and_adam_the_rest():
    shapes = dict(embedding=(7, 4), position=(3, 4), output=(4, 7), bias=(4,), kernel=(4, 8))
    random = np.random.default_rng(0)
    params = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    gradients = [{name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}]
    muon, adam = (stepped(kind(**PLAIN), params, gradients)[0] for kind in (Muon, Adam))
    for name in shapes:
        assert np.array_equal(muon[name], adam[name]) == (name != "kernel")
    step = (params["kernel"] - np.asarray(muon["kernel"])) / 0.1 / 2**0.5
    spectrum = np.linalg.svd(step, compute_uv=False)
    assert spectrum.min() > 0.6 and spectrum.max() < 1.3  # the iteration's band around 1


def test_a_custom_optimizer_is_its_chain_and_its_hyperparameters_are_declared():
    optimizer = custom(lambda h: optax.chain(optax.scale(h.lamb), optax.sgd(h.learning_rate)), lamb=2.0)
    assert run_part(optimizer) == dict(learning_rate=1e-3, lamb=2.0)
    params, gradients = example(2)
    assert run_part(custom(lambda h: optax.sgd(h.learning_rate), learning_rate=0.5)) == dict(learning_rate=0.5)
    found = stepped(optimizer, params, gradients)
    for name in params:
        expected = params[name] - 2e-3 * (gradients[0][name] + gradients[1][name])
        np.testing.assert_allclose(found[-1][name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: custom(lambda h: None, dropout=0.1), "dropout is the name of something else already."),
        (lambda: custom(lambda h: None, lamb="x"), "lamb=x is not a finite number."),
        (lambda: custom(lambda h: None, chain=1.0), "chain is the name of something else already."),
        (lambda: custom(lambda h: None, **{"a b": 1.0}), "'a b' is no name."),
        (lambda: custom(3), "custom was given 3, no function."),
        (lambda: custom(optax.adam(1e-3)), "custom was given GradientTransformation"),
        (lambda: custom(lambda h: 3).chain({"learning_rate": jnp.float32(1.0)}), "which is no optax transformation."),
    ],
)
def test_a_custom_optimizer_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        make()


def test_grokfast_and_the_orthogonal_gradient_stand_in_any_optax_chain():
    theta, gradients = np.array([3.0, 4.0], np.float32), np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    slow = optax.chain(grokfast_ema(alpha=0.5, lamb=2.0), optax.sgd(0.1))
    state = slow.init(theta)
    for gradient, mean in zip(gradients, ([1.0, 0.0], [0.5, 1.0]), strict=True):
        update, state = slow.update(gradient, state, theta)
        np.testing.assert_allclose(update, -0.1 * (gradient + 2 * np.array(mean)), rtol=1e-6)
    across = optax.chain(orthogonal_gradient(), optax.sgd(1.0))
    update, _ = across.update(gradients[0], across.init(theta), theta)
    np.testing.assert_allclose(update, [-0.8, 0.6], rtol=1e-6)  # across (3, 4), of length 1
