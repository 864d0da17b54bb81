"""Models, optimizers and StableMax against PyTorch's own, recorded in tests/golden by the script there.

The comparison is with what PyTorch computed in float64, so all rounding in it is ours.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import EPSILON, assert_close

from grokjax import losses
from grokjax.config import run_part
from grokjax.models import Decoder, EncoderDecoder, Lstm, Mlp, ResNet, fitted
from grokjax.optimizers import Adam, AdamW, RmsProp, Sgd, SgdMomentum, apply
from grokjax.tasks import Table

FOLDER = Path(__file__).parent / "golden"
STEPS = 20


@functools.cache
def golden(name):
    """The arrays of a file, by name."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def named(file, values):
    """Flattened values as PyTorch's parameters, by PyTorch's names."""
    found, start = {}, 0
    for name, shape in zip(file["names"], file["shapes"], strict=True):
        shape = shape[shape > 0]
        found[str(name)] = values[start : (start := start + shape.prod())].reshape(shape)
    assert start == len(values)
    return found


# ------------------------------------------------------------------------------------- PyTorch's layouts to our trees


def filled(**subtrees):
    """The subtrees that are not empty."""
    return {name: subtree for name, subtree in subtrees.items() if len(subtree)}


def linear(torch, name):
    """[outputs, inputs] becomes [inputs, outputs]; absent where PyTorch's model has no such layer."""
    if f"{name}.weight" not in torch:
        return {}
    return {"kernel": torch[f"{name}.weight"].T, **filled(bias=torch.get(f"{name}.bias", ()))}


def norm(torch, name):
    return filled(scale=torch.get(f"{name}.weight", ()), bias=torch.get(f"{name}.bias", ()))


def attention(torch, name, prefix=""):
    """The three projections lie in one matrix, query, key, value from above."""
    matrices = np.split(torch[f"{name}.in_proj_weight"], 3)
    biases = np.split(torch[f"{name}.in_proj_bias"], 3) if f"{name}.in_proj_bias" in torch else [()] * 3
    projections = {
        prefix + part: {"kernel": matrix.T, **filled(bias=bias)}
        for part, matrix, bias in zip(("query", "key", "value"), matrices, biases, strict=True)
    }
    return projections | {prefix + "output": linear(torch, f"{name}.out_proj")}


def block(torch, name):
    """An encoder layer of PyTorch's, which with a causal mask is one of a decoder-only model."""
    return filled(
        **attention(torch, f"{name}.self_attn"),
        mlp_in=linear(torch, f"{name}.linear1"),
        mlp_out=linear(torch, f"{name}.linear2"),
        norm_attention=norm(torch, f"{name}.norm1"),
        norm_mlp=norm(torch, f"{name}.norm2"),
        norm_inner=norm(torch, f"{name}.activation.0"),
    )


def cross_block(torch, name):
    """A decoder layer of PyTorch's, whose second norm follows the cross-attention."""
    cross = attention(torch, f"{name}.multihead_attn", "cross_")
    norms = dict(norm_cross=norm(torch, f"{name}.norm2"), norm_mlp=norm(torch, f"{name}.norm3"))
    return block(torch, name) | cross | norms


def decoder(torch):
    layers = sorted({name.split(".")[1] for name in torch if name.startswith("layers.")})
    return filled(
        embedding=torch["embedding.weight"],
        position=torch.get("position.weight", ()),
        **{f"block_{i}": block(torch, f"layers.{i}") for i in layers},
        norm_output=norm(torch, "norm"),
        output=torch["output.weight"].T,
    )


def encoder_decoder(torch):
    return dict(
        embedding_source=torch["embedding_source.weight"],
        embedding_target=torch["embedding_target.weight"],
        **{f"encoder_{i}": block(torch, f"encoder.{i}") for i in range(2)},
        **{f"decoder_{i}": cross_block(torch, f"decoder.{i}") for i in range(2)},
        output=linear(torch, "output"),
    )


