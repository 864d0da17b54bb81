"""Makes the golden files of this folder: what PyTorch computes for the models and optimizers of the papers.

Needs PyTorch 2.13.0 (the CPU build is enough) and NumPy, of this project nothing but experiments/torch_models.py, which
needs PyTorch alone; takes ten seconds:

    pip install torch==2.13.0 numpy
    python tests/golden/make_golden.py

The models there are put together from PyTorch's own layers, and trained by its optimizers, on tables of random rows of
x+y mod 7 and the like. Everything is computed in float64 from float32 weights and stored as float32, so that the files
carry no rounding but that of storage. It is then computed again in float32: `Limits` bounds how far PyTorch itself may
be off, so that a model or seed whose training amplifies rounding is refused here. Run twice, it gives the same files.

One file for each model in `MODELS`:
  tokens: [batch, length] int32. labels: [batch, answers] int32.
  names, shapes: of PyTorch's parameters, in its order and layouts (a Linear's weight is [outputs, inputs], the
    projections of a MultiheadAttention lie in one in_proj_weight, query first).
  weights: all initial parameters, flattened and concatenated in that order.
  logits: [batch, answers, classes] at the initial weights, in train mode.
  gradient: of the cross-entropy (mean over rows and answers) at the initial weights, laid out as `weights`.
  trained: the weights after 20 full-batch steps of AdamW (lr 1e-3, betas (.9, .98), eps 1e-8, weight decay 1).
  undetermined: bool, laid out as `weights`: parameters that the loss does not depend on, see the function of that name.
  eval_logits: of models with BatchNorm, in eval mode after these steps. PyTorch keeps a running mean of the variance
    with denominator n - 1, others (Flax) with n: what is stored is for n, see `use_biased_variances`.

optimizers.npz: tokens, labels, names, shapes and weights of one small MLP, and for each of `OPTIMIZERS` the weights
after 20 full-batch steps, under the name of the case.

stablemax.npz (float64): logits [rows, classes], labels [rows], loss [rows], gradient [rows, classes] of each row's own
loss, by autograd.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "experiments"))

from torch_models import (  # noqa: E402
    AttentionOnly,
    BatchNorm,
    DecoderOnly,
    EncoderDecoder,
    Lstm,
    Mlp,
    ResNet,
    bare_batch_norm,
    bare_layer_norm,
    decoder_layer,
    layer_norm,
    no_norm,
)

STEPS = 20
MODULUS = 7


class Limits(NamedTuple):
    """How far float32 may be off float64, relative to the largest magnitude of the array.

    The tests allow 1e-5, 1e-5 (with a floor for tiny leaves) and 1e-4; a third of that leaves room for another
    order of sums.
    """

    logits: float = 1e-5 / 3
    gradient: float = 1e-5 / 3
    trained: float = 1e-4 / 3


# ----------------------------------------------------------------------------------------------------------- tables


def table(words: str, rows: int, answers: str = "c") -> tuple[torch.Tensor, torch.Tensor]:
    """Random different rows of x+y mod 7 written as `words`, and their labels.

    The numbers are tokens 0 to 6, then come 'o', '=' and 'e' (the end of a sequence), those that `words` has.
    """
    pairs = torch.randperm(MODULUS**2)[:rows]
    a, b = pairs // MODULUS, pairs % MODULUS
    known = {"a": a, "b": b, "c": (a + b) % MODULUS}
    symbols = [symbol for symbol in ("o", "=", "e") if symbol in words]
    known |= {symbol: torch.full_like(a, MODULUS + i) for i, symbol in enumerate(symbols)}
    return tuple(torch.stack([known[word] for word in text.split()], dim=1) for text in (words, answers))


class Problem(NamedTuple):
    """How a model is made, and what it learns."""

    model: Callable[[], nn.Module]
    words: str
    rows: int
    answers: str = "c"


def power(classes: int, vocabulary: int, length: int, read: tuple[int, ...]):
    def make():
        layers = [decoder_layer(16, 4, 32, layer_norm) for _ in range(2)]
        return DecoderOnly(layers, vocabulary, classes, 16, length, read)

    return make


def nanda():
    layer = decoder_layer(16, 4, 32, no_norm, bias="mlp")
    return DecoderOnly([layer], 8, 8, 16, 3, (2,), learned=True)


def nanda_attention_only():
    return DecoderOnly([AttentionOnly(16, 4) for _ in range(2)], 8, 8, 16, 3, (2,), learned=True)


def encoder_decoder(zero_is_padding: bool):
    return lambda: EncoderDecoder(9, 9, 8, 4, 2, 16, zero_is_padding=zero_is_padding)


def periodic(norm, num_layers: int, inner: bool = True):
    def make():
        layers = [decoder_layer(8, 2, 16, norm, pre=True, inner=inner) for _ in range(num_layers)]
        return DecoderOnly(layers, 7, 7, 8, 2, (1,), learned=True, norm=norm(8))

    return make


MODELS = {
    "power_one_answer": Problem(power(7, 9, 4, (3,)), "a o b =", 20),
    "power_two_answers": Problem(power(10, 10, 6, (4, 5)), "e a o b = c", 20, "c e"),
    "nanda": Problem(nanda, "a b =", 24),
    "nanda_attention_only": Problem(nanda_attention_only, "a b =", 24),
    "periodic_one_layer": Problem(periodic(bare_layer_norm, 1), "a b", 24),
    "periodic_two_layers": Problem(periodic(bare_layer_norm, 2), "a b", 24),
    "periodic_affine": Problem(periodic(layer_norm, 2), "a b", 24),
    "periodic_batch_norm": Problem(periodic(bare_batch_norm, 1), "a b", 24),
    # With a norm inside the MLP the bias of the one before it would be undetermined, which shows in eval mode.
    "periodic_batch_norm_affine": Problem(periodic(BatchNorm, 2, inner=False), "a b", 24),
    "encoder_decoder": Problem(encoder_decoder(False), "a o b =", 20),
    "encoder_decoder_zero_is_padding": Problem(encoder_decoder(True), "a o b =", 20),
    "lstm": Problem(lambda: Lstm(9, 9, 8), "a o b =", 20),
    "mlp": Problem(lambda: Mlp(9, 9, 16), "a o b =", 20),
    "resnet_shared": Problem(lambda: ResNet(9, 9, 16), "a o b =", 20),
    "resnet": Problem(lambda: ResNet(9, 9, 16, shared=False), "a o b =", 20),
}


# --------------------------------------------------------------------------------------------------------- training


def made(problem: Problem, seed: int):
    """The model in float32 and its rows. Biases and norms move off 0 and 1, where mistakes could hide."""
    torch.manual_seed(seed)
    model = problem.model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model, *table(problem.words, problem.rows, problem.answers)


def loss_of(model: nn.Module, tokens, labels):
    logits = model(tokens)
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), logits


def adamw(model: nn.Module):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=1.0)


def flat(tensors) -> np.ndarray:
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).numpy()


def use_biased_variances(model: nn.Module, steps: int, count: int) -> None:
    """Turns running variances kept with denominator count - 1 into those kept with denominator count.

    After `steps` steps the initial 1 is left with weight (1 - momentum)^steps; the rest are variances.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            start = (1 - module.momentum) ** steps
            module.running_var.sub_(start).mul_((count - 1) / count).add_(start)


