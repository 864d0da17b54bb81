"""From the rows of a task's table to the square of all pairs of operands."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num


def operands(table) -> Int[np.ndarray, "rows 2"]:
    """[rows, 2]: the two operands of each row, read from its tokens.

    Args:
      table: of a task with two operands, a `grokjax.tasks.Table`.

    Raises:
      ValueError: if the input has not two positions or more whose tokens differ between rows.
    """
    inputs = np.asarray(table.inputs)
    if np.issubdtype(inputs.dtype, np.floating):
        raise ValueError(f"The inputs of {table.name} are features, and operands are tokens.")
    varying = np.flatnonzero((inputs != inputs[:1]).any(0))
    if len(varying) < 2:
        raise ValueError(f"The rows of {table.name} have {len(varying)} operands, and a square needs two.")
    return inputs[:, varying[:2]]


def square(
    values: Num[Any, "*batch rows features"], pairs: Int[Any, "rows 2"], numbers: int | None = None
) -> Float[np.ndarray, "*batch numbers numbers features"]:
    """Values of the rows of a table by their two operands; NaN for pairs that are not in the table, such as x/0.

    Args:
      values: such as logits at the answer, or activations.
      pairs: of each row, as `operands` gives them.
      numbers: of an operand; None: one more than the largest.

    Returns:
      [..., a, b, features], floating, in the precision of `values`.

    Raises:
      ValueError: if there are not as many rows as pairs.
    """
    values, pairs = np.asarray(values), np.asarray(pairs)
    if values.shape[-2] != len(pairs):
        raise ValueError(f"values has {values.shape[-2]} rows and pairs has {len(pairs)}. Give one pair for each row.")
    numbers = int(pairs.max()) + 1 if numbers is None else numbers
    place = pairs[:, 0] * numbers + pairs[:, 1]
    shape = (*values.shape[:-2], numbers, numbers, values.shape[-1])
    if np.array_equal(place, np.arange(numbers**2)):
        return values.reshape(shape).astype(np.result_type(values, np.float32), copy=False)
    found = np.full((*values.shape[:-2], numbers**2, values.shape[-1]), np.nan, np.result_type(values, np.float32))
    found[..., place, :] = values
    return found.reshape(shape)


def square_mask(
    mask: Bool[Any, "*batch rows"], pairs: Int[Any, "rows 2"], numbers: int | None = None
) -> Bool[np.ndarray, "*batch numbers numbers"]:
    """A mask of the rows of a table, such as those that train, by their two operands; False where there is no row."""
    return np.nan_to_num(square(np.asarray(mask, np.float32)[..., None], pairs, numbers)[..., 0]) > 0
