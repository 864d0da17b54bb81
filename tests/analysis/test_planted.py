"""The whole path on networks whose answers are known: from parameters and logits to keys, losses and variances."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest
import xarray as xr

import grokjax as gj
from grokjax.analysis import ablations, frequencies, gini, groups, progress, spectra, square, variance
from grokjax.models import fitted

# modulus, keys, height of each cosine, phases of the neurons, and how far their harmonics may reach
NETWORKS = {
    13: ((2, 5), 4.0, None, 1e-5),
    12: ((1, 6), 4.0, None, 1e-5),  # 6 is half of 12: a frequency with a cosine and no sine
    59: ((3, 17, 24), 5.0, 13, 0.02),
    113: ((14, 35, 41), 8.0, 13, 0.03),
}


@functools.cache
def network(modulus):
    """Parameters and logits [a, b, classes] of the planted decoder."""
    keys, height, phases, _ = NETWORKS[modulus]
    model, params, table = planted.decoder(modulus, keys, height, phases)
    return params, planted.table_logits(model, params, table)


@functools.cache
def random_network(modulus):
    """The same of a decoder before it is trained."""
    table = gj.tasks.modular("add", modulus).table()
    model = gj.models.Decoder(num_layers=1, width=32, norm="none", positions="learned", init_scheme="nanda")
    model = fitted(model, table)
    params = jax.jit(model.init)(jax.random.key(0), jnp.asarray(table.inputs[:1]))["params"]
    return params, planted.table_logits(model, params, table)


def keys_of(params, modulus):
    """Key frequencies of a decoder by its output map, and by its embedding."""
    group = groups.cyclic(modulus)
    by_map = spectra.output_spectrum(spectra.output_map(params), group)
    by_embedding = spectra.embedding_spectrum(params["embedding"], group)
    return [frequencies.key_frequencies(spectrum) for spectrum in (by_map, by_embedding)]


@pytest.mark.parametrize("modulus", NETWORKS)
def test_a_planted_decoder_comes_back_with_exactly_its_frequencies(modulus):
    keys, height, phases, tolerance = NETWORKS[modulus]
    params, logits = network(modulus)
    found = [frequencies.labels_of(mask) for mask in keys_of(params, modulus)]
    assert found == [sorted(keys), sorted(keys)]
    expected = planted.cosines(modulus, dict.fromkeys(keys, height))
    assert np.abs(logits[..., :modulus] - expected).max() < tolerance * len(keys) * height


@pytest.mark.parametrize("modulus", NETWORKS)
def test_a_planted_decoder_has_its_own_loss_restricted_and_chance_excluded(modulus):
    keys, height, _, tolerance = NETWORKS[modulus]
    params, logits = network(modulus)
    mask, _ = keys_of(params, modulus)
    found = progress.progress(logits, planted.split(modulus), mask)
    loss = planted.loss_of_cosines(modulus, dict.fromkeys(keys, height))
    np.testing.assert_allclose(found.loss, loss, rtol=2 * tolerance)
    np.testing.assert_allclose(found.restricted_loss, loss, rtol=2 * tolerance)
    np.testing.assert_allclose(found.excluded_loss, np.log(modulus), rtol=tolerance)
    for key in keys:
        others = {other: height for other in keys if other != key}
        left = planted.loss_of_cosines(modulus, others)
        np.testing.assert_allclose(found.excluded_loss_each.sel(frequency=key), left, rtol=2 * tolerance)
    assert found.excluded_loss_each.notnull().sum() == len(keys)


@pytest.mark.parametrize("modulus", NETWORKS)
def test_a_planted_decoder_has_the_closed_forms_of_gini_and_variance_explained(modulus):
    keys, _, _, tolerance = NETWORKS[modulus]
    params, logits = network(modulus)
    spectrum = spectra.output_spectrum(spectra.output_map(params), groups.cyclic(modulus))
    np.testing.assert_allclose(gini.gini(spectrum), 1 - len(keys) / (modulus // 2), rtol=1e-6)
    shares = variance.logit_variance(logits)
    weight = {k: 1.0 if 2 * k == modulus else 0.5 for k in keys}  # the mean of cos^2
    for key in keys:
        expected = weight[key] / sum(weight.values())
        np.testing.assert_allclose(shares.sel(frequency=key), expected, rtol=tolerance)
    np.testing.assert_allclose(shares.sum("frequency"), 1, rtol=tolerance)


@pytest.mark.parametrize("modulus", NETWORKS)
def test_a_planted_decoder_is_at_chance_without_its_frequencies_and_unharmed_with_them_alone(modulus):
    keys, height, _, tolerance = NETWORKS[modulus]
    _, logits = network(modulus)
    found = ablations.ablations(logits, planted.split(modulus), keys, each=modulus == 13)
    loss = planted.loss_of_cosines(modulus, dict.fromkeys(keys, height))
    np.testing.assert_allclose(found.without_keys, np.log(modulus), rtol=tolerance)
    np.testing.assert_allclose(found.only_keys, loss, rtol=2 * tolerance)
    if modulus == 13:
        others = [k for k in range(1, 7) if k not in keys]
        without = found.without_each.sel(part="all")
        np.testing.assert_allclose(without.sel(frequency=others), loss, rtol=1e-4)
        np.testing.assert_allclose(without.sel(frequency=2), planted.loss_of_cosines(13, {5: height}), rtol=1e-4)


def test_a_frequency_of_half_an_even_modulus_has_half_the_freedom_and_the_same_measures():
    logits = planted.cosines(12, {2: 1.5, 6: 1.0})
    shares = variance.logit_variance(logits).sel(frequency=[2, 6]).values
    np.testing.assert_allclose(shares, np.array([1.5**2 / 2, 1.0]) / (1.5**2 / 2 + 1), rtol=1e-12)
    found = progress.progress(logits, planted.split(12), [2, 6])
    np.testing.assert_allclose(found.excluded_loss, np.log(12), rtol=1e-12)
    np.testing.assert_allclose(found.restricted_loss, planted.loss_of_cosines(12, {2: 1.5, 6: 1.0}), rtol=1e-12)


@pytest.mark.parametrize("modulus", [12, 59])
def test_a_network_before_training_has_no_key_frequency_and_no_cosine_in_its_logits(modulus):
    params, logits = random_network(modulus)
    assert [frequencies.labels_of(mask) for mask in keys_of(params, modulus)] == [[], []]
    assert float(variance.logit_variance(logits).sum()) < 0.02
    assert float(gini.gini(spectra.output_spectrum(spectra.output_map(params), groups.cyclic(modulus)))) < 0.1


def test_a_permuted_table_breaks_what_is_found_in_the_logits_and_only_that():
    keys, height, _, _ = NETWORKS[59]
    _, logits = network(59)
    shuffled = logits[np.random.default_rng(1).permutation(59)]
    assert float(variance.logit_variance(shuffled).sum()) < 0.02
    found = progress.progress(shuffled, planted.split(59), keys)
    assert float(found.loss.sel(part="all")) > 3 * np.log(59)
    assert found.restricted_loss.min() > np.log(59) - 0.1  # what is left of the answer is no better than chance
    assert float(found.excluded_loss / found.loss.sel(part="train")) > 0.9  # and little was taken out
    unlike = ablations.ablations(shuffled, planted.split(59), keys)
    assert float(unlike.without_keys.sel(part="all")) > np.log(
        59
    )  # an operand's number does not matter to b's frequency


def test_memory_in_the_logits_keeps_the_excluded_loss_low_and_leaves_the_restricted_loss():
    train = planted.split(59)
    cosine = planted.cosines(59, {7: 3.0, 20: 3.0})
    right = np.eye(59)[groups.cyclic(59).products] * train[..., None]
    found = progress.progress(cosine + 30 * right, train, [7, 20])
    generalising = planted.loss_of_cosines(59, {7: 3.0, 20: 3.0})
    assert float(found.loss.sel(part="train")) < 1e-6
    assert float(found.excluded_loss) < 1e-6  # on training rows, which are remembered
    np.testing.assert_allclose(found.loss.sel(part="test"), generalising, rtol=1e-12)
    forgotten = progress.progress(cosine + 30 * right, ~train, [7, 20])
    np.testing.assert_allclose(forgotten.excluded_loss, _excluded(cosine + 30 * right, ~train, (7, 20)), rtol=1e-9)
    assert float(forgotten.excluded_loss) > 4


def _excluded(logits, rows, keys):
    """The excluded loss on some rows by dense projections on u_k and v_k."""
    p = logits.shape[0]
    a, b = np.indices((p, p))
    rest = logits.reshape(p * p, p).astype(np.float64)
    for k in keys:
        for function in (np.cos, np.sin):
            direction = function(2 * np.pi * k * (a + b) / p).ravel()
            direction /= np.linalg.norm(direction)
            rest = rest - np.outer(direction, direction @ logits.reshape(p * p, p))
    rest = rest[rows.ravel()]
    right = ((a + b) % p)[rows]
    return (np.log(np.exp(rest).sum(-1)) - rest[np.arange(len(rest)), right]).mean()


def test_snapshots_are_measured_with_the_final_model_s_keys():
    train = planted.split(13)
    early, late = planted.cosines(13, {1: 2.0, 5: 1.0}), planted.cosines(13, {4: 3.0, 5: 3.0})
    training = xr.DataArray(np.stack([early, late]), dims=("step", "a", "b", "c"), coords={"step": [10, 1000]})
    found = progress.progress(training, train, [4, 5])
    assert found.excluded_loss.dims == ("step",) and found.step.values.tolist() == [10, 1000]
    left = planted.loss_of_cosines(13, {1: 2.0})  # frequency 1 is not taken out of the early model
    np.testing.assert_allclose(found.excluded_loss, [left, np.log(13)], rtol=1e-9)
    kept = planted.loss_of_cosines(13, {5: 1.0})
    np.testing.assert_allclose(found.restricted_loss.sel(step=10), kept, rtol=1e-9)
    own = xr.DataArray(np.eye(6, dtype=bool)[[0, 3]], dims=("step", "frequency"))
    with pytest.raises(ValueError, match="keys come from the final model. Pass keys.isel"):
        progress.progress(training, train, own)


def test_products_modulo_a_prime_are_sums_of_discrete_logarithms():
    modulus, keys = 13, {2: 3.0, 6: 2.0}  # products modulo 13 are sums modulo 12, with a frequency of half the order
    root = 2
    logarithm = {pow(root, i, modulus): i for i in range(modulus - 1)}
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(modulus, modulus, modulus + 1))  # with rows and classes of zero, and '='
    for a in range(1, modulus):
        for b in range(1, modulus):
            for c in range(1, modulus):
                t = logarithm[a] + logarithm[b] - logarithm[c]
                logits[a, b, c] = sum(h * np.cos(2 * np.pi * k * t / (modulus - 1)) for k, h in keys.items())
    group = groups.multiplicative(modulus)
    shares = variance.logit_variance(logits, group)
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-9)
    np.testing.assert_allclose(shares.sel(frequency=[2, 6]), np.array([4.5, 4.0]) / 8.5, rtol=1e-9)
    table = gj.tasks.modular("multiply", modulus).table()
    labels = square.square(table.labels, square.operands(table))[..., 0].astype(int)
    for given in (None, labels):  # rows with a zero, and their label, are left out
        found = progress.progress(logits, planted.split(modulus), [2, 6], group, given)
        np.testing.assert_allclose(found.loss, planted.loss_of_cosines(12, keys), rtol=1e-9)
        np.testing.assert_allclose(found.restricted_loss, planted.loss_of_cosines(12, keys), rtol=1e-9)
        np.testing.assert_allclose(found.excluded_loss, np.log(12), rtol=1e-9)
    assert float(variance.logit_variance(logits[:12, :12, :12]).sum()) < 0.5  # in the numbers' own order it is noise


@pytest.mark.parametrize("degree", [3, 4])
def test_a_network_that_composes_by_one_representation_has_its_variance_there(degree):
    group = groups.symmetric(degree)
    from grokjax.analysis import characters
    from grokjax.tasks import permutations

    products, inverses = permutations.products(degree), permutations.inverses(degree)
    fixed = (permutations.elements(degree) == np.arange(degree)).sum(1)  # character of the permutation representation
    quotient = products[products][:, :, inverses]  # (x y) z^-1
    logits = (fixed - 1.0)[quotient]
    standard = f"{degree - 1},1"
    for shares in (variance.logit_variance(logits, group), variance.answer_variance(logits, group)):
        np.testing.assert_allclose(shares, shares.representation == standard, atol=1e-12)
    found = progress.progress(5 * logits, planted.split(len(products)), [standard], group)
    np.testing.assert_allclose(found.restricted_loss, found.loss, rtol=1e-9)
    np.testing.assert_allclose(found.excluded_loss, np.log(len(products)), rtol=1e-9)
    assert len(group.labels) == len(characters.partitions(degree)) - 1


def test_the_neurons_of_a_planted_network_are_of_one_frequency_to_the_share_of_the_closed_form():
    acts = np.concatenate([planted.activations(59, 5, 3), planted.activations(59, 21, 3), np.zeros((59, 59, 1))], -1)
    shares = variance.neuron_variance(acts)
    found = frequencies.neuron_frequencies(shares)
    assert found.best.values[:-1].tolist() == [5] * 9 + [21] * 9
    # relu(cos x + cos y) for angles x, y spread evenly: linear terms 1/4, products 64/(9 pi^4), variance 1/2 - 16/pi^4.
    closed = (1 / 4 + 64 / (9 * np.pi**4)) / (1 / 2 - 16 / np.pi**4)
    np.testing.assert_allclose(found.share[:-1], closed, atol=2e-3)
    assert np.isnan(found.share[-1]) and float(found.described) == 18 / 19
    assert {int(k): int(n) for k, n in zip(found.frequency, found.neurons, strict=True) if n} == {5: 9, 21: 9}
