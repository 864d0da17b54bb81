"""How many parameters the models of the papers have."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.models import MODELS, Decoder, EncoderDecoder, Lstm, Mlp, ResNet, fitted
from grokjax.tasks import Table, modular


def table_of(vocab_size, length):
    """A table of one row, with as many classes as tokens."""
    inputs = np.arange(length, dtype=np.int32)[None]
    return Table(inputs, np.zeros((1, 1), np.int32), (length - 1,), vocab_size, vocab_size, "one row")


def shapes_of(model, table):
    model = fitted(model, table)
    return jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(table.inputs[:1]))["params"]


def count(params):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def nanda(width, **changed):
    """Nanda et al.'s architecture at some width."""
    return Decoder(
        **dict(num_layers=1, width=width, norm="none", bias="mlp", positions="learned", init_scheme="nanda") | changed
    )


# PKU's vocabularies are the numbers, '+' and '='; p 113 has 114 tokens and, since output='vocabulary', 114 classes.
COUNTS = [
    (EncoderDecoder(), 99, 4, 963_811),
    (EncoderDecoder(), 49, 4, 944_561),
    (EncoderDecoder(), 33, 6, 938_401),
    (EncoderDecoder(), 19, 8, 933_011),
    (EncoderDecoder(zero_is_padding=True), 99, 4, 963_811),
    (Lstm(), 99, 4, 566_499),
    (Lstm(), 49, 4, 547_249),
    (Mlp(), 99, 4, 91_491),
    (Mlp(), 49, 4, 78_641),
    (ResNet(), 99, 4, 41_955),
    (ResNet(), 49, 4, 29_105),
    (ResNet(shared=False), 49, 4, 78_641),
    (nanda(128), 114, 3, 226_816),
    (nanda(4), 114, 3, 1_136),
    (nanda(8), 114, 3, 2_656),
    (nanda(24), 114, 3, 12_576),
    (nanda(32), 114, 3, 19_840),
    (nanda(64), 114, 3, 64_256),
    (nanda(100), 114, 3, 143_600),
]


@pytest.mark.parametrize(("model", "vocab_size", "length", "expected"), COUNTS)
def test_models_have_as_many_parameters_as_in_their_papers(model, vocab_size, length, expected):
    assert count(shapes_of(model, table_of(vocab_size, length))) == expected


def test_the_default_decoder_has_as_many_parameters_as_that_of_power_outside_embedding_and_output():
    params = shapes_of(Decoder(), modular("divide", 97, "a o b =").table())
    assert count(params) - count(params["embedding"]) - count(params["output"]) == 394_240


def test_eight_layers_of_width_1024_are_1570_times_one_of_width_64():
    table = table_of(114, 3)
    large, small = (count(shapes_of(model, table)) for model in (nanda(1024, num_layers=8), nanda(64)))
    assert round(large / small, 1) == 1570.9


def test_norms_without_scale_and_bias_have_no_parameters():
    table = table_of(97, 2)
    settings = dict(norm="pre", inner_norm=True, final_norm=True)
    affine, not_affine = (count(shapes_of(Decoder(norm_affine=on, **settings), table)) for on in (True, False))
    assert affine - not_affine == 2 * (2 * (128 + 128 + 512) + 128)


def test_every_model_has_a_name_and_counts_operations():
    table = modular("add", 5, "a o b =").table()
    for kind, model in MODELS.items():
        model = fitted(model(), table)
        assert model.operations(10, None) == 10 * model.operations(1, None) > 0, kind
