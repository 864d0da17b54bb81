"""The real Fourier basis over the numbers modulo p."""

import numpy as np
from jaxtyping import Float, Int


def basis(modulus: int) -> Float[np.ndarray, "modulus modulus"]:
    """The orthonormal rows on which functions of x modulo p are projected.

    Row 0 is 1/sqrt(p); rows 2k-1 and 2k are sqrt(2/p) cos(2 pi k x/p) and sqrt(2/p) sin(2 pi k x/p) for
    k = 1 .. (p-1)//2. An even p has one row more, cos(pi x)/sqrt(p).

    Args:
      modulus: p, at least 1.

    Returns:
      [p, p] float64, `basis(p) @ basis(p).T` is the identity.

    Source: Nanda et al. 2023, arXiv:2301.05217; the row of an even modulus is ours.
    """
    x = np.arange(modulus)
    rows = [np.full(modulus, modulus**-0.5)]
    for k in range(1, (modulus - 1) // 2 + 1):
        angle = 2 * np.pi * (k * x % modulus) / modulus
        rows += [np.sqrt(2 / modulus) * np.cos(angle), np.sqrt(2 / modulus) * np.sin(angle)]
    if modulus % 2 == 0:
        rows.append(np.where(x % 2 == 0, 1.0, -1.0) * modulus**-0.5)
    return np.stack(rows)


def frequencies(modulus: int) -> Int[np.ndarray, " frequencies"]:
    """[p//2]: the frequencies 1 .. p//2, all but the constant."""
    return np.arange(1, modulus // 2 + 1)


def row_frequency(modulus: int) -> Int[np.ndarray, " modulus"]:
    """[p]: the frequency of each row of `basis`: 0, 1, 1, 2, 2, ... and p//2 once where p is even."""
    return (np.arange(modulus) + 1) // 2


def directions(modulus: int, frequency: int | np.integer) -> Float[np.ndarray, "directions modulus modulus"]:
    """u_k and v_k, of unit norm over pairs (a, b): proportional to cos w_k(a + b) and to sin w_k(a + b).

    Made of the rows of `basis`: u_k = (F_{2k-1} x F_{2k-1} - F_{2k} x F_{2k})/sqrt 2 and
    v_k = (F_{2k} x F_{2k-1} + F_{2k-1} x F_{2k})/sqrt 2. Projections on them, such as that of the neurons, are
    `np.tensordot(directions(p, k), values)`; the losses of `progress` need no such product.

    Args:
      modulus: p.
      frequency: k, 1 to p//2.

    Returns:
      [2, p, p] float64; [1, p, p] for k = p/2, which has no sine.

    Raises:
      ValueError: for another frequency.

    Source: Nanda et al. 2023, arXiv:2301.05217.
    """
    if not 1 <= frequency <= modulus // 2:
        raise ValueError(f"frequency={frequency} is out of range for modulus={modulus}. Try 1 to {modulus // 2}.")
    rows = basis(modulus)[row_frequency(modulus) == frequency]
    if len(rows) == 1:
        return np.multiply.outer(rows[0], rows[0])[None]
    cos, sin = rows
    u = np.multiply.outer(cos, cos) - np.multiply.outer(sin, sin)
    v = np.multiply.outer(sin, cos) + np.multiply.outer(cos, sin)
    return np.stack([u, v]) / np.sqrt(2)
