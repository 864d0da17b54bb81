"""Cells and model sizes that experiments, figures and claims of this study name."""

from typing import NamedTuple


class Cell(NamedTuple):
    """One cell of the source's figure 2.

    Attributes:
      name: the source's name of what it shows, and the arm's id.
      kind: the same as `grokjax.analysis.dynamics` calls it.
      width, rows: of the source, at modulus 113.
    """

    name: str
    kind: str
    width: int
    rows: int


CELLS = (
    Cell("progression", "progression", 8, 3000),
    Cell("ungrokking", "memorisation", 32, 2600),
    Cell("grokking", "grokking", 64, 3000),
    Cell("semi-grokking", "semi-grokking", 32, 3000),
)

OWN_SIZES = {64: 3000, 32: 4000}
"""Critical data sizes of the source by width, in rows; it gives them to within 200."""

BAND = 1000 / 113**2
"""Width of the source's band of semi-grokking, as a share of the table."""


def parameters(width: int, num_layers: int, vocab_size: int, length: int, num_classes: int) -> int:
    """Parameters of the source's decoder: embedding, positions and output; four attention matrices and an MLP a layer.

    Its MLP has 4 x width hidden units and biases; nothing else has a bias, and there are no norms.
    """
    return width * (vocab_size + length + num_classes) + num_layers * (12 * width**2 + 5 * width)


def alone(width: int, modulus: int, num_layers: int = 1) -> int:
    """Parameters of a model of `a b =`."""
    return parameters(width, num_layers, modulus + 1, 3, modulus)


def mixed(width: int, modulus: int, num_layers: int = 1) -> int:
    """Parameters of a model of `a o b =` with two operators."""
    return parameters(width, num_layers, modulus + 3, 4, modulus)
