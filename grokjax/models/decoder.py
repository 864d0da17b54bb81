"""The decoder-only transformer of Power et al. 2022 and Nanda et al. 2023, and what lies between them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from grokjax.config import ConfigError, check_settings, setting
from grokjax.models.layers import INITS, attend, drop, sinusoidal_positions
from grokjax.tasks.table import Prefixes

LAYER_NORM_EPSILON = 1e-5


class Linear(nn.Module):
    """x @ kernel (+ bias), with a named scheme's initial values."""

    outputs: int
    init_scheme: str
    width: int
    biased: bool

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        scheme, inputs = INITS[self.init_scheme], x.shape[-1]
        y = x @ self.param("kernel", scheme.linear(self.width), (inputs, self.outputs), jnp.float32)
        if self.biased:
            y = y + self.param("bias", scheme.bias(inputs), (self.outputs,), jnp.float32)
        return y


class Block(nn.Module):
    """One layer: causal self-attention, then (unless mlp_width is 0) a two-matrix ReLU network, each residual.

    The pieces are separate, so that the caller decides at which positions each is computed.
    """

    width: int
    num_heads: int
    mlp_width: int
    norm: str
    bias: str
    init_scheme: str

    def setup(self):
        def linear(outputs, bias):
            return Linear(outputs, self.init_scheme, self.width, bias)

        everywhere = self.bias == "all"
        self.query, self.key, self.value, self.output = (linear(self.width, everywhere) for _ in range(4))
        if self.mlp_width:
            self.mlp_in = linear(self.mlp_width, self.bias != "none")
            self.mlp_out = linear(self.width, self.bias != "none")
        if self.norm != "none":
            self.norm_attention = nn.LayerNorm(LAYER_NORM_EPSILON)
            if self.mlp_width:
                self.norm_mlp = nn.LayerNorm(LAYER_NORM_EPSILON)

    def _attention_input(self, x):
        return self.norm_attention(x) if self.norm == "pre" else x

    def _heads(self, x):
        return x.reshape(*x.shape[:-1], self.num_heads, -1)

    def queries(self, x: Float[Array, "*nodes width"]) -> Float[Array, "*nodes heads features"]:
        """The queries of hidden states."""
        return self._heads(self.query(self._attention_input(x)))

    def keys_values(
        self, x: Float[Array, "*nodes width"]
    ) -> tuple[Float[Array, "*nodes heads features"], Float[Array, "*nodes heads features"]]:
        """The keys and values of hidden states."""
        x = self._attention_input(x)
        return self._heads(self.key(x)), self._heads(self.value(x))

    def finish(self, x: Float[Array, "*nodes width"], mixed: Float[Array, "*nodes width"], dropped):
        """The layer's output where its input was `x` and attention mixed the values to `mixed`.

        `dropped` is applied to each residual branch.
        """
        post = self.norm == "post"
        x = x + dropped(self.output(mixed))
        if post:
            x = self.norm_attention(x)
        if self.mlp_width:
            hidden = self.norm_mlp(x) if self.norm == "pre" else x
            x = x + dropped(self.mlp_out(jax.nn.relu(self.mlp_in(hidden))))
            if post:
                x = self.norm_mlp(x)
        return x


