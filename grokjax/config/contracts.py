"""What a run is made of: the contracts of a task, a model, an optimizer and a metric, each with an example.

Tasks, models and optimizers are dataclasses (Flax modules are), whose fields are settings that can be swept. Each has
what its first contract asks for; the contracts after that, such as `StreamTask`, are for parts that can do more.
"""

import functools
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """What is learned: a full table of examples. A frozen dataclass.

        @dataclasses.dataclass(frozen=True)
        class Parity:
            bits: int = 6

            @property
            def name(self):
                return f"parity of {self.bits} bits"

            @property
            def num_examples(self):
                return 2**self.bits

            @property
            def length(self):
                return self.bits

            def table(self):
                numbers, places = np.arange(self.num_examples), np.arange(self.bits)
                inputs = (numbers[:, None] >> places & 1).astype(np.int32)
                return gj.tasks.Table(
                    inputs=inputs,
                    labels=inputs.sum(1, keepdims=True, dtype=np.int32) % 2,
                    answer_positions=(self.bits - 1,),
                    vocab_size=2,
                    num_classes=2,
                    name=self.name,
                )

    `grokjax.tasks.from_function`, `from_table` and `from_file` make one in a line.
    """

    @property
    def name(self) -> str:
        """How messages and figures call it."""

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""

    @property
    def length(self) -> int:
        """Tokens or features in a row."""

    def table(self) -> Any:
        """The `grokjax.tasks.Table` of every example."""


@runtime_checkable
class StreamTask(Task, Protocol):
    """A task that also draws new rows without end, for batch_rule='stream'."""

    def sample(self, key: Any, count: int) -> tuple[Any, Any]:
        """Rows as a pure JAX function: inputs [count, length] and labels [count, answers], as those of the table."""


@runtime_checkable
class MixedTask(Task, Protocol):
    """A task of several parts, of whose first a share trains."""

    @property
    def first_rows(self) -> int:
        """Rows of the first part."""

    @property
    def fixed_rows(self) -> tuple[int, ...]:
        """Rows that train of every part after the first."""


@runtime_checkable
class RandomTask(Task, Protocol):
    """A task of which some labels are drawn at random by each run."""

    @property
    def random_parts(self) -> tuple[bool, ...]:
        """Per part, whether its labels are random, so that its rows do not validate."""


@runtime_checkable
class Model(Protocol):
    """Computes the answers: a Flax Linen module from inputs [batch, length] to logits [batch, answers, classes].

        class Mlp(nn.Module):
            width: int = 32
            vocab_size: int | None = None  # filled in from the table, where a module declares it
            num_classes: int | None = None

            @nn.compact
            def __call__(self, tokens, *, train=False):
                x = nn.Embed(self.vocab_size, self.width)(tokens).reshape(len(tokens), -1)
                return nn.Dense(self.num_classes)(nn.relu(nn.Dense(self.width)(x)))[:, None]

    `__call__(tokens, *, train=False, dropout=0.0, counts=None)` declares of these keywords what it needs: whether it is
    in training, the dropout rate, and [batch] False for rows that are padding. It declares as fields what it needs of
    the table: `vocab_size`, `num_classes`, `num_answers`, `length`, `answer_positions`, `part_position`, `part_tokens`.
    Inputs are tokens, int32, or features, float32, as those of the table. For targets it returns [batch, answers, 1].
    """

    def init(self, rngs: Any, *args: Any, **kwargs: Any) -> Any:
        """The initial parameters and what else it holds; Flax's own."""

    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        """A call with these parameters; Flax's own."""


@runtime_checkable
class ChoosyModel(Model, Protocol):
    """A model that may refuse a table."""

    def check_table(self, table: Any) -> None:
        """ConfigError if it does not suit the table."""


@runtime_checkable
class CautiousModel(Model, Protocol):
    """A model that may have something to say of a table, before a sweep trains."""

    def caveat(self, table: Any) -> str | None:
        """A sentence; None for nothing."""


@runtime_checkable
class CountedModel(Model, Protocol):
    """A model that counts its operations, from which a sweep's time is estimated."""

    def operations(self, rows: int, prefixes: Any) -> int:
        """Floating-point operations of the matrix products of a forward pass; see `grokjax.models.Decoder`."""


@runtime_checkable
class SharingModel(CountedModel, Protocol):
    """A model that computes once what rows of a table share. It declares `prefix_length` in its own class."""

    @property
    def prefix_length(self) -> int:
        """Positions it reads, whose prefixes it may share; 0 for none."""

    def logits_of_rows(self, prefixes: Any, rows: Any) -> Any:
        """[batch, answers, classes]: the same numbers as a call in evaluation."""


@runtime_checkable
class Optimizer(Protocol):
    """Trains the parameters: a frozen dataclass whose per-run settings are the hyperparameters.

        @dataclasses.dataclass(frozen=True)
        class SignDescent:
            learning_rate: float = gj.config.setting(1e-3, "step size", role=gj.config.RUN, low=0.0)

            def chain(self, hyper):
                return optax.with_extra_args_support(optax.sign_sgd(hyper["learning_rate"]))

    `grokjax.optimizers.custom` makes one from a function in a line.
    """

    def chain(self, hyper: Any) -> Any:
        """The optax transformation from gradient to update; `hyper` are scalars by name, which may be traced."""


@runtime_checkable
class MetricFunction(Protocol):
    """Measures a run at its evaluated steps: a function whose parameters' names say what it is given.

        def largest_weight(params):
            return jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(params)]).max()

    `grokjax.metrics` has what it may ask for, and what it may return.
    """

    def __call__(self, **given: Any) -> Any:
        """A scalar or a dictionary of scalars; [rows], one number per row, if it asks for `logits`."""


CONTRACTS: dict[str, type] = {"task": Task, "model": Model, "optimizer": Optimizer}
"""Those of the parts of a configuration that are objects."""


@functools.cache
def members(contract: type) -> tuple[str, ...]:
    """The names that a contract asks for."""
    lines = [
        kind for kind in reversed(contract.__mro__) if getattr(kind, "_is_protocol", False) and kind is not Protocol
    ]
    return tuple(dict.fromkeys(name for kind in lines for name in vars(kind) if not name.startswith("_")))


@functools.cache
def methods(contract: type) -> tuple[str, ...]:
    """Those of `members` that are called."""
    return tuple(name for name in members(contract) if callable(getattr(contract, name)))


def offers(value: Any, contract: type) -> bool:
    """Whether a value has all that a contract asks for; no property of a class is computed for that."""
    return not lacks(value, contract)


def lacks(value: Any, contract: type) -> tuple[str, ...]:
    """What a contract asks for and a value does not have."""
    missing = _undeclared(type(value), contract)
    return tuple(name for name in missing if not hasattr(value, name)) if missing else ()


@functools.lru_cache(maxsize=1024)
def _undeclared(kind: type, contract: type) -> tuple[str, ...]:
    fields = getattr(kind, "__dataclass_fields__", {})
    return tuple(name for name in members(contract) if name not in fields and not hasattr(kind, name))
