"""MLP and ResNet: of the mean of a row's embeddings, as in the PKU study, or of them side by side; MLP of features."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from grokjax.config import DEEPEST, WIDEST, ConfigError, check_settings, refusing, setting
from grokjax.models.layers import (
    ACTIVATIONS,
    INITS,
    Linear,
    activation_setting,
    check_one_answer,
    embedding_table,
    product,
)
from grokjax.tasks.table import Prefixes, Table


def pooled(embedding: Float[Array, "tokens width"], tokens: Int[Array, "batch length"]) -> Float[Array, "batch width"]:
    """[batch, width]: the mean of the embeddings of each row's tokens, the same to the bit in whatever order they are.

    The order of a sum decides its last bits, so each row's tokens are put in order first.
    """
    return embedding[jnp.sort(tokens, axis=1)].mean(axis=1)


class SideBySide(nn.Module):
    """A Linear of the embeddings of all positions side by side, [length * width] -> [width]."""

    length: int
    width: int
    init_scheme: str

    def setup(self):
        scheme, inputs = INITS[self.init_scheme], self.length * self.width
        self.kernel = self.param("kernel", scheme.linear(self.width), (inputs, self.width), jnp.float32)
        self.bias = self.param("bias", scheme.bias(inputs), (self.width,), jnp.float32)

    def __call__(self, x: Float[Array, "batch length width"]) -> Float[Array, "batch width"]:
        """Of the embeddings of each row."""
        return product(x.reshape(x.shape[0], -1), self.kernel) + self.bias

    def of_rows(
        self, embedding: Float[Array, "tokens width"], prefixes: Prefixes, rows: Int[Array, " batch"]
    ) -> Float[Array, "batch width"]:
        """The same of rows of a table: each distinct (position, token) pair is projected once, then added to others."""
        matrices = jnp.split(self.kernel, self.length)
        parts = [product(embedding[ids], matrix) for ids, matrix in zip(prefixes.tokens, matrices, strict=True)]
        return jnp.concatenate(parts)[prefixes.row_pair[rows]].sum(1) + self.bias


def pool_setting():
    """The setting `pool` of a model that reads a row at once."""
    return setting(
        "mean",
        "how a row is read: the mean of its tokens' embeddings, which cannot tell x-y from y-x, or all of them side by "
        "side, which can",
        choices=("mean", "concat"),
        later=True,
    )


@refusing
class Mlp(nn.Module):
    """Mean of the embeddings, then layers of Linear and ReLU, then a Linear; biases everywhere, no dropout.

    With the mean, rows that differ in the order of their tokens have the same logits. `pool="concat"` puts the
    embeddings side by side instead, so that the first Linear, [length * width, width], has a matrix for each position:
    the two-hot MLP of much of the field, with an embedding before it. `logits_of_rows` then multiplies each distinct
    (position, token) pair once. `activation` takes the place of ReLU.

    Of a table whose inputs are features it is the plain MLP: the first Linear, [features, width], takes them as they
    are. Then a row may have several answers.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 91,491
    parameters, and 49,152 more where four tokens are side by side.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code, but for `pool="concat"`.
    """

    num_layers: int = setting(4, "hidden layers", low=1, high=DEEPEST)
    width: int = setting(128, "features of embeddings and hidden layers", low=1, high=WIDEST, label="width d")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    pool: str = pool_setting()
    activation: str = activation_setting()
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None
    num_answers: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    @property
    def prefix_length(self) -> int:
        """Positions that `logits_of_rows` reads: all; 0 where there is nothing to share."""
        return _prefix_length(self)

    def check_table(self, table: Table) -> None:
        """ConfigError for tokens with several answers, or features with a pool, for `grokjax.models.fitted`."""
        if not table.has_features:
            check_one_answer("mlp", table)
        elif self.pool != "mean":
            raise ConfigError(
                f"pool={self.pool} says how tokens are read, and the inputs of {table.name} are features. Leave it out."
            )

    def caveat(self, table: Table) -> str | None:
        """A sentence where the order of tokens decides answers and the model cannot see it."""
        return _caveat("mlp", self, table)

    def setup(self):
        if self.vocab_size:
            self.embedding = embedding_table(self, "embedding", self.vocab_size)
        self.layers = [self._layer(i) for i in range(self.num_layers)]
        self.output = Linear(self.num_answers * self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def _layer(self, number: int) -> nn.Module:
        if number == 0 and self.pool == "concat":
            return SideBySide(self.length, self.width, self.init_scheme, name="layer_0")
        return Linear(self.width, self.init_scheme, self.width, name=f"layer_{number}")

    def __call__(
        self, inputs: Real[Array, "batch length"], *, train: bool = False
    ) -> Float[Array, "batch answers classes"]:
        """The logits of tokens, ids below `vocab_size`, or of features: [batch, answers, classes].

        `train` is without effect.
        """
        if not self.vocab_size:
            return self._answered(self.layers[0](inputs))
        read = pooled(self.embedding, inputs) if self.pool == "mean" else self.embedding[inputs]
        return self._answered(self.layers[0](read))

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch 1 classes"]:
        """The logits of rows of a table, [batch, 1, classes], embeddings side by side: as `__call__`, to rounding."""
        return self._answered(self.layers[0].of_rows(self.embedding, prefixes, rows))

    def _answered(self, h: Float[Array, "batch width"]) -> Float[Array, "batch answers classes"]:
        """The logits, of the first Linear's result."""
        activation = ACTIVATIONS[self.activation]
        for layer in self.layers[1:]:
            h = layer(activation(h))
        return self.output(activation(h)).reshape(-1, self.num_answers, self.num_classes)

    def operations(self, rows: int, prefixes: Prefixes | None = None) -> int:
        """Floating-point operations of the matrix products of a forward pass over `rows` rows: 2 m n k for each."""
        if not self.vocab_size:
            inner, outputs = (self.num_layers - 1) * self.width, self.num_answers * self.num_classes
            return 2 * rows * self.width * (self.length + inner + outputs)
        first = rows if self.pool == "mean" else _positions(self, rows, prefixes)
        return _operations(self, rows, first + rows * (self.num_layers - 1))