def computed(model: nn.Module, tokens, labels, dtype) -> dict[str, np.ndarray]:
    """Logits, gradient and trained weights of a copy of the model in `dtype`."""
    model = copy.deepcopy(model).to(dtype)
    loss, logits = loss_of(copy.deepcopy(model), tokens, labels)
    results = dict(logits=logits.detach().numpy())
    optimizer = adamw(model)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, _ = loss_of(model, tokens, labels)
        loss.backward()
        if step == 0:
            results["gradient"] = flat(parameter.grad for parameter in model.parameters())
        optimizer.step()
    results["trained"] = flat(model.parameters())
    if any(isinstance(module, BatchNorm) for module in model.modules()):
        use_biased_variances(model, STEPS, tokens.numel())
        results["eval_logits"] = model.eval()(tokens).detach().numpy()
    return results


def undetermined(model: nn.Module, exact: np.ndarray, single: np.ndarray) -> np.ndarray:
    """Marks the parameters that the loss does not depend on, and of whose derivative only rounding is left.

    A bias of the keys adds the same to all scores of a query; a position that sees itself alone has no use for
    queries and keys. Adam makes steps of random sign of such
    gradients, so two correct programs part there. In tensors whose derivative is exactly 0 where nothing uses them,
    as in an embedding, nothing is marked.

    Args:
      model: whose parameters they are.
      exact, single: the gradient in float64 and float32.
    """
    marks = np.abs(exact) < 1e-12 * np.abs(exact).max()
    rounding = marks & ((exact != 0) | (single != 0))
    start = 0
    for parameter in model.parameters():
        own = slice(start, start := start + parameter.numel())
        marks[own] &= rounding[own].any()
    return marks


def layout(model: nn.Module) -> dict[str, np.ndarray]:
    """Names and shapes of the parameters, in order, and their values."""
    named = dict(model.named_parameters())
    shapes = np.array([[*p.shape, *[0] * (2 - p.ndim)] for p in named.values()], np.int32)
    return dict(names=np.array(list(named)), shapes=shapes, weights=flat(named.values()))