def lstm(torch):
    def cells(name, layer):
        return dict(
            input=torch[f"{name}.weight_ih_l{layer}"].T,
            hidden=torch[f"{name}.weight_hh_l{layer}"].T,
            bias_input=torch[f"{name}.bias_ih_l{layer}"],
            bias_hidden=torch[f"{name}.bias_hh_l{layer}"],
        )

    return dict(
        embedding_source=torch["embedding_source.weight"],
        embedding_target=torch["embedding_target.weight"],
        **{f"{name}_{i}": cells(name, i) for name in ("encoder", "decoder") for i in range(2)},
        output=linear(torch, "output"),
    )


def pooled(torch):
    layers = sorted({name.split(".")[1] for name in torch if name.startswith("layers.")})
    return dict(
        embedding=torch["embedding.weight"],
        **{f"layer_{i}": linear(torch, f"layers.{i}") for i in layers},
        output=linear(torch, "output"),
    )


# ------------------------------------------------------------------------------------------------------------- models

POWER = Decoder(num_layers=2, width=16, num_heads=4, mlp_width=32)
NANDA = POWER.clone(num_layers=1, norm="none", bias="mlp", positions="learned")
PERIODIC = Decoder(
    num_layers=1,
    width=8,
    num_heads=2,
    mlp_width=16,
    norm="pre",
    norm_affine=False,
    inner_norm=True,
    positions="learned",
)
TRANSFORMER = EncoderDecoder(num_layers=2, width=8, num_heads=2, mlp_width=16)

MODELS = {
    "power_one_answer": (POWER, decoder, (3,)),
    "power_two_answers": (POWER, decoder, (4, 5)),
    "nanda": (NANDA, decoder, (2,)),
    "nanda_attention_only": (NANDA.clone(num_layers=2, mlp_width=0), decoder, (2,)),
    "periodic_one_layer": (PERIODIC, decoder, (1,)),
    "periodic_two_layers": (PERIODIC.clone(num_layers=2), decoder, (1,)),
    "periodic_affine": (PERIODIC.clone(num_layers=2, norm_affine=True), decoder, (1,)),
    "periodic_batch_norm": (PERIODIC.clone(norm_kind="batch"), decoder, (1,)),
    "periodic_batch_norm_affine": (
        PERIODIC.clone(num_layers=2, norm_kind="batch", norm_affine=True, inner_norm=False),
        decoder,
        (1,),
    ),
    "encoder_decoder": (TRANSFORMER, encoder_decoder, (3,)),
    "encoder_decoder_zero_is_padding": (TRANSFORMER.clone(zero_is_padding=True), encoder_decoder, (3,)),
    "lstm": (Lstm(num_layers=2, width=8), lstm, (3,)),
    "mlp": (Mlp(num_layers=4, width=16), pooled, (3,)),
    "resnet_shared": (ResNet(num_layers=4, width=16), pooled, (3,)),
    "resnet": (ResNet(num_layers=4, width=16, shared=False), pooled, (3,)),
}
"""Our model, how its tree is made of PyTorch's, and where the answers are read, for each file."""

OTHERS = {"optimizers", "stablemax"}


def fitted_to(model, file, answer_positions):
    """The model for the rows of a file, and their tokens and labels."""
    parameters = named(file, file["weights"])
    vocab_size = next(value.shape[0] for name, value in parameters.items() if name.startswith("embedding"))
    classes = parameters["output.weight"].shape[0]
    model = fitted(model, Table(file["tokens"], file["labels"], answer_positions, vocab_size, classes, "golden"))
    return model, jnp.asarray(file["tokens"]), jnp.asarray(file["labels"])