class Decoder(nn.Module):
    """Decoder-only transformer: causal attention, ReLU, untied output without bias, dropout where `train`.

    The defaults are Power et al.'s: 2 layers, width 128, 4 heads, MLP 512, LayerNorm after each residual sum, no
    biases, sinusoidal positions, PyTorch's init (394,240 parameters outside embedding and output). Nanda et al.'s
    is `Decoder(num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda")`.

    What it needs of a task (`vocab_size`, `num_classes`, `length`, `answer_positions`) is filled in by
    `grokjax.models.fitted`.

    Only answer positions go through the last layer. `logits_of_rows` also computes the first layer's projections
    once per distinct token and each shared prefix once: the same logits for fewer products, when nothing is dropped.

    Source: Power et al. 2022, arXiv:2201.02177; Nanda et al. 2023, arXiv:2301.05217.
    """

    num_layers: int = setting(2, "layers", low=1)
    width: int = setting(128, "features of the residual stream", low=1, label="width d")
    num_heads: int = setting(4, "attention heads", low=1)
    mlp_width: int | None = setting(
        None, "hidden units of the MLP; 0: attention only; default: 4 x width", kind=int, low=0
    )
    norm: str = setting(
        "post",
        "LayerNorm after each residual sum, before each branch and the output, or nowhere",
        choices=("post", "pre", "none"),
    )
    bias: str = setting("none", "biases: in no matrix product, the MLP's, or all", choices=("none", "mlp", "all"))
    positions: str = setting("sinusoidal", "position embeddings", choices=("sinusoidal", "learned"))
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None
    answer_positions: tuple[int, ...] | None = None

    def __post_init__(self):
        check_settings(self)
        if self.width % self.num_heads:
            near = [h for h in range(1, self.width + 1) if self.width % h == 0]
            near = sorted(near, key=lambda h: abs(h - self.num_heads))[:3]
            raise ConfigError(
                f"num_heads={self.num_heads} does not divide width={self.width}. "
                f"Try --num_heads={','.join(map(str, sorted(near)))}."
            )
        super().__post_init__()

    @property
    def hidden_units(self) -> int:
        """Hidden units of each layer's MLP; 0 where there is none."""
        return 4 * self.width if self.mlp_width is None else self.mlp_width

    def setup(self):
        scheme = INITS[self.init_scheme]
        table = scheme.embedding(self.width)
        self.embedding = self.param("embedding", table, (self.vocab_size, self.width), jnp.float32)
        if self.positions == "learned":
            self.position = self.param("position", table, (self.length, self.width), jnp.float32)
        else:
            self.position = jnp.asarray(sinusoidal_positions(self.length, self.width))
        self.blocks = [
            Block(
                self.width, self.num_heads, self.hidden_units, self.norm, self.bias, self.init_scheme, name=f"block_{i}"
            )
            for i in range(self.num_layers)
        ]
        if self.norm == "pre":
            self.norm_output = nn.LayerNorm(LAYER_NORM_EPSILON)
        shape = (self.width, self.num_classes)
        self.output = self.param("output", scheme.output(self.width), shape, jnp.float32)

    def _logits(self, x):
        return (self.norm_output(x) if self.norm == "pre" else x) @ self.output

    def _visible(self, positions, length: int) -> np.ndarray:
        """[positions, length] True where a position sees another: itself and what precedes it."""
        return np.arange(length) <= np.asarray(positions)[:, None]

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        *,
        train: bool = False,
        dropout: Float[Array, ""] | float = 0.0,
    ) -> Float[Array, "batch answers classes"]:
        """The logits at the answer positions.

        Args:
          tokens: ids below `vocab_size`.
          train: whether to drop; static. Uses the 'dropout' stream of random numbers.
          dropout: rate, on embeddings and residual branches; may be traced.

        Returns:
          [batch, answers, classes].
        """

        def dropped(x):
            return drop(self.make_rng("dropout"), x, dropout) if train else x

        length = self.answer_positions[-1] + 1
        x = dropped(self.embedding[tokens[:, :length]] + self.position[:length])
        for layer, block in enumerate(self.blocks):
            at = self.answer_positions if layer == self.num_layers - 1 else tuple(range(length))
            keys, values = block.keys_values(x)
            x = x[:, np.array(at)]
            mixed = attend(block.queries(x), keys, values, self._visible(at, length))
            x = block.finish(x, mixed, dropped)
        return self._logits(x)

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch answers classes"]:
        """The logits of rows of a table, without dropout: the same numbers as `__call__`, each thing computed once.

        Args:
          prefixes: of the table, by `find_prefixes`.
          rows: rows of the table.

        Returns:
          [batch, answers, classes].
        """
        length, shared = len(prefixes.tokens), len(prefixes.prefix_pair)
        x = jnp.concatenate([self.embedding[ids] + self.position[i] for i, ids in enumerate(prefixes.tokens)])
        nodes = _PairNodes(prefixes, rows)
        for layer, block in enumerate(self.blocks):
            last = layer == self.num_layers - 1
            own = np.array(self.answer_positions if last else range(shared, length), int)  # maybe none
            keys, values = block.keys_values(x)
            queries = None if last else block.queries(x)
            mixed = [
                attend(
                    nodes.queries_at_rows(block, x, own) if last else nodes.at_rows(queries, own),
                    nodes.at_rows(keys, np.arange(length)),
                    nodes.at_rows(values, np.arange(length)),
                    self._visible(own, length),
                ).reshape(-1, self.width)
            ]
            residual = [nodes.at_rows(x, own).reshape(-1, self.width)]
            for i in range(0 if last else shared):
                sources = nodes.sources(i)
                visible = np.ones((1, i + 1), bool)
                query = queries[sources[:, -1:]]
                mixed.insert(i, attend(query, keys[sources], values[sources], visible)[:, 0])
                residual.insert(i, x[sources[:, -1]])
            x = block.finish(jnp.concatenate(residual), jnp.concatenate(mixed), lambda branch: branch)
            nodes = _PrefixNodes(prefixes, rows)
        return self._logits(x.reshape(rows.shape[0], len(self.answer_positions), self.width))

    def operations(self, rows: int, prefixes: Prefixes | None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each, attention included.

        Args:
          rows: rows of the table that it is for.
          prefixes: what `logits_of_rows` may share; None for `__call__`.

        Returns:
          The count of what is needed, the products over causally hidden positions left out.
        """
        length, answers = self.answer_positions[-1] + 1, self.answer_positions
        if prefixes is None:
            first_states = rows * length
            shared = [rows] * length
        else:
            first_states = sum(len(tokens) for tokens in prefixes.tokens)
            own = length - len(prefixes.prefix_pair)
            shared = [len(prefix) for prefix in prefixes.prefix_pair] + [rows] * own
        total, square = 0, 2 * self.width**2
        for layer in range(self.num_layers):
            last = layer == self.num_layers - 1
            states = first_states if layer == 0 else sum(shared)
            outputs = {i: rows for i in answers} if last else dict(enumerate(shared))
            queries = sum(outputs.values())
            if layer == 0 and prefixes is not None:
                queries = sum(len(prefixes.tokens[i]) for i in outputs)
            attention = sum(count * (i + 1) for i, count in outputs.items()) * 4 * self.width
            finished = sum(outputs.values())
            total += 2 * states * square + queries * square + attention
            total += finished * (square + 4 * self.width * self.hidden_units)
        return total + rows * len(answers) * 2 * self.width * self.num_classes


class _PairNodes:
    """Before the first layer a hidden state belongs to a distinct (position, token) pair."""

    def __init__(self, prefixes: Prefixes, rows):
        self.row_pair = prefixes.row_pair[rows]
        self.prefix_pair = prefixes.prefix_pair
        self.counts = [len(tokens) for tokens in prefixes.tokens]

    def at_rows(self, states, positions):
        """[batch, positions, ...]: the states of each row."""
        return states[self.row_pair[:, positions]]

    def queries_at_rows(self, block, states, positions):
        """[batch, positions, heads, features]: projected per pair, from the first of the positions on, then spread."""
        first = sum(self.counts[: positions[0]])
        return block.queries(states[first:])[self.row_pair[:, positions] - first]

    def sources(self, position: int):
        """[prefixes, position + 1]: the states each prefix that ends at a shared position is made of."""
        return self.prefix_pair[position]


class _PrefixNodes:
    """After it, a state belongs to a shared prefix, or to a row at a position of its own."""

    def __init__(self, prefixes: Prefixes, rows):
        self.row_prefix = prefixes.row_prefix[rows]
        self.ancestors = prefixes.prefix_ancestors
        self.num_shared = sum(len(prefix) for prefix in prefixes.prefix_pair)
        self.own_shape = (rows.shape[0], len(prefixes.tokens) - len(self.ancestors))

    def at_rows(self, states, positions):
        """[batch, positions, ...]: the states of each row."""
        shared = len(self.ancestors)
        own = states[self.num_shared :].reshape(*self.own_shape, *states.shape[1:])
        own = own[:, positions[positions >= shared] - shared]
        of_prefixes = positions[positions < shared]
        if not len(of_prefixes):
            return own
        return jnp.concatenate([states[self.row_prefix[:, of_prefixes]], own], axis=1)

    def queries_at_rows(self, block, states, positions):
        """[batch, positions, heads, features]: projected at the positions alone."""
        return block.queries(self.at_rows(states, positions))

    def sources(self, position: int):
        """[prefixes, position + 1]: the states of a prefix at each position up to a shared one."""
        return self.ancestors[position]