def save(name: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes NAME.npz with float32 and int32 contents."""
    kinds = {"f": np.float32, "i": np.int32}
    arrays = {key: a.astype(kinds.get(a.dtype.kind, a.dtype)) for key, a in arrays.items()}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


def deviation(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def make_model(name: str, problem: Problem, seed: int) -> None:
    model, tokens, labels = made(problem, seed)
    exact, single = (computed(model, tokens, labels, dtype) for dtype in (torch.float64, torch.float32))
    free = undetermined(model, exact["gradient"], single["gradient"])
    off = {key: deviation(single[key], exact[key]) for key in ("logits", "gradient")}
    off["trained"] = deviation(single["trained"][~free], exact["trained"][~free])
    print(f"{name:32}", *(f"{key} {value:.1e}" for key, value in off.items()), f"undetermined {free.sum()}")
    for key, limit in Limits()._asdict().items():
        assert off[key] < limit, f"{name}: float32 is off by {off[key]:.1e} in {key}. Try another seed."
    save(name, dict(tokens=tokens.numpy(), labels=labels.numpy(), **layout(model), **exact, undetermined=free))


# ------------------------------------------------------------------------------------------------------- optimizers

ADAM = dict(betas=(0.9, 0.98), eps=1e-9)


class Case(NamedTuple):
    """An optimizer: made from the parameters, with clipping, warm-up and decay towards the initial weights if any."""

    make: Callable
    clip_norm: float = 0.0
    warmup_steps: int = 0
    init_decay: float = 0.0


OPTIMIZERS = {
    "adam": Case(lambda p: torch.optim.Adam(p, lr=1e-3, **ADAM)),
    "adamw_weak": Case(lambda p: torch.optim.AdamW(p, lr=5e-4, weight_decay=0.05, **ADAM)),
    "adamw": Case(lambda p: torch.optim.AdamW(p, lr=5e-4, weight_decay=1.0, **ADAM)),
    "adam_l2": Case(lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=0.01, **ADAM)),
    "sgd": Case(lambda p: torch.optim.SGD(p, lr=1e-2)),
    "sgd_momentum": Case(lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9)),
    "sgd_l2": Case(lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=1e-3)),
    "rmsprop": Case(lambda p: torch.optim.RMSprop(p, lr=5e-4, alpha=0.99, eps=1e-8)),
    "rmsprop_momentum": Case(lambda p: torch.optim.RMSprop(p, lr=5e-4, alpha=0.99, eps=1e-8, momentum=0.9)),
    "adamw_clipped": Case(lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=1.0, **ADAM), clip_norm=1.0),
    "adamw_unclipped": Case(lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=1.0, **ADAM)),
    "sgd_clipped": Case(lambda p: torch.optim.SGD(p, lr=1e-2), clip_norm=1.0),
    "adamw_warmed_up": Case(lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=1.0, **ADAM), warmup_steps=10),
    "adamw_towards_init": Case(lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.0, **ADAM), init_decay=1.0),
}


def optimized(case: Case, model: nn.Module, tokens, labels, dtype) -> np.ndarray:
    """All weights of a copy of the model after 20 steps."""
    model = copy.deepcopy(model).to(dtype)
    parameters = list(model.parameters())
    initial = [parameter.detach().clone() for parameter in parameters]
    optimizer = case.make(parameters)
    if case.warmup_steps:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1.0, t / case.warmup_steps))
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(model, tokens, labels)[0].backward()
        if case.clip_norm:
            nn.utils.clip_grad_norm_(parameters, case.clip_norm)
        if case.init_decay:
            with torch.no_grad():
                for parameter, start in zip(parameters, initial, strict=True):
                    parameter.sub_(optimizer.param_groups[0]["lr"] * case.init_decay * (parameter - start))
        optimizer.step()
        if case.warmup_steps:
            schedule.step()
    return flat(parameters)


def make_optimizers() -> None:
    model, tokens, labels = made(Problem(lambda: Mlp(9, 9, 8), "a o b =", 20), seed=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)  # for gradients first above, then below norm 1: Adam does not see a constant factor
    results = {}
    for name, case in OPTIMIZERS.items():
        exact, single = (optimized(case, model, tokens, labels, dtype) for dtype in (torch.float64, torch.float32))
        off = deviation(single, exact)
        print(f"{name:32} trained {off:.1e}")
        assert off < Limits().trained, f"{name}: float32 is off by {off:.1e}. Try another seed."
        for other, there in results.items():
            apart = deviation(there, exact)
            assert apart > 5 * 1e-4, f"{name} and {other} end only {apart:.1e} apart: no test could tell."
        results[name] = exact
    save("optimizers", dict(tokens=tokens.numpy(), labels=labels.numpy(), **layout(model), **results))


# ------------------------------------------------------------------------------------------------------------- loss


def make_stablemax() -> None:
    """StableMax of Prieto et al. 2025, arXiv:2501.04697: s(x) = x + 1 for x >= 0, else 1/(1 - x), for exp(x)."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(12, 7)) * 10.0 ** random.integers(-2, 4, size=(12, 1))
    logits[0, 3] = 0.0
    logits = torch.tensor(logits.astype(np.float32).astype(np.float64), requires_grad=True)
    labels = torch.tensor(random.integers(0, 7, size=12))
    powers = torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))
    loss = -torch.log(powers.gather(1, labels[:, None])[:, 0] / powers.sum(1))
    loss.sum().backward()
    arrays = dict(logits=logits.detach(), labels=labels, loss=loss.detach(), gradient=logits.grad)
    np.savez_compressed(FOLDER / "stablemax.npz", **{key: value.numpy() for key, value in arrays.items()})


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mha.set_fastpath_enabled(False)
    print(f"PyTorch {torch.__version__}; how far its float32 is off:")
    for seed, (name, problem) in enumerate(MODELS.items()):
        make_model(name, problem, seed)
    make_optimizers()
    make_stablemax()


if __name__ == "__main__":
    main()
