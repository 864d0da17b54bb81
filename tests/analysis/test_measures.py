"""Each measure against its definition, written out in loops or dense products at a tiny size, and its laws."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import planted
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

import grokjax as gj
from grokjax.analysis import ablations, fourier, frequencies, gini, groups, progress, spectra, square, variance

MODULI = (7, 8)


def logits_of(modulus, seed=0):
    return np.random.default_rng(seed).normal(size=(modulus, modulus, modulus)) * 2


def directions(modulus, k):
    """u_k and v_k over all pairs, unit vectors [p, p], from products of rows of F; no v_k where there is no sine."""
    row = {name: np.array([f(2 * np.pi * k * x / modulus) for x in range(modulus)]) for name, f in FUNCTIONS.items()}
    if 2 * k == modulus:
        return [np.outer(row["cos"], row["cos"]) / modulus]
    cos, sin = (r * math.sqrt(2 / modulus) for r in (row["cos"], row["sin"]))
    u = (np.outer(cos, cos) - np.outer(sin, sin)) / math.sqrt(2)
    v = (np.outer(sin, cos) + np.outer(cos, sin)) / math.sqrt(2)
    return [u, v]


FUNCTIONS = {"cos": math.cos, "sin": math.sin}


def projected(logits, keys):
    """P_S L by definition."""
    p, total = len(logits), np.zeros_like(logits)
    for k in keys:
        for direction in directions(p, k):
            assert math.isclose((direction**2).sum(), 1)
            for c in range(p):
                total[:, :, c] += direction * (direction * logits[:, :, c]).sum()
    return total


def losses_of(logits, labels):
    """[a, b]: cross-entropy, a row at a time."""
    p, found = len(logits), np.zeros(labels.shape)
    for a, b in np.ndindex(*labels.shape):
        found[a, b] = math.log(sum(math.exp(z) for z in logits[a, b])) - logits[a, b, labels[a, b]]
    assert found.shape == (p, p)
    return found


@pytest.mark.parametrize("modulus", [2, 3, 7, 8, 12, 13, 113])
def test_the_fourier_basis_is_orthonormal_and_its_rows_are_those_of_the_definition(modulus):
    basis = fourier.basis(modulus)
    np.testing.assert_allclose(basis @ basis.T, np.eye(modulus), atol=1e-12)
    x = np.arange(modulus)
    np.testing.assert_allclose(basis[0], 1 / math.sqrt(modulus))
    for k in range(1, (modulus - 1) // 2 + 1):
        np.testing.assert_allclose(
            basis[2 * k - 1], math.sqrt(2 / modulus) * np.cos(2 * np.pi * k * x / modulus), atol=1e-12
        )
        np.testing.assert_allclose(
            basis[2 * k], math.sqrt(2 / modulus) * np.sin(2 * np.pi * k * x / modulus), atol=1e-12
        )
    if modulus % 2 == 0:
        np.testing.assert_allclose(basis[-1], np.cos(np.pi * x) / math.sqrt(modulus), atol=1e-12)
    assert fourier.row_frequency(modulus)[-1] == fourier.frequencies(modulus)[-1] == modulus // 2


@pytest.mark.parametrize("modulus", MODULI)
def test_directions_are_unit_vectors_along_the_cosine_and_the_sine_of_the_sum(modulus):
    a, b = np.indices((modulus, modulus))
    for k in fourier.frequencies(modulus):
        found = fourier.directions(modulus, k)
        np.testing.assert_allclose(found, directions(modulus, k), atol=1e-12)
        for direction, function in zip(found, (np.cos, np.sin), strict=False):
            wave = function(2 * np.pi * k * (a + b) / modulus)
            np.testing.assert_allclose(direction, wave / np.linalg.norm(wave), atol=1e-12)
    with pytest.raises(ValueError, match="frequency=0 is out of range"):
        fourier.directions(modulus, 0)


@pytest.mark.parametrize("modulus", MODULI)
def test_restricted_and_excluded_loss_are_those_of_the_definition(modulus):
    logits, train, keys = logits_of(modulus), planted.split(modulus, share=0.5), (1, 3, 4)[: modulus - 5]
    labels = np.add.outer(np.arange(modulus), np.arange(modulus)) % modulus
    found = progress.progress(logits, train, keys)
    part = projected(logits, keys)
    restricted = losses_of(part + logits.mean((0, 1)), labels)
    for name, losses in (("loss", losses_of(logits, labels)), ("restricted_loss", restricted)):
        expected = [losses[train].mean(), losses[~train].mean(), losses.mean()]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)
    np.testing.assert_allclose(found.excluded_loss, losses_of(logits - part, labels)[train].mean(), rtol=1e-12)
    for k in fourier.frequencies(modulus):
        each = found.excluded_loss_each.sel(frequency=k)
        if k in keys:
            expected = losses_of(logits - projected(logits, [k]), labels)[train].mean()
            np.testing.assert_allclose(each, expected, rtol=1e-12)
        else:
            assert np.isnan(each)
    assert found.loss.attrs == {"long_name": "loss", "units": "nat"}


@pytest.mark.parametrize("modulus", MODULI)
def test_the_fraction_of_logit_variance_is_that_of_a_least_squares_fit(modulus):
    logits = logits_of(modulus) + planted.cosines(modulus, {2: 1.0})
    a, b, c = np.indices(logits.shape)
    shares = variance.logit_variance(logits)
    for keys in ([2], [1, 3], list(range(1, modulus // 2 + 1))):
        columns = [np.cos(2 * np.pi * k * (a + b - c) / modulus).ravel() for k in keys]
        design = np.stack([np.ones(logits.size), *columns], 1)
        rest = logits.ravel() - design @ np.linalg.lstsq(design, logits.ravel(), rcond=None)[0]
        expected = 1 - (rest**2).sum() / ((logits - logits.mean()) ** 2).sum()
        np.testing.assert_allclose(shares.sel(frequency=keys).sum(), expected, rtol=1e-10)
    whole = (projected(logits, [2]) ** 2).sum() / ((logits - logits.mean()) ** 2).sum()
    np.testing.assert_allclose(variance.answer_variance(logits).sel(frequency=2), whole, rtol=1e-12)


@pytest.mark.parametrize("modulus", MODULI)
def test_the_share_of_a_neuron_s_variance_is_that_of_a_least_squares_fit(modulus):
    acts = np.maximum(np.random.default_rng(0).normal(size=(modulus, modulus, 3)), 0)
    a, b = np.indices((modulus, modulus))
    shares = variance.neuron_variance(acts)
    for neuron, k in itertools.product(range(3), range(1, modulus // 2 + 1)):
        x, y = (2 * np.pi * k * z / modulus for z in (a, b))
        terms = [np.cos(x), np.sin(x), np.cos(y), np.sin(y)]
        terms += [f * g for f in terms[:2] for g in terms[2:]]
        design = np.stack([np.ones(a.shape), *terms]).reshape(9, -1).T
        values = acts[..., neuron].ravel()
        rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        expected = 1 - (rest**2).sum() / ((values - values.mean()) ** 2).sum()
        np.testing.assert_allclose(shares.sel(neuron=neuron, frequency=k), expected, rtol=1e-10)


@pytest.mark.parametrize("modulus", MODULI)
def test_spectra_are_the_norms_of_a_discrete_fourier_transform(modulus):
    rng, group = np.random.default_rng(0), groups.cyclic(modulus)
    embedding, output_map = rng.normal(size=(modulus + 1, 5)), rng.normal(size=(6, modulus + 2))
    for found, values in (
        (spectra.embedding_spectrum(embedding, group), embedding[:modulus]),
        (spectra.output_spectrum(output_map, group), output_map[:, :modulus].T),
    ):
        transform = np.abs(np.fft.fft(values, axis=0)) ** 2 / modulus
        for k in range(1, modulus // 2 + 1):
            both = transform[k] if 2 * k == modulus else transform[k] + transform[modulus - k]
            np.testing.assert_allclose(found.sel(frequency=k), np.sqrt(both.sum()), rtol=1e-12)
    logits = logits_of(modulus)
    norms = spectra.logit_spectrum(logits, group)
    transform = (np.abs(np.fft.fft2(logits, axes=(0, 1))) ** 2).sum(-1) / modulus**2
    power = np.zeros((modulus // 2 + 1,) * 2)
    for i, j in np.ndindex(modulus, modulus):
        power[min(i, modulus - i), min(j, modulus - j)] += transform[i, j]
    np.testing.assert_allclose(norms, np.sqrt(power), rtol=1e-12)
    assert norms.dims == ("frequency_a", "frequency_b") and norms.frequency_a.values[0] == "constant"


@pytest.mark.parametrize("modulus", MODULI)
def test_ablations_zero_coefficients_of_the_two_dimensional_transform(modulus):
    logits, train, keys = logits_of(modulus), planted.split(modulus, share=0.5), (2, 3)
    labels = groups.cyclic(modulus).products
    transform = np.fft.fft2(logits, axes=(0, 1))
    of_keys = np.zeros_like(transform)
    for i, j in np.ndindex(modulus, modulus):
        k, m = min(i, modulus - i), min(j, modulus - j)
        if (k, m) != (0, 0) and {k, m} - {0} <= {max(k, m)} and max(k, m) in keys:
            of_keys[i, j] = transform[i, j]
    part = np.fft.ifft2(of_keys, axes=(0, 1)).real
    found = ablations.ablations(logits, train, keys)
    mean = logits.mean((0, 1))
    for name, left in (("without_keys", logits - part), ("only_keys", part + mean)):
        losses = losses_of(left, labels)
        np.testing.assert_allclose(
            found[name], [losses[train].mean(), losses[~train].mean(), losses.mean()], rtol=1e-10
        )


def test_the_gini_coefficient_is_half_the_relative_mean_difference():
    for values in ([1.0, 1, 1], [0, 0, 3.0], [0.2, 5, 1, 0, 7]):
        differences = np.abs(np.subtract.outer(values, values)).mean()
        np.testing.assert_allclose(gini.gini(np.array(values)), differences / (2 * np.mean(values)), atol=1e-12)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9).filter(lambda v: sum(v) > 1e-3), st.floats(0.1, 10))
def test_the_gini_coefficient_knows_neither_order_nor_unit(values, unit):
    values = np.array(values)
    found = float(gini.gini(values))
    assert -1e-9 <= found <= 1 - 1 / len(values) + 1e-9
    np.testing.assert_allclose(gini.gini(values[::-1] * unit), found, atol=1e-9)


def test_key_frequencies_exceed_a_quarter_of_the_largest_and_a_flat_spectrum_has_none():
    labels = {"frequency": np.arange(1, 7)}
    spectrum = xr.DataArray(
        [[4.0, 1.0, 1.01, 0.2, 0.0, 0.1], [4.0, 3.0, 2.0, 1.5, 0.0, 0.0]],
        labels | {"run": [0, 1]},
        ("run", "frequency"),
    )
    keys = frequencies.key_frequencies(spectrum)
    assert frequencies.labels_of(keys.sel(run=0)) == [1, 3]
    assert frequencies.labels_of(keys.sel(run=1)) == []
    with pytest.raises(ValueError, match="share=1.0 is out of range"):
        frequencies.key_frequencies(spectrum, 1.0)


@pytest.mark.parametrize("kind", ["numpy", "jax", "labelled"])
def test_leading_axes_are_measured_one_by_one_in_whatever_array_they_come(kind):
    runs = np.stack([[logits_of(7, seed=10 * r + s) for s in range(3)] for r in range(2)]).astype(np.float32)
    trains = np.stack([planted.split(7, seed, 0.5) for seed in (4, 5)])
    keys = np.array([[True, False, True], [False, True, False]])
    if kind == "labelled":
        logits = xr.DataArray(runs, dims=("seed", "step", "a", "b", "c"), coords={"seed": [3, 9], "step": [0, 1, 10]})
        train = xr.DataArray(trains, dims=("seed", "a", "b"))
        mask = xr.DataArray(keys, dims=("seed", "frequency"))
    else:
        convert = jnp.asarray if kind == "jax" else np.asarray
        logits, train, mask = convert(runs), convert(trains[:, None]), convert(keys[:, None])
    found = progress.progress(logits, train, mask)
    cut = ablations.ablations(logits, train, mask)
    for r, s in np.ndindex(2, 3):
        alone = progress.progress(runs[r, s].astype(float), trains[r], keys[r])
        for name in found:
            np.testing.assert_array_equal(found[name].values[r, s], alone[name].values)
        own = ablations.ablations(runs[r, s], trains[r], keys[r])
        np.testing.assert_array_equal(cut.only_keys.values[r, s], own.only_keys.values)
    assert found.loss.dims == (("seed", "step") if kind == "labelled" else ("batch_0", "batch_1")) + ("part",)
    for measure in (variance.logit_variance, variance.neuron_variance):
        np.testing.assert_array_equal(measure(logits).values[1, 2], measure(runs[1, 2]).values)


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_the_group_of_a_task_has_the_answers_of_its_table(operation):
    task = gj.tasks.modular(operation, 7, "a o b =")
    table, group = task.table(), groups.of(task)
    labels = square.square(table.labels.astype(float), square.operands(table), 7)[..., 0]
    taken = group.take(labels, 0, 1)
    np.testing.assert_array_equal(group.elements[group.products], taken)
    np.testing.assert_array_equal(group.places(taken.astype(int)), group.products)
    order = np.arange(group.order)
    assert (group.products[order[:, None], group.right_factor] == order).all()


def test_the_group_of_compositions_has_the_answers_of_its_table_and_other_tasks_have_none():
    task = gj.tasks.Permutations(degree=3)
    table, group = task.table(), groups.of(task)
    np.testing.assert_array_equal(table.labels.reshape(6, 6), group.products)
    for other in (
        gj.tasks.modular("x^2+y^2", 7),
        gj.tasks.Permutations("xyx", degree=3),
        gj.tasks.modular("add", 5, operands=3),
    ):
        with pytest.raises(ValueError, match="not the full table of a group's operation"):
            groups.of(other)


@pytest.mark.parametrize(
    "group",
    [groups.cyclic(8), groups.multiplicative(11), groups.symmetric(3), groups.symmetric(4)],
    ids=lambda g: g.name,
)
def test_components_divide_the_functions_on_a_group_and_no_translation_leaves_one(group):
    np.testing.assert_allclose(group.basis @ group.basis.T, np.eye(group.order), atol=1e-12)
    assert np.ptp(group.basis[0]) < 1e-12 and group.component[0] == 0
    for rows in group.rows:
        projector = group.basis[rows].T @ group.basis[rows]
        for shift in range(group.order):
            for moved in (group.products[shift], group.products[:, shift]):
                np.testing.assert_allclose(projector[np.ix_(moved, moved)], projector, atol=1e-10)


def test_a_table_without_some_pairs_has_no_numbers_there():
    table = gj.tasks.modular("divide", 5).table()
    values = np.arange(20.0)[:, None] * np.ones(3)
    found = square.square(values, square.operands(table))
    assert np.isnan(found[:, 0]).all() and (found[:, 1:] == values.reshape(5, 4, 3)).all()
    mask = square.square_mask(np.arange(20) % 3 == 0, square.operands(table))
    assert mask.shape == (5, 5) and mask.sum() == 7 and not mask[:, 0].any()


def test_misuse_is_answered_with_what_is_wrong():
    logits, train = logits_of(7), planted.split(7)
    with pytest.raises(ValueError, match="sums modulo 7 have no frequency 9. Known: 1, 2, 3."):
        progress.progress(logits, train, [9])
    with pytest.raises(ValueError, match="keys has shape"):
        progress.progress(logits, train, np.ones(4, bool))
    with pytest.raises(ValueError, match="An axis has 7 entries, and sums modulo 9 need at least 9"):
        progress.progress(logits, train, [1], groups.cyclic(9))
    with pytest.raises(ValueError, match="train has shape"):
        progress.progress(np.stack([logits, logits]), np.stack([train] * 3), [1])
    with pytest.raises(ValueError, match="The label 9 is not an element of sums modulo 7"):
        progress.progress(logits, train, [1], labels=np.full((7, 7), 9))
    with pytest.raises(ValueError, match="modulus=9 is not prime"):
        groups.multiplicative(9)
    with pytest.raises(ValueError, match="are not those of a decoder with an MLP"):
        spectra.output_map({"embedding": np.ones((3, 2))})
    with pytest.raises(ValueError, match="empty or negative in part"):
        gini.gini(np.array([1.0, -1.0]))
    with pytest.raises((ValueError, TypeCheckError), match="pairs"):  # where types are checked, they answer first
        square.square(np.ones((4, 1)), np.ones((5, 2), int))
