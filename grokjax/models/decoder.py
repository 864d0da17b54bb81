"""The decoder-only transformer of Power et al. 2022 and Nanda et al. 2023, and what lies between them."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grokjax.config import DEEPEST, WIDEST, ConfigError, check_settings, refusing, setting
from grokjax.models.attention import attend
from grokjax.models.block import Block
from grokjax.models.layers import (
    INITS,
    activation_setting,
    check_heads,
    check_tokens,
    dropper,
    embedding_table,
    norm_layer,
    normaliser,
    product,
    sinusoidal_positions,
)
from grokjax.models.rows import rows_of
from grokjax.tasks.table import Prefixes, Table


@refusing
class Decoder(nn.Module):
    """Decoder-only transformer: causal attention, ReLU by default, untied output without bias, dropout where `train`.

    The defaults are Power et al.'s: 2 layers, width 128, 4 heads, MLP 512, LayerNorm after each residual sum, no
    biases, sinusoidal positions, PyTorch's init (394,240 parameters outside embedding and output). Nanda et al.'s
    is `Decoder(num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda")`.

    With `norm="pre", inner_norm=True, norm_affine=False` and no biases, scaling an MLP's first matrix changes nothing,
    as long as the variances stay large beside the norms' epsilon.

    What it needs of a task (the attributes that are no settings) is filled in by `grokjax.models.fitted`.

    Only answer positions go through the last layer, unless a BatchNorm counts the others. `logits_of_rows` also
    computes the first layer's projections once per distinct token and each shared prefix once: the same logits for
    fewer products, when nothing is dropped and `prefix_length` is not 0.

    Raises:
      ConfigError: for settings out of range, heads that do not divide the width, and switches of an MLP that is not
        there or that cannot be combined.

    Source: Power et al. 2022, arXiv:2201.02177; Nanda et al. 2023, arXiv:2301.05217; the norm inside the MLP, Melnik et
    al.; the split MLP, Huang et al. 2024, arXiv:2402.15175.
    """

    num_layers: int = setting(2, "layers", low=1, high=DEEPEST)
    width: int = setting(128, "features of the residual stream", low=1, high=WIDEST, label="width d")
    num_heads: int = setting(4, "attention heads", low=1)
    mlp_width: int | None = setting(
        None, "hidden units of the MLP; 0: attention only; default: 4 x width", kind=int, low=0, high=WIDEST
    )
    norm: str = setting(
        "post",
        "norms after each residual sum, before each branch and the output, or at neither",
        choices=("post", "pre", "none"),
    )
    norm_kind: str = setting(
        "layer",
        "what the norms are: LayerNorm, or BatchNorm over batch and positions; unused where there are none",
        choices=("layer", "batch"),
    )
    norm_affine: bool = setting(True, "whether norms have a scale and a bias")
    inner_norm: bool = setting(False, "one more norm inside each MLP, between its first matrix and the activation")
    final_norm: bool | None = setting(
        None, "whether a norm precedes the output; default: where norm is 'pre'", kind=bool
    )
    split_mlp: bool = setting(False, "divide each MLP's hidden units evenly between the parts of a mixture")
    bias: str = setting("none", "biases: in no matrix product, the MLP's, or all", choices=("none", "mlp", "all"))
    positions: str = setting("sinusoidal", "position embeddings", choices=("sinusoidal", "learned"))
    init_scheme: str = setting("pytorch", "initial distributions", choices=tuple(INITS))
    activation: str = activation_setting()
    vocab_size: int | None = None
    num_classes: int | None = None
    length: int | None = None
    answer_positions: tuple[int, ...] | None = None
    part_position: int | None = None
    part_tokens: tuple[int, ...] | None = None

    def __post_init__(self):
        check_settings(self)
        check_heads(self.width, self.num_heads)
        for name in ("inner_norm", "split_mlp"):
            if getattr(self, name) and not self.hidden_units:
                raise ConfigError(
                    f"{name} needs an MLP, and mlp_width=0 leaves none. Try --mlp_width={4 * self.width}."
                )
        if self.inner_norm and self.split_mlp:
            raise ConfigError(
                "split_mlp keeps the parts' hidden units apart, and inner_norm would mix them. "
                "Try --inner_norm=false or --split_mlp=false."
            )
        super().__post_init__()

    @property
    def hidden_units(self) -> int:
        """Hidden units of each layer's MLP; 0 where there is none."""
        return 4 * self.width if self.mlp_width is None else self.mlp_width

    @property
    def normalises_output(self) -> bool:
        """Whether a norm precedes the output."""
        return self.norm == "pre" if self.final_norm is None else self.final_norm

    @property
    def counts_batch(self) -> bool:
        """Whether some norm takes its statistics from the batch."""
        return self.norm_kind == "batch" and (self.norm != "none" or self.inner_norm or self.normalises_output)

    @property
    def scale_invariant(self) -> tuple[str, ...]:
        """Paths of weights that may be multiplied by one factor together without changing the logits.

        Up to the norms' epsilon, and with a BatchNorm in train mode. They are what adds to a residual stream that is
        only read through norms, and the first matrix of each MLP with a norm inside. Of matrices whose product matters,
        such as those of values and output, it is the last. Affine parameters of norms are left out.
        `grokjax.analysis.invariance` finds such weights in any model.
        """
        stream = self.norm == "pre" and self.normalises_output and self.positions == "learned" and self.bias != "all"
        matrices = ["output"] if stream else []
        if self.hidden_units:
            matrices += ["mlp_in"] * self.inner_norm + ["mlp_out"] * stream
        paths = ["embedding", "position"] if stream else []
        for layer in range(self.num_layers):
            paths += [f"block_{layer}.{name}.kernel" for name in matrices]
            if self.bias != "none":
                paths += [f"block_{layer}.{name}.bias" for name in matrices if name != "output"]
        return tuple(sorted(paths))

    @property
    def prefix_length(self) -> int:
        """Positions that `logits_of_rows` reads, and whose prefixes it may share.

        0 where more than what precedes a position decides its states, so that it would not give the logits.
        """
        return 0 if self.counts_batch or self.split_mlp else self.answer_positions[-1] + 1

    def check_table(self, table: Table) -> None:
        """ConfigError if `table` has no tokens, or the MLP cannot be split between its parts, for `fitted`."""
        check_tokens("decoder", table)
        if not self.split_mlp:
            return
        parts = len(table.part_tokens)
        if table.part_position is None or parts < 2:
            raise ConfigError(
                "split_mlp needs a task whose rows tell by a token which of several parts they belong to; "
                f"{table.name} has no such token. Try --split_mlp=false, or a mixture of tasks."
            )
        if self.hidden_units % parts:
            raise ConfigError(
                f"{self.hidden_units} hidden units do not divide evenly between the {parts} parts of {table.name}, as "
                f"split_mlp asks. Try --mlp_width={max(1, self.hidden_units // parts) * parts}."
            )

    def setup(self):
        self.embedding = embedding_table(self, "embedding", self.vocab_size)
        if self.positions == "learned":
            self.position = embedding_table(self, "position", self.length)
        else:
            self.position = jnp.asarray(sinusoidal_positions(self.length, self.width))
        self.blocks = [
            Block(
                width=self.width,
                num_heads=self.num_heads,
                mlp_width=self.hidden_units,
                norm=self.norm,
                bias=self.bias,
                init_scheme=self.init_scheme,
                norm_kind=self.norm_kind,
                norm_affine=self.norm_affine,
                inner_norm=self.inner_norm,
                activation=self.activation,
                name=f"block_{i}",
            )
            for i in range(self.num_layers)
        ]
        if self.normalises_output:
            self.norm_output = norm_layer(self.norm_kind, self.norm_affine)
        shape = (self.width, self.num_classes)
        self.output = self.param("output", INITS[self.init_scheme].output(self.width), shape, jnp.float32)

    def _own_units(self, tokens) -> Bool[Array, "batch 1 hidden"] | None:
        """Which hidden units of a split MLP each row may use; None where all."""
        if not self.split_mlp:
            return None
        part = tokens[:, self.part_position, None] == np.array(self.part_tokens, np.int32)
        return jnp.repeat(part, self.hidden_units // len(self.part_tokens), axis=1)[:, None]

    def _layer_outputs(self, layer: int, length: int) -> tuple[int, ...]:
        """The positions whose output of a layer is read, or counted by a norm, later."""
        last = layer == self.num_layers - 1
        return self.answer_positions if last and not self.counts_batch else tuple(range(length))

    def _visible(self, positions, length: int) -> np.ndarray:
        """[positions, length] True where a position sees another: itself and what precedes it."""
        return np.arange(length) <= np.asarray(positions)[:, None]

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        *,
        train: bool = False,
        dropout: Float[Array, ""] | float = 0.0,
        counts: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, "batch answers classes"]:
        """The logits at the answer positions.

        Args:
          tokens: ids below `vocab_size`.
          train: whether to drop, and to take a BatchNorm's statistics from the batch (its running averages, in the
            collection 'batch_stats', must be mutable then); static.
          dropout: rate, on embeddings and residual branches; may be traced. Uses the 'dropout' stream of random
            numbers, which is not needed at a rate that is 0 and not traced.
          counts: rows of the batch that a BatchNorm counts, padding left out; None for all.

        Returns:
          [batch, answers, classes].
        """
        dropped, normed = dropper(self, train, dropout), normaliser(train, counts)
        length, units = self.answer_positions[-1] + 1, self._own_units(tokens)
        x = dropped(self.embedding[tokens[:, :length]] + self.position[:length])
        for layer, block in enumerate(self.blocks):
            at = np.array(self._layer_outputs(layer, length))
            inputs = block.attention_input(x, normed)
            keys, values = block.keys_values(inputs)
            mixed = attend(block.queries(_at(inputs, at)), keys, values, self._visible(at, length))
            x = block.finish(_at(x, at), mixed, dropped, normed, units)
        if self.normalises_output:
            x = normed(self.norm_output, x)
        if x.shape[1] > len(self.answer_positions):
            x = _at(x, np.array(self.answer_positions))
        return product(x, self.output)

    def logits_of_rows(self, prefixes: Prefixes, rows: Int[Array, " batch"]) -> Float[Array, "batch answers classes"]:
        """The logits of rows of a table, without dropout: the same numbers as `__call__`, each thing computed once.

            states = one per distinct (position, token) pair
            for each layer:
                project keys, values and queries of every state
                each row attends at its own positions; in the last layer, at the answer positions
                each shared prefix attends at its last position; in the last layer nothing reads it
                states = one per shared prefix, and one per row and position of its own

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
            states = _States.of(block, x, asks_queries=not last)
            branches = [_at_rows(nodes, block, states, own, self._visible(own, length))]
            branches = [_at_prefixes(nodes, states, i) for i in range(0 if last else shared)] + branches
            residual, mixed = zip(*branches, strict=True)  # each [states, width]
            x = block.finish(jnp.concatenate(residual), jnp.concatenate(mixed), lambda branch: branch)
            nodes = _PrefixNodes(prefixes, rows)
        x = x.reshape(rows.shape[0], len(self.answer_positions), self.width)
        return product(self.norm_output(x) if self.normalises_output else x, self.output)

    def operations(self, rows: int, prefixes: Prefixes | None) -> int:
        """Floating-point operations of the matrix products of one forward pass: 2 m n k for each, attention included.

        Args:
          rows: rows of the table that it is for.
          prefixes: what `logits_of_rows` may share; None for `__call__`.

        Returns:
          The count of what is needed, the products over causally hidden positions left out. A split MLP's products
          are counted whole, as they are computed.
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
            outputs = {i: rows if last else shared[i] for i in self._layer_outputs(layer, length)}
            queries = sum(outputs.values())
            if layer == 0 and prefixes is not None:
                queries = sum(len(prefixes.tokens[i]) for i in outputs)
            attention = sum(count * (i + 1) for i, count in outputs.items()) * 4 * self.width
            finished = sum(outputs.values())
            total += 2 * states * square + queries * square + attention
            total += finished * (square + 4 * self.width * self.hidden_units)
        return total + rows * len(answers) * 2 * self.width * self.num_classes