def steps_of(model, optimizer, tokens, labels):
    """A function from (parameters, running statistics, optimizer state) to all three after a step, logits, gradient.

    The loss is the mean cross-entropy over all rows, in train mode.
    """
    hyper = {name: jnp.float32(value) for name, value in run_part(optimizer).items()}
    chain = optimizer.chain(hyper)

    def loss(params, stats):
        variables = {"params": params, "batch_stats": stats}
        logits, changed = model.apply(variables, tokens, train=True, mutable=["batch_stats"])
        return losses.cross_entropy(logits, labels).mean(), (logits, changed.get("batch_stats", {}))

    @jax.jit
    def step(params, stats, state):
        gradient, (logits, stats) = jax.grad(loss, has_aux=True)(params, stats)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = chain.update(gradient, state, params)
        return (apply(params, updates), stats, state), logits, gradient

    return chain, step


def initial_statistics(model, tokens):
    """Running means of 0 and variances of 1, where BatchNorm keeps them."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), tokens)["batch_stats"]
    start = {"mean": 0.0, "var": 1.0}
    return jax.tree_util.tree_map_with_path(lambda path, leaf: jnp.full(leaf.shape, start[path[-1].key]), shapes)


def leaves_by_name(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def assert_gradients_close(found, expected, relative):
    """Leaf by leaf, relative to its largest magnitude, or a hundredth of the largest of all where that is more.

    The floor is for leaves whose derivative is a small difference of large terms, or zero.
    """
    found, expected = leaves_by_name(found), leaves_by_name(expected)
    floor = max(np.abs(leaf).max() for leaf in expected.values()) / 100
    for name, leaf in expected.items():
        bound = relative * max(np.abs(leaf).max(), floor)
        np.testing.assert_allclose(found[name], leaf, rtol=0, atol=bound, err_msg=name)


def assert_trained_close(found, expected, relative, undetermined, largest_move):
    """Leaf by leaf, relative to its largest magnitude.

    Parameters that are undetermined (the loss does not depend on them, and of their derivative only rounding is left)
    have made steps of random sign, which sum up to `largest_move` at most.
    """
    found, expected, undetermined = (leaves_by_name(tree) for tree in (found, expected, undetermined))
    for name, leaf in expected.items():
        bound = np.where(undetermined[name], largest_move, relative * np.abs(leaf).max())
        off = np.abs(found[name] - leaf)
        assert (off <= bound).all(), f"{name}: off by {(off / bound).max()} times what is allowed"


@pytest.mark.parametrize("name", MODELS)
def test_logits_gradients_and_twenty_steps_of_adamw_are_those_of_pytorch(name):
    model, to_tree, answer_positions = MODELS[name]
    file = golden(name)
    model, tokens, labels = fitted_to(model, file, answer_positions)
    weights, gradient, trained, undetermined = (
        to_tree(named(file, file[key])) for key in ("weights", "gradient", "trained", "undetermined")
    )
    stats = initial_statistics(model, tokens) if "eval_logits" in file else {}

    optimizer = AdamW(learning_rate=1e-3, weight_decay=1.0, b1=0.9, b2=0.98, eps=1e-8, warmup_steps=0)
    chain, step = steps_of(model, optimizer, tokens, labels)
    state, found_logits, found_gradient = step(weights, stats, chain.init(weights))
    for _ in range(STEPS - 1):
        state, _, _ = step(*state)

    assert_close(found_logits, file["logits"], 1e-5)
    assert_gradients_close(found_gradient, gradient, 1e-5)
    assert_trained_close(state[0], trained, 1e-4, undetermined, STEPS * optimizer.learning_rate)
    if "eval_logits" in file:
        evaluated = jax.jit(functools.partial(model.apply, train=False))
        assert_close(evaluated({"params": state[0], "batch_stats": state[1]}, tokens), file["eval_logits"], 1e-4)


def test_every_golden_file_is_compared_with():
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(MODELS) | OTHERS


# --------------------------------------------------------------------------------------------------------- optimizers

ADAM = dict(b1=0.9, b2=0.98, eps=1e-9)
OPTIMIZERS = {
    "adam": Adam(learning_rate=1e-3, warmup_steps=0, **ADAM),
    "adamw_weak": AdamW(learning_rate=5e-4, weight_decay=0.05, warmup_steps=0, **ADAM),
    "adamw": AdamW(learning_rate=5e-4, weight_decay=1.0, warmup_steps=0, **ADAM),
    "adam_l2": Adam(learning_rate=1e-3, weight_decay=0.01, decay="gradient", warmup_steps=0, **ADAM),
    "sgd": Sgd(learning_rate=1e-2, warmup_steps=0),
    "sgd_momentum": SgdMomentum(learning_rate=1e-2, momentum=0.9, warmup_steps=0),
    "sgd_l2": Sgd(learning_rate=0.1, weight_decay=1e-3, decay="gradient", warmup_steps=0),
    "rmsprop": RmsProp(learning_rate=5e-4, b2=0.99, eps=1e-8, warmup_steps=0),
    "rmsprop_momentum": RmsProp(learning_rate=5e-4, b2=0.99, eps=1e-8, momentum=0.9, warmup_steps=0),
    "adamw_clipped": AdamW(learning_rate=1e-2, clip_norm=1.0, warmup_steps=0, **ADAM),
    "adamw_unclipped": AdamW(learning_rate=1e-2, warmup_steps=0, **ADAM),
    "sgd_clipped": Sgd(learning_rate=1e-2, clip_norm=1.0, warmup_steps=0),
    "adamw_warmed_up": AdamW(learning_rate=1e-3, warmup_steps=10, **ADAM),
    "adamw_towards_init": AdamW(learning_rate=1e-2, decay="init", warmup_steps=0, **ADAM),
}


@functools.cache
def small_problem():
    """Its initial parameters, and the jitted gradient in them."""
    file = golden("optimizers")
    model, tokens, labels = fitted_to(Mlp(num_layers=4, width=8), file, (3,))

    @jax.jit
    @jax.grad
    def gradient(params):
        return losses.cross_entropy(model.apply({"params": params}, tokens), labels).mean()

    return pooled(named(file, file["weights"])), gradient


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_of_an_optimizer_are_those_of_pytorch(name):
    file, optimizer = golden("optimizers"), OPTIMIZERS[name]
    weights, gradient = small_problem()
    chain = optimizer.chain({name: jnp.float32(value) for name, value in run_part(optimizer).items()})

    @jax.jit
    def updated(params, state, slope):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = chain.update(slope, state, params)
        return apply(params, updates), state

    params, state = weights, chain.init(weights)
    for _ in range(STEPS):
        params, state = updated(params, state, gradient(params))

    expected = pooled(named(file, file[name]))
    largest = max(np.abs(moved).max() for moved in jax.tree.leaves(jax.tree.map(np.subtract, expected, weights)))
    for leaf, found, wanted in zip(
        leaves_by_name(weights), jax.tree.leaves(params), jax.tree.leaves(expected), strict=True
    ):
        assert_close(found, wanted, 1e-4, leaf)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3 * largest, err_msg=leaf)


def test_every_recorded_optimizer_is_compared_with():
    assert set(golden("optimizers")) == set(OPTIMIZERS) | {"tokens", "labels", "names", "shapes", "weights"}


# --------------------------------------------------------------------------------------------------------------- loss


def test_stablemax_and_its_gradient_are_those_of_pytorch():
    file = golden("stablemax")
    logits, labels = jnp.float32(file["logits"])[:, None], jnp.int32(file["labels"])[:, None]

    @jax.jit
    def loss_and_gradient(logits):
        loss, gradient_of = jax.vjp(lambda logits: losses.stablemax(logits, labels)[:, 0], logits)
        return loss, gradient_of(jnp.ones_like(loss))[0]

    found, gradient = loss_and_gradient(logits)
    # A loss is a difference of logarithms, whose rounding is relative to the larger.
    relative = (file["logits"].shape[1] + 8) * EPSILON
    largest = np.log(2 + np.abs(file["logits"]).max(1))
    np.testing.assert_allclose(found / largest, file["loss"] / largest, rtol=0, atol=relative)
    for row, wanted in zip(gradient[:, 0], file["gradient"], strict=True):
        assert_close(row, wanted, relative)
