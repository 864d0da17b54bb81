"""Pictures of embeddings, the number line and the cosets of a group, planted and absent."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from grokjax.analysis.cosets import POWERS, clustering, conjugates, cosets, number_of, silhouette, subgroup
from grokjax.analysis.embeddings import number_line, pca, power_shares, tsne
from grokjax.analysis.groups import cyclic
from grokjax.tasks.permutations import elements, products

P = 31


def circle(frequency, modulus=P, noise=0.0, features=2, seed=0):
    """[modulus, features] residues on a circle at 2 pi k x/p in a random plane, with noise."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * frequency * np.arange(modulus) / modulus
    plane = np.linalg.qr(rng.standard_normal((features, 2)))[0]
    return np.stack([np.cos(angle), np.sin(angle)], -1) @ plane.T + noise * rng.standard_normal((modulus, features))


@pytest.mark.parametrize(("frequency", "step"), [(1, 1), (5, 6), (8, 4), (15, 2)])  # k * step = +-1 mod 31
def test_the_order_of_a_planted_circle_comes_back(frequency, step):
    for points in (circle(frequency), circle(frequency)[:, ::-1] * [3, -3] + 7):  # turned over, scaled, moved
        found = number_line(points, seed=0)
        assert (found.frequency, found.step) == (frequency, step)
        assert found.correlation == pytest.approx(1) and found.p_value == 0.001


def test_points_in_no_order_have_none():
    found = [number_line(np.random.default_rng(i).standard_normal((P, 2)), i, 99).p_value for i in range(300)]
    assert 0.01 < np.mean(np.array(found) <= 0.05) < 0.09


def test_residues_that_coincide_have_no_step():
    assert number_line(circle(4, modulus=10), seed=0).step is None
    assert number_line(circle(3, modulus=10), seed=0).step == 3


def test_a_circle_in_many_dimensions_is_seen_along_its_principal_components_and_by_tsne():
    rows = circle(5, noise=0.05, features=16)
    found = pca(rows)
    assert number_line(found.points, seed=0).frequency == 5 and found.share.sum() > 0.9
    picture = tsne(rows, seed=0, perplexity=5)
    line = number_line(picture, seed=0)
    assert picture.shape == (P, 2) and line.frequency == 5 and line.p_value < 0.05
    assert np.array_equal(picture, tsne(rows, seed=0, perplexity=5))


def test_principal_components_are_those_of_the_covariance():
    rows = np.random.default_rng(0).standard_normal((20, 4)) * [4, 2, 1, 0.5] + 3
    found = pca(rows, 4)
    values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1]
    np.testing.assert_allclose(found.points.T @ found.points / 20, np.diag(values), atol=1e-10)
    np.testing.assert_allclose(found.share, values / values.sum())
    assert pca(np.ones((5, 3))).share.tolist() == [0, 0]


def test_power_is_shared_among_frequencies_as_planted():
    mixed = np.concatenate([circle(5) * 3, circle(7) * 4], axis=1) + 100
    shares = power_shares(mixed, cyclic(P))
    assert shares.sel(frequency=[5, 7]).values == pytest.approx([9 / 25, 16 / 25]) and shares.size == 15
    noise = power_shares(np.random.default_rng(0).standard_normal((P, 4000)), cyclic(P))
    np.testing.assert_allclose(noise, 1 / 15, rtol=0.1)
    even = power_shares(np.random.default_rng(0).standard_normal((10, 9000)), cyclic(10))
    np.testing.assert_allclose(even, np.array([2, 2, 2, 2, 1]) / 9, rtol=0.1)


def brute_subgroup(generators, degree):
    """Images of all words of up to a few letters in the generators."""
    found = {tuple(range(degree))}
    for _ in range(8):
        found |= {tuple(g[i] for i in word) for word in found for g in generators}
    return found


def test_cycles_and_the_subgroup_they_generate():
    assert elements(5)[number_of(((0, 3), (1, 4)), 5)].tolist() == [3, 4, 2, 0, 1]
    assert elements(4)[number_of(((0, 1, 2),), 4)].tolist() == [1, 2, 0, 3]
    members = subgroup(POWERS, 5)
    expected = brute_subgroup([(3, 4, 2, 0, 1), (0, 2, 1, 4, 3)], 5)
    assert {tuple(x) for x in elements(5)[members].tolist()} == expected and len(members) == 10
    with pytest.raises(ValueError, match="not disjoint cycles of the points 0 to 3"):
        number_of(((0, 4),), 4)


def test_cosets_are_the_products_with_the_subgroup():
    members = subgroup(POWERS, 5)
    left, right = cosets(members, 5), cosets(members, 5, left=False)
    assert np.bincount(left).tolist() == np.bincount(right).tolist() == [10] * 12
    table = products(5)
    for x in (0, 17, 99):
        assert set(np.flatnonzero(left == left[x])) == set(table[x, members])
        assert set(np.flatnonzero(right == right[x])) == set(table[members, x])
    assert not np.array_equal(left, right)
    found = conjugates(members, 5)
    assert len(found) == 6 and np.array_equal(found[0], members)
    for other in found:
        assert set(table[np.ix_(other, other)].ravel()) == set(other)


def test_the_silhouette_is_scikit_learns():
    rng = np.random.default_rng(0)
    points, labels = rng.standard_normal((30, 3)), rng.integers(0, 4, 30)
    labels[0] = 4  # a cluster of one
    assert silhouette(points, labels) == pytest.approx(silhouette_score(points, labels), rel=1e-12)


def test_planted_cosets_are_found_and_those_of_another_subgroup_are_not():
    rng = np.random.default_rng(0)
    members = subgroup((((0, 1, 2),),), 4)  # 8 cosets of 3 elements
    named = cosets(members, 4)
    centres = rng.standard_normal((8, 10))
    points = centres[named] + 0.2 * rng.standard_normal((24, 10))
    found = clustering(points, named, seed=0, num_draws=199)
    assert found.silhouette > 0.5 > 0 > found.expected and found.p_value == 0.005
    other = clustering(points, cosets(members, 4, left=False), seed=0, num_draws=199)
    assert other.silhouette < found.silhouette - 0.3


def test_random_points_show_cosets_in_their_nominal_share():
    named = cosets(subgroup((((0, 1),),), 3), 3)
    rng = np.random.default_rng(0)
    found = [clustering(rng.standard_normal((6, 4)), named, i, 99).p_value for i in range(200)]
    assert np.mean(np.array(found) <= 0.1) < 0.15
    with pytest.raises(ValueError, match="single cluster"):
        clustering(rng.standard_normal((6, 4)), np.zeros(6, int), 0)
