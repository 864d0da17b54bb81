"""Characters of finite groups: discrete logarithms for products modulo p, and the irreducible characters of S_n."""

import functools
import math
from collections import Counter

import numpy as np
from jaxtyping import Int

Partition = tuple[int, ...]
"""A partition of n, parts falling: the cycle lengths of a class of S_n, or what names a representation."""


def primitive_root(modulus: int) -> int:
    """The least g whose powers are all the numbers 1 .. p-1 modulo p.

    Args:
      modulus: p, a prime.

    Raises:
      ValueError: if p is not prime.
    """
    if modulus < 2 or any(modulus % f == 0 for f in range(2, math.isqrt(modulus) + 1)):
        raise ValueError(f"modulus={modulus} is not prime, so products modulo {modulus} are not cyclic. Try a prime.")
    order = modulus - 1
    factors = [f for f in range(2, order + 1) if order % f == 0]
    return next(g for g in range(1, modulus) if all(pow(g, order // f, modulus) != 1 for f in factors))


def powers(modulus: int) -> Int[np.ndarray, " order"]:
    """[p-1]: g^0, g^1, ... modulo p, with g the `primitive_root`.

    Relabelled by it, a product modulo p is a sum modulo p-1: powers[i] * powers[j] = powers[(i + j) % (p-1)].

    Args:
      modulus: p, a prime.

    Raises:
      ValueError: if p is not prime.
    """
    root = primitive_root(modulus)
    found = [1]
    while len(found) < modulus - 1:
        found.append(found[-1] * root % modulus)
    return np.array(found)


@functools.cache
def partitions(degree: int, largest: int | None = None) -> tuple[Partition, ...]:
    """The partitions of n into parts of at most `largest`, (n) first and (1, ..., 1) last."""
    if degree == 0:
        return ((),)
    most = degree if largest is None else min(largest, degree)
    return tuple((part, *rest) for part in range(most, 0, -1) for rest in partitions(degree - part, part))


def cycle_type(images) -> Partition:
    """The lengths of a permutation's cycles, falling.

    Args:
      images: [n], the images of 0 .. n-1.
    """
    left, lengths = set(range(len(images))), []
    while left:
        place, length = left.pop(), 1
        while (place := int(images[place])) in left:
            left.remove(place)
            length += 1
        lengths.append(length)
    return tuple(sorted(lengths, reverse=True))


def class_size(cycles: Partition) -> int:
    """How many permutations have these cycle lengths."""
    degree = sum(cycles)
    centraliser = math.prod(length**count * math.factorial(count) for length, count in Counter(cycles).items())
    return math.factorial(degree) // centraliser


@functools.cache
def character(shape: Partition, cycles: Partition) -> int:
    """The irreducible character of S_n named by `shape`, at permutations with these cycle lengths.

    By the rule of Murnaghan and Nakayama: the sum, over the ways to take a border strip as long as the first cycle off
    the diagram of `shape`, of (-1)^(rows of the strip - 1) times the character of what is left at the other cycles. On
    beta numbers (part + parts below it) a strip of length r is a beta number that falls by r to a free place, and its
    rows are one more than the beta numbers that it passes.

    Args:
      shape, cycles: partitions of the same n.

    Returns:
      An integer; at cycles (1, ..., 1) the dimension of the representation.

    Source: the Murnaghan-Nakayama rule, e.g. Sagan, The Symmetric Group, theorem 4.10.2.
    """
    if not cycles:
        return 1
    strip, rest = cycles[0], cycles[1:]
    beta = [part + i for i, part in enumerate(reversed(shape))]
    total = 0
    for number in beta:
        fallen = number - strip
        if fallen < 0 or fallen in beta:
            continue
        passed = sum(fallen < other < number for other in beta)
        left = sorted({*beta, fallen} - {number})
        smaller = tuple(part for part in reversed([b - i for i, b in enumerate(left)]) if part)
        total += (-1) ** passed * character(smaller, rest)
    return total


def character_table(degree: int) -> Int[np.ndarray, "shapes classes"]:
    """[shapes, classes]: every irreducible character of S_n at every class, both in the order of `partitions`.

    Rows are orthogonal: the mean over the group of the product of two is 1 if they are the same and else 0.
    """
    shapes = partitions(degree)
    return np.array([[character(shape, cycles) for cycles in shapes] for shape in shapes])