@refusing
class ResNet(nn.Module):
    """Mean x0 of the embeddings, then blocks h <- ReLU(ReLU(W h + b) + x0) from h = x0, then a Linear; no dropout.

    The original's blocks have one W and b between them; `shared=False` gives each its own. With the mean, rows that
    differ in the order of their tokens have the same logits. With `pool="concat"` x0 is a Linear of the embeddings side
    by side, [length * width, width]; see `Mlp`. `activation` takes the place of ReLU.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 41,955
    parameters, and 65,664 more where four tokens are side by side.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code, but for `pool="concat"`.
    """

    num_layers: int = setting(4, "residual blocks", low=1, high=DEEPEST)
    width: int = setting(128, "features of embeddings and blocks", low=1, high=WIDEST, label="width d")
    shared: bool = setting(True, "one matrix and bias for all blocks")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    pool: str = pool_setting()
    activation: str = activation_setting()
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    @property
    def prefix_length(self) -> int:
        """Positions that `logits_of_rows` reads: all; 0 where there is nothing to share."""
        return _prefix_length(self)

    def check_table(self, table: Table) -> None:
        """ConfigError unless a row of `table` is tokens with one answer, for `grokjax.models.fitted`."""
        check_one_answer("resnet", table)

    def caveat(self, table: Table) -> str | None:
        """A sentence where the order of tokens decides answers and the model cannot see it."""
        return _caveat("resnet", self, table)

    def setup(self):
        self.embedding = embedding_table(self, "embedding", self.vocab_size)
        if self.pool == "concat":
            self.entry = SideBySide(self.length, self.width, self.init_scheme)
        distinct = 1 if self.shared else self.num_layers
        self.layers = [Linear(self.width, self.init_scheme, self.width, name=f"layer_{i}") for i in range(distinct)]
        self.output = Linear(self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def __call__(self, tokens: Int[Array, "batch length"], *, train: bool = False) -> Float[Array, "batch 1 classes"]:
        """The logits of tokens, ids below `vocab_size`: [batch, 1, classes]. `train` is without effect."""
        pools = self.pool == "mean"
        return self._answered(pooled(self.embedding, tokens) if pools else self.entry(self.embedding[tokens]))

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch 1 classes"]:
        """The logits of rows of a table, [batch, 1, classes], embeddings side by side: as `__call__`, to rounding."""
        return self._answered(self.entry.of_rows(self.embedding, prefixes, rows))

    def _answered(self, x0: Float[Array, "batch width"]) -> Float[Array, "batch 1 classes"]:
        """The logits, of what the blocks begin with."""
        activation, h = ACTIVATIONS[self.activation], x0
        for i in range(self.num_layers):
            h = activation(activation(self.layers[i % len(self.layers)](h)) + x0)
        return self.output(h)[:, None]

    def operations(self, rows: int, prefixes: Prefixes | None = None) -> int:
        """Floating-point operations of the matrix products of a forward pass over `rows` rows: 2 m n k for each."""
        first = 0 if self.pool == "mean" else _positions(self, rows, prefixes)
        return _operations(self, rows, first + rows * self.num_layers)


def _prefix_length(model: Mlp | ResNet) -> int:
    return model.length if model.pool == "concat" else 0


def _positions(model: Mlp | ResNet, rows: int, prefixes: Prefixes | None) -> int:
    """Embeddings that a matrix is multiplied by where they are side by side: of all rows, or each distinct one once."""
    return rows * model.length if prefixes is None else sum(map(len, prefixes.tokens))


def _operations(model: Mlp | ResNet, rows: int, vectors: int) -> int:
    """Those of so many products of a vector and a [width, width] matrix, and of the logits."""
    return 2 * model.width * (vectors * model.width + rows * model.num_classes)


def _caveat(kind: str, model: Mlp | ResNet, table: Table) -> str | None:
    """What a user should know who trains a model that reads the mean on a table in which order decides."""
    decides = model.pool == "mean" and not (table.has_features or table.has_targets)
    highest = highest_unordered_accuracy(table) if decides else 1.0
    if highest == 1:
        return None
    return (
        f"model={kind} reads the mean of a row's embeddings and cannot see their order, which decides the answers of "
        f"{table.name}: its accuracy over all rows is at most {100 * highest:.1f} %. Try --pool=concat."
    )


def highest_unordered_accuracy(table: Table) -> float:
    """The share of a table's rows on which a model that cannot see the order of tokens is right at most.

    Rows of the same tokens in some order get the same answer, so at best the commonest label among them is right.
    Labels that each run draws at random count as different where they are drawn apart.

    Args:
      table: with one answer per row.

    Returns:
      From 0 to 1; 1 where order decides nothing.
    """
    bag = np.zeros(table.num_examples, np.int64)
    for column in np.sort(table.inputs, axis=1).T:
        bag = np.unique(bag * table.vocab_size + column, return_inverse=True)[1]
    label, num_labels = table.labels[:, 0].astype(np.int64), table.num_classes
    if table.label_group is not None:
        label = np.where(table.label_group < 0, label, num_labels + table.label_group)
        num_labels += int(table.label_group.max()) + 1
    scored = label >= 0
    answer, rows = np.unique((bag * num_labels + label)[scored], return_counts=True)
    commonest = np.zeros(bag.max() + 1, np.int64)
    np.maximum.at(commonest, answer // num_labels, rows)
    return float(commonest.sum() / scored.sum())
