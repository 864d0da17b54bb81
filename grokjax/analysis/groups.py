"""The group behind a task, and the parts into which functions on it divide: frequencies, or representations."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from grokjax.analysis import characters, fourier


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """A finite group, as the measures need it.

    Functions on the group are sums of components: the constant, and one per frequency (a cosine and a sine) or per
    irreducible representation of dimension d (d^2 functions).

    Attributes:
      name: e.g. 'sums modulo 113'.
      dim: what a component is called: 'frequency' or 'representation'.
      elements: [n], the number that the task's tables and classes give to each element.
      products: [n, n], the place in `elements` of the answer to each pair of elements.
      basis: [n, n] float64, orthonormal rows: functions on the group.
      component: [n], the component of each row, 0 for the constant.
      labels: [components], the name of each component but the constant: 1, 2, ... or '4,1', '3,2', ...
    """

    name: str
    dim: str
    elements: Int[np.ndarray, " n"]
    products: Int[np.ndarray, "n n"]
    basis: Float[np.ndarray, "n n"]
    component: Int[np.ndarray, " n"]
    labels: np.ndarray

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.elements)

    @functools.cached_property
    def rows(self) -> Bool[np.ndarray, "components n"]:
        """Which rows of the basis belong to each component but the constant."""
        return self.component == np.arange(1, len(self.labels) + 1)[:, None]

    @functools.cached_property
    def right_factor(self) -> Int[np.ndarray, "n n"]:
        """[x, g]: the place of the y with x o y = g."""
        return np.argsort(self.products, axis=1)

    def take(self, values: Num[Any, "..."] | Bool[Any, "..."], *axes: int) -> np.ndarray:
        """The elements of the group along some axes, in its order: other numbers, and symbols such as '=', go.

        Args:
          values: an array whose `axes` are counted as the task counts its numbers.
          *axes: of them.

        Raises:
          ValueError: for an axis that is too short.
        """
        array = np.asarray(values)
        for axis in axes:
            size = array.shape[axis]
            if size <= self.elements.max():
                raise ValueError(
                    f"An axis has {size} entries, and {self.name} need at least {self.elements.max() + 1}: one per "
                    "number. Pass the values over the full table, or the group of its modulus."
                )
            if np.any(self.elements != np.arange(self.order)):
                array = np.take(array, self.elements, axis)
            elif size != self.order:
                array = np.moveaxis(np.moveaxis(array, axis, 0)[: self.order], 0, axis)
        return array

    def places(self, numbers: Int[Any, "*shape"]) -> Int[np.ndarray, "*shape"]:
        """The place in `elements` of numbers of the task.

        Raises:
          ValueError: for a number that is not an element.
        """
        place = np.full(self.elements.max() + 1, -1)
        place[self.elements] = np.arange(self.order)
        numbers = np.asarray(numbers)
        inside = (numbers >= 0) & (numbers < len(place))
        found = np.where(inside, place[np.where(inside, numbers, 0)], -1)
        if np.any(found < 0):
            raise ValueError(f"The label {numbers[found < 0].flat[0]} is not an element of {self.name}.")
        return found

    def chosen(self, keys: Any) -> Bool[np.ndarray, "*batch components"]:
        """Key components as a mask.

        Args:
          keys: labels of components, such as [14, 35, 41], or a mask over all of them, such as the result of
            `key_frequencies`.

        Raises:
          ValueError: for an unknown label, or a mask of another length.
        """
        values = np.asarray(keys)
        if values.dtype == bool:
            if values.shape[-1:] != self.labels.shape:
                raise ValueError(
                    f"keys has shape {values.shape} and {self.name} have {len(self.labels)} components. Give one "
                    "truth value each, or their labels."
                )
            return values
        if unknown := [key for key in values.tolist() if key not in self.labels.tolist()]:
            known = ", ".join(map(str, self.labels[:8])) + (", ..." if len(self.labels) > 8 else "")
            raise ValueError(f"{self.name} have no {self.dim} {unknown[0]}. Known: {known}.")
        return np.isin(self.labels, values)


@functools.lru_cache(maxsize=32)
def cyclic(modulus: int, sign: int = 1) -> Group:
    """The sums a + b modulo p, for any p; with sign -1 the differences a - b.

    Args:
      modulus: p, at least 2.
      sign: 1 or -1.
    """
    x = np.arange(modulus)
    return Group(
        f"{'sums' if sign > 0 else 'differences'} modulo {modulus}",
        "frequency",
        x,
        (x[:, None] + sign * x) % modulus,
        fourier.basis(modulus),
        fourier.row_frequency(modulus),
        fourier.frequencies(modulus),
    )


@functools.lru_cache(maxsize=32)
def multiplicative(modulus: int, sign: int = 1) -> Group:
    """The products a * b modulo a prime p, without zero; with sign -1 the quotients a / b.

    By the discrete logarithm a product modulo p is a sum modulo p-1, so its characters are those frequencies.

    Args:
      modulus: p, a prime, at least 3.
      sign: 1 or -1.

    Raises:
      ValueError: if p is not prime.
    """
    return dataclasses.replace(
        cyclic(modulus - 1, sign),
        name=f"{'products' if sign > 0 else 'quotients'} modulo {modulus}",
        elements=characters.powers(modulus),
    )


@functools.lru_cache(maxsize=8)
def symmetric(degree: int) -> Group:
    """The composition xy in S_n, its components the irreducible representations.

    The basis of a representation of dimension d with character chi is one of the range of its projector,
    P[g, h] = (d/n!) chi(g h^-1), which has d^2 dimensions.

    Args:
      degree: n, 2 to 6.

    Source: Chughtai, Chan and Nanda 2023, arXiv:2302.03025, for what networks learn on it.
    """
    from grokjax.tasks import permutations  # which needs JAX; the other groups do not

    elements, products = permutations.elements(degree), permutations.products(degree)
    quotient = products[:, permutations.inverses(degree)]  # g h^-1
    classes = characters.partitions(degree)
    kind = np.array([classes.index(characters.cycle_type(images)) for images in elements])
    basis, component = [], []
    for i, values in enumerate(characters.character_table(degree)):
        dimension = int(values[-1])  # at the identity, whose class comes last
        projector = (dimension / len(elements)) * values[kind][quotient]
        _, vectors = np.linalg.eigh(projector)
        basis.append(vectors[:, -(dimension**2) :].T)
        component += [i] * dimension**2
    labels = np.array([",".join(map(str, shape)) for shape in classes[1:]])
    order = np.arange(len(elements))
    return Group(
        f"compositions in S{degree}",
        "representation",
        order,
        products,
        np.concatenate(basis),
        np.array(component),
        labels,
    )


def of(task) -> Group:
    """The group of a task: x+y, x-y, x*y and x/y modulo p, and xy in S_n.

    Args:
      task: of `grokjax.tasks`.

    Raises:
      ValueError: for a task that is not a group's operation on two operands.
    """
    modulus, operation = getattr(task, "modulus", None), getattr(task, "operation", None)
    known = {
        "add": lambda: cyclic(modulus),
        "subtract": lambda: cyclic(modulus, -1),
        "multiply": lambda: multiplicative(modulus),
        "divide": lambda: multiplicative(modulus, -1),
    }
    if modulus is not None and operation in known and task.operands == 2 and not task.ordered:
        return known[operation]()
    if operation == "xy" and hasattr(task, "degree"):
        return symmetric(task.degree)
    raise ValueError(
        f"{getattr(task, 'name', task)} is not the full table of a group's operation. Give the group of the structure "
        "that you look for, such as cyclic(modulus)."
    )
