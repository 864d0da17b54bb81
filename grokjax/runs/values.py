"""What varies between the runs of one program: scalars that may be traced, and the random streams they seed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from grokjax.config import STREAMS, Config, run_part


class RunValues(NamedTuple):
    """The scalars that make one run of a program, all of which may be traced and mapped.

    Attributes:
      seeds: per stream of `STREAMS`, int32.
      num_train: rows that train, int32.
      part_rows: [parts] the same of each part of the task, int32.
      outliers: training rows with another's answer, int32.
      dropout, weight_noise, init_scale, output_scale, target_tolerance: float32.
      hyper: the optimizer's hyperparameters by name, float32.
    """

    seeds: dict[str, Int[Any, ""]]
    num_train: Int[Any, ""]
    part_rows: Int[Any, " parts"]
    outliers: Int[Any, ""]
    dropout: Float[Any, ""]
    weight_noise: Float[Any, ""]
    init_scale: Float[Any, ""]
    output_scale: Float[Any, ""]
    target_tolerance: Float[Any, ""]
    hyper: dict[str, Float[Any, ""]]

    @classmethod
    def of(cls, config: Config) -> "RunValues":
        """The values of a run of `config`, as NumPy scalars."""
        as_int, as_float = jnp.int32.dtype.type, jnp.float32.dtype.type
        return cls(
            seeds={stream: as_int(seed) for stream, seed in config.seeds.items()},
            num_train=as_int(config.num_train),
            part_rows=np.array(config.part_rows, np.int32),
            outliers=as_int(config.outliers),
            dropout=as_float(config.dropout),
            weight_noise=as_float(config.weight_noise),
            init_scale=as_float(config.init_scale),
            output_scale=as_float(config.output_scale),
            target_tolerance=as_float(config.target_tolerance),
            hyper={name: as_float(value) for name, value in run_part(config.optimizer).items()},
        )


def seed_key(seed: Int[Any, ""], stream: str):
    """The key of a random stream of this seed: two streams differ even where their seeds do not."""
    return jax.random.fold_in(jax.random.key(seed), STREAMS.index(stream))


def stream_key(values: RunValues, stream: str):
    """The key of one of the run's random streams."""
    return seed_key(values.seeds[stream], stream)


def step_key(values: RunValues, stream: str, step: Int[Array, ""]):
    """The key of one step of a stream."""
    return jax.random.fold_in(stream_key(values, stream), step)
