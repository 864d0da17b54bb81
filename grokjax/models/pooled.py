"""Models that read the mean of a row's embeddings, and so cannot see its order: the PKU study's MLP and ResNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from grokjax.config import DEEPEST, WIDEST, check_settings, refusing, setting
from grokjax.models.layers import INITS, Linear, check_one_answer, embedding_table
from grokjax.tasks.table import Table


def pooled(embedding: Float[Array, "tokens width"], tokens: Int[Array, "batch length"]) -> Float[Array, "batch width"]:
    """[batch, width]: the mean of the embeddings of each row's tokens, the same to the bit in whatever order they are.

    The order of a sum decides its last bits, so each row's tokens are put in order first.
    """
    return embedding[jnp.sort(tokens, axis=1)].mean(axis=1)


@refusing
class Mlp(nn.Module):
    """Mean of the embeddings, then layers of Linear and ReLU, then a Linear; biases everywhere, no dropout.

    Rows that differ in the order of their tokens have the same logits.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 91,491
    parameters.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code.
    """

    num_layers: int = setting(4, "hidden layers", low=1, high=DEEPEST)
    width: int = setting(128, "features of embeddings and hidden layers", low=1, high=WIDEST, label="width d")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    vocab_size: int | None = None
    num_classes: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    def check_table(self, table: Table) -> None:
        """ConfigError if a row of `table` has several answers, for `grokjax.models.fitted`."""
        check_one_answer("mlp", table)

    def setup(self):
        self.embedding = embedding_table(self, "embedding", self.vocab_size)
        self.layers = [
            Linear(self.width, self.init_scheme, self.width, name=f"layer_{i}") for i in range(self.num_layers)
        ]
        self.output = Linear(self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def __call__(self, tokens: Int[Array, "batch length"], *, train: bool = False) -> Float[Array, "batch 1 classes"]:
        """The logits of tokens, ids below `vocab_size`: [batch, 1, classes]. `train` is without effect."""
        h = pooled(self.embedding, tokens)
        for layer in self.layers:
            h = jax.nn.relu(layer(h))
        return self.output(h)[:, None]

    def operations(self, rows: int, prefixes: None = None) -> int:
        """Floating-point operations of the matrix products of a forward pass over `rows` rows: 2 m n k for each."""
        return _operations(self, rows)


@refusing
class ResNet(nn.Module):
    """Mean x0 of the embeddings, then blocks h <- ReLU(ReLU(W h + b) + x0) from h = x0, then a Linear; no dropout.

    The original's blocks have one W and b between them; `shared=False` gives each its own. Rows that differ in the
    order of their tokens have the same logits.

    What it needs of a task is filled in by `grokjax.models.fitted`. With 99 tokens and 99 classes it has 41,955
    parameters.

    Raises:
      ConfigError: for settings out of range.

    Source: the PKU study's published code.
    """

    num_layers: int = setting(4, "residual blocks", low=1, high=DEEPEST)
    width: int = setting(128, "features of embeddings and blocks", low=1, high=WIDEST, label="width d")
    shared: bool = setting(True, "one matrix and bias for all blocks")
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    vocab_size: int | None = None
    num_classes: int | None = None

    def __post_init__(self):
        check_settings(self)
        super().__post_init__()

    def check_table(self, table: Table) -> None:
        """ConfigError if a row of `table` has several answers, for `grokjax.models.fitted`."""
        check_one_answer("resnet", table)

    def setup(self):
        self.embedding = embedding_table(self, "embedding", self.vocab_size)
        distinct = 1 if self.shared else self.num_layers
        self.layers = [Linear(self.width, self.init_scheme, self.width, name=f"layer_{i}") for i in range(distinct)]
        self.output = Linear(self.num_classes, self.init_scheme, self.width, gives_logits=True)

    def __call__(self, tokens: Int[Array, "batch length"], *, train: bool = False) -> Float[Array, "batch 1 classes"]:
        """The logits of tokens, ids below `vocab_size`: [batch, 1, classes]. `train` is without effect."""
        h = x0 = pooled(self.embedding, tokens)
        for i in range(self.num_layers):
            h = jax.nn.relu(jax.nn.relu(self.layers[i % len(self.layers)](h)) + x0)
        return self.output(h)[:, None]

    def operations(self, rows: int, prefixes: None = None) -> int:
        """Floating-point operations of the matrix products of a forward pass over `rows` rows: 2 m n k for each."""
        return _operations(self, rows)


def _operations(model: Mlp | ResNet, rows: int) -> int:
    return rows * 2 * model.width * (model.num_layers * model.width + model.num_classes)
