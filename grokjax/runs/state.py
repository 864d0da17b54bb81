"""A run between two steps."""

from typing import Any, NamedTuple

from jaxtyping import Array, Int, Real


class RunState(NamedTuple):
    """A run between two steps.

    Attributes:
      params: the model's parameters.
      variables: what else the model holds, such as the running averages of BatchNorm; mostly nothing.
      optimizer: the optimizer's state.
      initial: the parameters that the seed draws, where something needs them; else None.
      order: [examples] int32, the rows of the table, training rows first.
      labels: [examples, answers], of the table's rows as this run sees them.
      means: over the steps since the last evaluation, what the metrics need; mostly nothing.
      step: updates done, int32.
    """

    params: Any
    variables: Any
    optimizer: Any
    initial: Any
    order: Int[Array, " examples"]
    labels: Real[Array, "examples answers"]
    means: dict[str, Any]
    step: Int[Array, ""]
