"""Networks made by hand that add modulo p with known frequencies: what the measures must find.

Neuron (k, i, j) of the network is R(w_k a - phi_i, w_k b - phi_j) with R(x, y) = relu(cos x + cos y), w_k = 2 pi k/p
and phi_i = 2 pi i/M. It adds cos(w_k c - phi_i - phi_j) times a gain to the logit of c. Where M = p, replacing a by
a + 1 only renumbers the neurons, so that the logits are a function of a + b - c, even by (i, j) -> (-i, -j), and of
frequency k alone: exactly proportional to cos w_k(a + b - c). Smaller odd M give the same up to harmonics of order M,
about 0.5 % for 13.
"""

import jax
import jax.numpy as jnp
import numpy as np

import grokjax as gj
from grokjax.analysis import square
from grokjax.models import fitted


def decoder(modulus, keys, height, phases=None):
    """A decoder of one layer that adds modulo p with the frequencies `keys`.

    Its two heads attend from '=' to a alone and to b alone, and copy their cosines and sines for the neurons.

    Args:
      modulus: p.
      keys: the frequencies.
      height: of each cosine in the logits.
      phases: M; None: p, which is exact.

    Returns:
      (model, params, table).
    """
    grid = modulus if phases is None else phases
    count, classes = len(keys), modulus + 1
    width, hidden = 8 * count + 4, count * grid**2
    table = gj.tasks.modular("add", modulus).table()
    shape = dict(num_layers=1, width=width, num_heads=2, mlp_width=hidden)
    model = fitted(gj.models.Decoder(**shape, norm="none", bias="none", positions="learned"), table)
    angle = 2 * np.pi * np.outer(keys, np.arange(modulus)) / modulus  # [keys, numbers]
    phase = 2 * np.pi * np.arange(grid) / grid
    of_a, of_b = (np.tile(x.ravel(), count) for x in np.meshgrid(phase, phase, indexing="ij"))
    key_of = np.repeat(np.arange(count), grid**2)
    cosine, sine = np.arange(count), count + np.arange(count)  # features of the residual stream, for tokens

    embedding = np.zeros((modulus + 1, width))
    embedding[:modulus, cosine], embedding[:modulus, sine] = np.cos(angle).T, np.sin(angle).T
    place = 8 * count + np.arange(3)
    position = np.zeros((3, width))
    position[np.arange(3), place] = 1

    features = width // 2
    query, key, value, copied = (np.zeros((width, width)) for _ in range(4))
    mlp_in, mlp_out = np.zeros((width, hidden)), np.zeros((hidden, width))
    for head, own in enumerate((of_a, of_b)):
        first = head * features
        key[place[head], first] = 1
        query[place[2], first] = 200 * features**0.5  # all others get exp(-200) of the weight
        read = 2 * count * (head + 1)  # where what is copied goes
        for feature in range(2 * count):
            value[feature, first + feature] = copied[first + feature, read + feature] = 1
        mlp_in[read + key_of, np.arange(hidden)] = np.cos(own)
        mlp_in[read + count + key_of, np.arange(hidden)] = np.sin(own)
    gain = height / response(grid)
    written = 6 * count
    mlp_out[np.arange(hidden), written + key_of] = np.cos(of_a + of_b) * gain
    mlp_out[np.arange(hidden), written + count + key_of] = np.sin(of_a + of_b) * gain
    output = np.zeros((width, classes))
    output[written : written + count, :modulus] = np.cos(angle)
    output[written + count : written + 2 * count, :modulus] = np.sin(angle)

    kernels = dict(query=query, key=key, value=value, output=copied, mlp_in=mlp_in, mlp_out=mlp_out)
    block = {name: {"kernel": kernel.astype(np.float32)} for name, kernel in kernels.items()}
    params = dict(embedding=embedding, position=position, output=output)
    return model, {name: array.astype(np.float32) for name, array in params.items()} | {"block_0": block}, table


def table_logits(model, params, table):
    """[a, b, classes]: the logits of a model over the full table."""
    logits = jax.jit(model.apply)({"params": params}, jnp.asarray(table.inputs))
    return square.square(np.asarray(logits)[:, 0], square.operands(table))


def response(phases):
    """The sum over the neurons of one key of R(-phi_i, -phi_j) cos(phi_i + phi_j): the logit of 0 + 0 = 0 at gain 1."""
    phase = 2 * np.pi * np.arange(phases) / phases
    x, y = np.meshgrid(phase, phase)
    return (np.maximum(np.cos(x) + np.cos(y), 0) * np.cos(x + y)).sum()


def activations(modulus, key, phases):
    """[a, b, phases^2]: the neurons of one frequency, by their formula."""
    angle = 2 * np.pi * key * np.arange(modulus) / modulus
    phase = 2 * np.pi * np.arange(phases) / phases
    of_a, of_b = np.cos(angle[:, None] - phase), np.cos(angle[:, None] - phase)
    both = of_a[:, None, :, None] + of_b[None, :, None, :]
    return np.maximum(both, 0).reshape(modulus, modulus, -1)


def cosines(modulus, heights):
    """[a, b, c]: the logits sum_k h_k cos w_k(a + b - c), from {k: h_k}."""
    a, b, c = np.ogrid[:modulus, :modulus, :modulus]
    return sum(h * np.cos(2 * np.pi * k * ((a + b - c) % modulus) / modulus) for k, h in heights.items())


def loss_of_cosines(modulus, heights):
    """The cross-entropy of `cosines`, the same in every row: log sum_t exp(sum_k h_k cos w_k t) - sum_k h_k."""
    t = np.arange(modulus)
    logits = sum(h * np.cos(2 * np.pi * k * t / modulus) for k, h in heights.items())
    return np.log(np.exp(logits).sum()) - sum(heights.values())


def split(modulus, seed=0, share=0.3):
    """[a, b] bool: rows that train."""
    return np.random.default_rng(seed).random((modulus, modulus)) < share
