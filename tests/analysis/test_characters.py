import math

import numpy as np
import pytest

from grokjax.analysis import characters
from grokjax.tasks import permutations


@pytest.mark.parametrize("modulus", [2, 3, 5, 13, 59, 113])
def test_every_number_but_zero_is_a_power_of_the_primitive_root(modulus):
    powers = characters.powers(modulus)
    assert sorted(powers) == list(range(1, modulus))
    logarithm = np.argsort(powers)  # of the numbers 1 ..
    for a in range(1, modulus):
        total = (logarithm[a - 1] + logarithm) % (modulus - 1)
        assert (powers[total] == a * np.arange(1, modulus) % modulus).all()


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_the_irreducible_characters_are_orthonormal_over_the_group(degree):
    table, classes = characters.character_table(degree), characters.partitions(degree)
    sizes = np.array([characters.class_size(cycles) for cycles in classes])
    assert sizes.sum() == math.factorial(degree)
    assert (table * sizes @ table.T == math.factorial(degree) * np.eye(len(classes))).all()
    assert (table.T @ table == np.diag(math.factorial(degree) // sizes)).all()
    assert (table[:, -1] ** 2).sum() == math.factorial(degree)  # dimensions
    assert (table[0] == 1).all()


@pytest.mark.parametrize("degree", [3, 4, 5])
def test_known_characters_are_what_counting_gives(degree):
    elements = permutations.elements(degree)
    fixed = (elements == np.arange(degree)).sum(1)
    inversions = [sum(g[i] > g[j] for i in range(degree) for j in range(i, degree)) for g in elements]
    types = [characters.cycle_type(g) for g in elements]
    hook = (degree - 1, 1)
    assert [characters.character(hook, t) for t in types] == (fixed - 1).tolist()
    assert [characters.character((1,) * degree, t) for t in types] == [(-1) ** i for i in inversions]
    counts = {t: types.count(t) for t in types}
    assert counts == {t: characters.class_size(t) for t in characters.partitions(degree)}


def test_the_characters_of_s5_are_those_of_the_textbooks():
    # Classes 5, 41, 32, 311, 221, 2111, 11111; James and Kerber, The Representation Theory of the Symmetric Group.
    assert characters.character_table(5).tolist() == [
        [1, 1, 1, 1, 1, 1, 1],
        [-1, 0, -1, 1, 0, 2, 4],
        [0, -1, 1, -1, 1, 1, 5],
        [1, 0, 0, 0, -2, 0, 6],
        [0, 1, -1, -1, 1, -1, 5],
        [-1, 0, 1, 1, 0, -2, 4],
        [1, -1, -1, 1, 1, -1, 1],
    ]
