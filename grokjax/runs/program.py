"""What is static of a run: what its compiled program depends on."""

import dataclasses
from collections.abc import Callable

from grokjax import losses, metrics, optimizers
from grokjax.config import Config, ConfigError, Model, Optimizer, Task, program_part
from grokjax.models import MODELS, call_arguments, check_logits, fitted, parameter_shapes
from grokjax.tasks.table import Table


@dataclasses.dataclass(frozen=True)
class Program:
    """What a compiled program depends on, besides the shapes of its table. Hashable.

    Attributes:
      model: the module, fitted to its table.
      optimizer: with every hyperparameter at its default; the values are per run.
      metrics: names and functions.
      parts: names of the task's parts.
      split_by: 'row' or 'pair'.
      batch_rule: 'shuffled', 'fixed', 'full' or 'stream'.
      batch_rows: rows of the padded array that a step works on.
      stream: the task that draws each batch, where the rule is 'stream'.
      drops: whether the run has dropout. Without it the model may share work between rows.
      noisy: whether the weights have noise in training.
      centred: whether the initial function is subtracted.
      loss, loss_dtype: what is lowered, and computed in which dtype.
      precision: of matrix products.
      code: hashes of what the user's code in it computes, which may change where its objects do not.
    """

    model: Model
    optimizer: Optimizer
    metrics: tuple[metrics.Metric, ...]
    parts: tuple[str, ...]
    split_by: str
    batch_rule: str
    batch_rows: int
    stream: Task | None
    drops: bool
    noisy: bool
    centred: bool
    loss: str | Callable
    loss_dtype: str
    precision: str
    code: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, table: Table, code: tuple[str, ...] = ()) -> "Program":
        """The program that trains a run of `config` on `table`; ConfigError where parts do not fit."""
        model = fitted(config.model, table)
        if type(model) not in MODELS.values():
            check_logits(model, table)
        chosen = metrics.chosen(config.metrics)
        _check_fit(config, table, model, chosen)
        return cls(
            model=model,
            optimizer=program_part(config.optimizer),
            metrics=chosen,
            parts=table.parts,
            split_by=config.split_by,
            batch_rule=config.batch_rule,
            batch_rows=config.batch_rows,
            stream=program_part(config.task) if config.batch_rule == "stream" else None,
            drops=config.dropout > 0,
            noisy=config.weight_noise > 0,
            centred=config.centred,
            loss=config.loss,
            loss_dtype=config.loss_dtype,
            precision=config.precision,
            code=code,
        )

    @property
    def users_code(self) -> list[str]:
        """What in it is not ours, for messages."""
        found = [] if type(self.model) in MODELS.values() else [f"the model {type(self.model).__name__}"]
        if type(self.optimizer) not in optimizers.OPTIMIZERS.values():
            found.append("the optimizer")
        if not isinstance(self.loss, str):
            found.append(f"the loss {losses.name_of(self.loss)}")
        return found + [f"the metric {n}" for n, metric in self.metrics if metrics.METRICS.get(n) is not metric]

    @property
    def remembers(self) -> bool:
        """Whether a run must keep its initial parameters."""
        return self.centred or metrics.asks(self.metrics, "initial_params")


def _check_fit(config: Config, table: Table, model: Model, chosen: tuple[metrics.Metric, ...]) -> None:
    """ConfigError for dropout or tensors that a model lacks, or a loss, metric or split that a table does not suit."""
    if config.dropout and "dropout" not in call_arguments(type(model)):
        raise ConfigError(
            f"dropout={config.dropout} has no place in the model {type(model).__name__}, whose __call__ takes "
            "none. Try --dropout=0."
        )
    if isinstance(config.optimizer, optimizers.Optimizer) and config.optimizer.group:
        _check_group(config.optimizer.group, model, table)
    losses.check_table(config.loss, table)
    metrics.check_table(chosen, table)
    if config.split_by == "pair" and table.pair is None:
        raise ConfigError(f"split_by=pair needs rows that are pairs, and {table.name} has none. Try --split_by=row.")


def _check_group(group: str, model: Model, table: Table) -> None:
    """ConfigError for a group with a pattern that names no tensor of the model."""
    shapes = parameter_shapes(model, table.inputs.shape[1], table.inputs.dtype)
    if wrong := optimizers.unmatched(shapes, group):
        raise ConfigError(
            f"group={group} has the pattern {wrong[0]!r}, which names none of the tensors of {type(model).__name__}: "
            f"{', '.join(optimizers.tensor_paths(shapes))}."
        )
