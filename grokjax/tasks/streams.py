"""From an endless stream of rows to a finite table of distinct ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from grokjax.config import ConfigError, setting

ROWS_AT_ONCE = 1024
DRAWS_PER_ROW = 64


def examples_setting(default: int):
    """The setting of the rows in the finite table."""
    return setting(default, "rows of the finite table, all distinct", low=2, high=10**7)


def table_seed_setting():
    """The setting of what the table's rows are drawn with; it is the same table for every run."""
    return setting(0, "seed that the table's rows are drawn with", low=0, high=2**31 - 1)


def uniform(key: Key[Array, ""], count: int, bounds: Int[np.ndarray, " draws"]) -> Int[Array, "{count} draws"]:
    """[count, draws] int32: independent uniform numbers, each from 0 to its bound - 1.

    One call draws all that a row is made of, for the compiler takes most of its time over random bits.
    """
    return jax.random.randint(key, (count, len(bounds)), 0, bounds, jnp.int32)


TABLE = 2**31 - 1
"""Tells the keys of tables from those of runs with the same seed."""


def distinct_rows(task) -> tuple[np.ndarray, np.ndarray]:
    """The first `task.examples` distinct rows of a task's stream under its `table_seed`.

    So a table of more examples begins with that of fewer.

    Args:
      task: has `sample`, `examples`, `table_seed` and `name`; hashable.

    Returns:
      [examples, length] int32 inputs, [examples, answers] int32 labels.

    Raises:
      ConfigError: if that many distinct rows are not found in 64 draws for each.
    """
    key = jax.random.fold_in(jax.random.key(task.table_seed), TABLE)
    seen, inputs, labels = set(), [], []
    for block in range(2 + DRAWS_PER_ROW * task.examples // ROWS_AT_ONCE):
        rows, answers = (np.asarray(x) for x in _drawn(task, jax.random.fold_in(key, block)))
        for row, answer in zip(rows, answers, strict=True):
            if (content := row.tobytes()) not in seen:
                seen.add(content)
                inputs.append(row)
                labels.append(answer)
        if len(inputs) >= task.examples:
            return np.stack(inputs[: task.examples]), np.stack(labels[: task.examples])
    raise ConfigError(
        f"examples={task.examples} distinct rows of {task.name} are hard to come by: {(block + 1) * ROWS_AT_ONCE:,} "
        f"draws held {len(seen):,}. Try --examples={max(2, len(seen) // 2)}."
    )


@functools.partial(jax.jit, static_argnums=0)
def _drawn(task, key):
    return task.sample(key, ROWS_AT_ONCE)