def _at(x: Float[Array, "batch length ..."], positions: np.ndarray) -> Float[Array, "batch positions ..."]:
    """`x` at static positions; those that follow each other by a slice, whose derivative need not scatter."""
    if len(positions) and (np.diff(positions) == 1).all():
        return x[:, positions[0] : positions[-1] + 1]
    return x[:, positions]


class _States(NamedTuple):
    """What attention reads of each state: [states, width] and, of several heads, [states, heads, features]."""

    residual: Float[Array, "states width"]
    inputs: Float[Array, "states width"]
    keys: Float[Array, "states heads features"]
    values: Float[Array, "states heads features"]
    queries: Float[Array, "states heads features"] | None

    @classmethod
    def of(cls, block: Block, residual: Float[Array, "states width"], asks_queries: bool) -> "_States":
        """The projections of every state; queries only where more than the answer positions ask."""
        inputs = block.attention_input(residual)
        keys, values = block.keys_values(inputs)
        return cls(residual, inputs, keys, values, block.queries(inputs) if asks_queries else None)


def _at_rows(nodes, block: Block, states: _States, positions: np.ndarray, visible: np.ndarray):
    """[batch * positions, width], twice: the residual stream of each row at these positions, and what it attends to."""
    if states.queries is None:
        query = nodes.queries_at_rows(block, states.inputs, positions)
    else:
        query = nodes.at_rows(states.queries, positions)
    length, width = visible.shape[1], states.residual.shape[-1]
    keys, values = (nodes.at_rows(each, np.arange(length)) for each in (states.keys, states.values))
    mixed = attend(query, keys, values, visible).reshape(-1, width)
    return nodes.at_rows(states.residual, positions).reshape(-1, width), mixed


