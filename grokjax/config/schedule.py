"""When a run is evaluated, and how the shapes of full batches are rounded."""

import functools

import numpy as np

from grokjax.config.names import ConfigError


def padded(count: int) -> int:
    """`count` rounded up to four significant bits, so that full-batch shapes are few and waste at most 1/8."""
    unit = 1 << max(0, count.bit_length() - 4)
    return -(-count // unit) * unit


def parse_eval_at(text: str) -> tuple[str, int]:
    """('every', N) or ('log', N) from 'every:N' or 'log:N'; ConfigError otherwise."""
    rule, _, count = text.partition(":")
    if rule not in ("every", "log") or not count.isdecimal() or len(count) > 20 or not 1 <= int(count) <= 10**9:
        raise ConfigError(
            f"eval_at={text} is not a rule for evaluated steps. Try --eval_at=every:50 or --eval_at=log:300."
        )
    return rule, int(count)


@functools.lru_cache(maxsize=1024)
def evaluated_steps(eval_at: str, steps: int) -> np.ndarray:
    """The steps at which a run of `steps` updates is evaluated, 0 and the last one included.

    'log:N' takes the integers nearest to 2**(k/m), with m the power of two that gives about N of them up to `steps`.
    So the grids of runs with other budgets are nested in each other, and a run's grid depends on that run alone.

    Args:
      eval_at: 'every:N' or 'log:N'.
      steps: the run's budget of optimizer updates.

    Returns:
      [evaluations] int64, increasing; not to be written to, for the runs of a grid share it.
    """
    rule, count = parse_eval_at(eval_at)
    inner = np.arange(0, steps, count) if rule == "every" else _log_spaced(count, steps)
    found = np.unique(np.concatenate([[0], inner[inner < steps], [steps]])).astype(np.int64)
    found.flags.writeable = False
    return found


def _log_spaced(count: int, steps: int) -> np.ndarray:
    """The integers nearest to 2**(k/m) up to `steps`, with the m that gives the number of them nearest to `count`."""
    octaves = np.log2(steps) if steps > 1 else 0.0
    grids: list[np.ndarray] = []
    for m in 2 ** np.arange(15):
        grids.append(np.unique(np.rint(2 ** (np.arange(int(octaves * m) + 1) / m))))
        if len(grids[-1]) >= count:  # and more with every larger m
            break
    return min(grids, key=lambda grid: abs(np.log(len(grid) / count)))
