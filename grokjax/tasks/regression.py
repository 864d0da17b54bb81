"""Real targets of normal inputs: of a random teacher network, and of a polynomial of one direction."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from grokjax.config import DEEPEST, WIDEST, check_settings, refusing, setting
from grokjax.tasks import streams
from grokjax.tasks.table import Table

ACTIVATIONS = {
    "relu": lambda array, x: array.maximum(x, 0),
    "tanh": lambda array, x: array.tanh(x),
    "identity": lambda array, x: x,
}
"""Of a teacher's hidden units, by name, as functions of a module, NumPy or JAX's like it, and one of its arrays."""

NORMALISING_ROWS = 4096
"""Rows from which the mean and the deviation of a teacher's outputs are taken."""


def features_setting(default: int):
    """The setting of the inputs of a row."""
    return setting(default, "features in a row, drawn from N(0, 1)", low=1, high=WIDEST, label="features D")


class _Regression:
    """What both tasks have: rows x ~ N(0, I) without end, with the targets that `targets` gives them."""

    @property
    def num_examples(self) -> int:
        """Rows of the finite table, without building it."""
        return self.examples

    @property
    def length(self) -> int:
        """Features in a row."""
        return self.features

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Float[Array, "{count} {self.features}"], Float[Array, "{count} targets"]]:
        """Rows x ~ N(0, I) and their targets; a pure function of `key`, which is consumed.

        Args:
          key: of the rows.
          count: rows to draw; static.

        Returns:
          [count, features] float32 inputs, [count, targets] float32 targets.
        """
        inputs = jax.random.normal(key, (count, self.features), jnp.float32)
        return inputs, self.targets(inputs)

    def table(self) -> Table:
        """The finite table."""
        inputs, targets = streams.distinct_rows(self)
        return Table(inputs, targets, answer_positions=(), vocab_size=0, num_classes=1, name=self.name)


@refusing
@dataclasses.dataclass(frozen=True)
class Teacher(_Regression):
    """Teacher-student: the targets are the outputs of a fixed, random network of normal inputs.

    The teacher has `teacher_layers` hidden layers without biases, its weights drawn from N(0, 1/inputs) with
    `table_seed`; so are the rows of the finite table, the first of a stream, which `sample` is. Each output is shifted
    and scaled by its mean and deviation over 4,096 rows, so that a target has the mean 0 and the variance 1, but for a
    few percent: a mean squared error is the share of the variance that is not explained.

    Raises:
      ConfigError: for settings out of range.
    """

    features: int = features_setting(20)
    teacher_layers: int = setting(1, "hidden layers of the teacher", low=1, high=DEEPEST)
    teacher_width: int = setting(10, "hidden units of each layer of the teacher", low=1, high=WIDEST)
    teacher_activation: str = setting("relu", "of the teacher's hidden units", choices=tuple(ACTIVATIONS))
    num_targets: int = setting(1, "outputs of the teacher", low=1, high=WIDEST)
    examples: int = streams.examples_setting(2000)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)

    @property
    def name(self) -> str:
        """E.g. 'teacher 20-10-1, relu'."""
        hidden = f"-{self.teacher_width}" * self.teacher_layers
        return f"teacher {self.features}{hidden}-{self.num_targets}, {self.teacher_activation}"

    @functools.cached_property
    def matrices(self) -> tuple[Float[np.ndarray, "inputs outputs"], ...]:
        """The teacher's weights, from the inputs on."""
        random = np.random.RandomState(self.table_seed)  # whose stream no version changes
        widths = [self.features, *[self.teacher_width] * self.teacher_layers, self.num_targets]
        shapes = zip(widths, widths[1:], strict=False)
        return tuple((random.standard_normal(shape) * shape[0] ** -0.5).astype(np.float32) for shape in shapes)

    @functools.cached_property
    def _moments(self) -> tuple[Float[np.ndarray, " targets"], Float[np.ndarray, " targets"]]:
        """Mean and deviation of each output, of rows that NumPy draws."""
        rows = np.random.RandomState(self.table_seed + 1).standard_normal((NORMALISING_ROWS, self.features))
        outputs = self._outputs(rows, np, np.matmul)
        return outputs.mean(0).astype(np.float32), outputs.std(0).astype(np.float32)

    def _outputs(self, inputs, array, product):
        """[rows, targets]: what the network gives before it is shifted and scaled."""
        h = inputs
        for matrix in self.matrices[:-1]:
            h = ACTIVATIONS[self.teacher_activation](array, product(h, matrix))
        return product(h, self.matrices[-1])

    def targets(self, inputs: Float[Array | np.ndarray, "rows features"]) -> Float[Array, "rows targets"]:
        """The targets of these inputs."""
        mean, deviation = self._moments
        return (self._outputs(inputs, jnp, functools.partial(jnp.matmul, precision="highest")) - mean) / deviation


@refusing
@dataclasses.dataclass(frozen=True)
class Polynomial(_Regression):
    """A single-index target: a Hermite polynomial of one direction w of normal inputs, He_k(w.x)/sqrt(k!), |w| = 1.

    He_k is the probabilists' polynomial: x, x^2 - 1, x^3 - 3x, ... A target has the mean 0 and the variance 1, and is
    uncorrelated with every polynomial of lower degree. w is drawn with `table_seed`, and so are the rows of the finite
    table, the first of a stream, which `sample` is.

    Raises:
      ConfigError: for settings out of range.

    Source: after the polynomial regression of Kumar, Bordelon, Gershman and Pehlevan 2023, arXiv:2310.06110, in which a
    two-layer network learns a quadratic function of one direction; Hermite polynomials of any degree are ours.
    """

    features: int = features_setting(100)
    degree: int = setting(2, "degree of the polynomial", low=1, high=10, label="degree k")
    examples: int = streams.examples_setting(2000)
    table_seed: int = streams.table_seed_setting()

    def __post_init__(self):
        check_settings(self)

    @property
    def name(self) -> str:
        """E.g. 'He_2(w.x) of 100 features'."""
        return f"He_{self.degree}(w.x) of {self.features} features"

    @functools.cached_property
    def direction(self) -> Float[np.ndarray, " features"]:
        """w."""
        drawn = np.random.RandomState(self.table_seed).standard_normal(self.features)  # whose stream no version changes
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)

    def targets(self, inputs: Float[Array | np.ndarray, "rows features"]) -> Float[Array, "rows 1"]:
        """The targets of these inputs."""
        z = jnp.matmul(inputs, self.direction[:, None], precision="highest")
        before, polynomial = jnp.ones_like(z), z
        for k in range(1, self.degree):
            before, polynomial = polynomial, z * polynomial - k * before
        return polynomial / math.sqrt(math.factorial(self.degree))