def _at_prefixes(nodes, states: _States, position: int):
    """[prefixes, width], twice: likewise of each prefix that ends at a shared position, there."""
    sources = nodes.sources(position)  # [prefixes, position + 1]
    visible = np.ones((1, position + 1), bool)
    query = states.queries[sources[:, -1:]]
    mixed = attend(query, states.keys[sources], states.values[sources], visible)[:, 0]
    return states.residual[sources[:, -1]], mixed


class _PairNodes:
    """Before the first layer a hidden state belongs to a distinct (position, token) pair."""

    def __init__(self, prefixes: Prefixes, rows):
        self.row_pair = prefixes.row_pair[rows]
        self.prefix_pair = prefixes.prefix_pair
        self.counts = [len(tokens) for tokens in prefixes.tokens]

    def at_rows(self, states, positions):
        """[batch, positions, ...]: the states of each row."""
        return rows_of(states, self.row_pair[:, positions])

    def queries_at_rows(self, block, states, positions):
        """[batch, positions, heads, features]: projected per pair, from the first of the positions on, then spread."""
        first = sum(self.counts[: positions[0]])
        return rows_of(block.queries(states[first:]), self.row_pair[:, positions] - first)

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
        own = _at(own, positions[positions >= shared] - shared)
        of_prefixes = positions[positions < shared]
        if not len(of_prefixes):
            return own
        return jnp.concatenate([rows_of(states, self.row_prefix[:, of_prefixes]), own], axis=1)

    def queries_at_rows(self, block, states, positions):
        """[batch, positions, heads, features]: projected at the positions alone."""
        return block.queries(self.at_rows(states, positions))

    def sources(self, position: int):
        """[prefixes, position + 1]: the states of a prefix at each position up to a shared one."""
        return self.ancestors[position]
