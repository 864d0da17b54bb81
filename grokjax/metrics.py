"""What is measured of a run at its evaluated steps, besides loss and accuracy: by name, or a user's own function.

A metric is a function whose parameters' names say what it is given:

* `logits` [rows, answers, classes], `labels` [rows, answers], `loss_dtype`: it returns one number per row [rows], of
  which the means over training and validation rows are kept, as `train_<name>` and `val_<name>`.
* any of `ARGUMENTS`: it returns a scalar, kept as `<name>`, or a dictionary of scalars, kept as `<name>.<key>` (the
  key '' as `<name>` alone).

    def norm(params):
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(params)) ** 0.5

    gj.Config(..., metrics={"norm": norm, "weight_norm": None})       # None: the one of that name
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from grokjax import losses
from grokjax.config import ConfigError, MetricFunction, unknown_name

Metric = tuple[str, MetricFunction]
"""A name and a function."""

ROW_ARGUMENTS = ("logits", "labels", "loss_dtype")
"""What a metric of rows may ask for."""

ARGUMENTS = {
    "params": "the parameters",
    "initial_params": "the parameters that the seed draws, before the first step of a run without `start`",
    "learning_rate": "the learning rate after warm-up",
    "step": "updates done",
    "loss": "[examples, answers] losses, rows of the table in the order of the split",
    "right": "[examples, answers] whether an answer is right, in the same order",
    "labels": "[examples, answers] classes, -1 where not scored, or targets, in the same order",
    "train": "[examples] 1.0 where the row trains, in the same order",
    "val": "[examples] 1.0 where the row validates, in the same order",
    "pair": "[examples] the number of the row's unordered pair, in the same order",
    "part": "[examples] the number of the row's part, in the same order",
    "part_names": "names of the parts",
    "scale_invariant": "paths of the weights that the model declares to be scale-invariant, taken together",
    "mean_gradient_norm": "norm of the batches' gradients, the mean over the updates since the last evaluation",
    "mean_batch_loss": "loss of the batches in train mode, the mean over their rows since the last evaluation",
    "mean_batch_accuracy": "accuracy of the batches in train mode, likewise",
    "mean_gradient_norms": "norm of the batches' gradients of each tensor by its path, likewise over the updates",
}
"""What another metric may ask for."""

RUNNING = {
    "mean_gradient_norm": "gradient_norm",
    "mean_gradient_norms": "gradient_norms",
    "mean_batch_loss": "batch_loss",
    "mean_batch_accuracy": "batch_accuracy",
}
"""Arguments that are means since the last evaluation, and what of."""


def paths(tree) -> dict[str, Any]:
    """The leaves of a tree by their path, such as 'block_0.query.kernel'."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {".".join(str(getattr(part, "key", part)) for part in path): leaf for path, leaf in leaves}


def weight_norm(params) -> Float[Array, ""]:
    """sqrt(sum W^2) over all parameters."""
    return optax.tree.norm(params)


def tensor_norms(params) -> dict[str, Float[Array, ""]]:
    """sqrt(sum W^2) of each parameter tensor."""
    return {name: optax.tree.norm(leaf) for name, leaf in paths(params).items()}


def distance(params, initial_params) -> Float[Array, ""]:
    """The norm of what has been added to the initial parameters."""
    return optax.tree.norm(jax.tree.map(jnp.subtract, params, initial_params))


def gradient_norm(mean_gradient_norm) -> Float[Array, ""]:
    """The mean norm of the batches' gradients since the last evaluation."""
    return mean_gradient_norm


def tensor_gradient_norms(mean_gradient_norms) -> dict[str, Float[Array, ""]]:
    """The same of each parameter tensor."""
    return mean_gradient_norms


def effective_learning_rate(learning_rate, params) -> Float[Array, ""]:
    """lr/|theta|^2: the step size on the sphere, for a scale-invariant network. Source: Melnik et al."""
    return learning_rate / optax.tree.norm(params) ** 2


def effective_gradient(mean_gradient_norm, params) -> Float[Array, ""]:
    """|g| |theta|: the gradient on the unit sphere, for a scale-invariant network. Source: Melnik et al."""
    return mean_gradient_norm * optax.tree.norm(params)


def train_mode_loss(mean_batch_loss) -> Float[Array, ""]:
    """The loss as training sees it, dropout on, the mean over the rows since the last evaluation."""
    return mean_batch_loss


def train_mode_accuracy(mean_batch_accuracy) -> Float[Array, ""]:
    """The accuracy as training sees it, dropout on, the mean over the rows since the last evaluation."""
    return mean_batch_accuracy


def invariant_norms(params, mean_gradient_norms, scale_invariant) -> dict[str, Float[Array, ""]]:
    """Norms of the weights that the model declares to be scale-invariant: `weight`, and `gradient` of the batches.

    The latter combines the tensors' mean norms since the last evaluation, and is at most the mean norm of the whole.
    """
    if not scale_invariant:
        raise ConfigError(
            "The metric invariant_norms needs a model that declares scale-invariant weights, such as a decoder with "
            "norm=pre and learned positions. Leave it out."
        )
    norms = tensor_norms(params)
    return {
        name: jnp.sqrt(sum(values[path] ** 2 for path in scale_invariant))
        for name, values in (("weight", norms), ("gradient", mean_gradient_norms))
    }


def softmax_collapse(
    logits: Float[Array, "rows answers classes"], labels: Int[Array, "rows answers"], loss_dtype: str
) -> Float[Array, " rows"]:
    """1.0 for rows whose sum of exp(z - max z) is exactly 1 at the right class: its part of the gradient is 0.

    The loss of such a row is 0 too. The other classes keep the gradient exp(z - max z), tiny and positive.

    Source: Prieto et al. 2025, arXiv:2501.04697.
    """
    # The largest term is 1 by definition. Computed, a fused multiply-add of z = scale * f may round it otherwise.
    others = jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1], dtype=logits.dtype) == 0
    with losses.in_dtype(loss_dtype):
        z = logits.astype(loss_dtype)
        total = 1 + (jnp.exp(z - z.max(-1, keepdims=True)) * others.astype(z.dtype)).sum(-1)
        collapsed = total == 1
    return losses.row_accuracy(collapsed & losses.correct(logits, labels), labels)


def token_accuracy(
    logits: Float[Array, "rows answers classes"], labels: Int[Array, "rows answers"]
) -> Float[Array, " rows"]:
    """The share of a row's scored answers that are right, where accuracy wants them all."""
    return losses.row_loss(losses.correct(logits, labels).astype(jnp.float32), labels)


def per_answer(loss, right, labels, train, val) -> dict[str, Float[Array, ""]]:
    """Loss and accuracy of each answer position alone, over the rows in which it is scored."""
    counts = losses.scored(labels).astype(jnp.float32)
    measured = {}
    for part, weights in (("train", train), ("val", val)):
        weights = weights[:, None] * counts
        for name, values in (("loss", loss), ("accuracy", right.astype(jnp.float32))):
            means = jnp.where(weights > 0, values, 0).sum(0) / weights.sum(0)
            measured |= {f"{part}_{name}.{i}": mean for i, mean in enumerate(means)}
    return measured


def parts(loss, right, labels, train, val, part, part_names) -> dict[str, Float[Array, ""]]:
    """Loss and accuracy of each part of the task alone, such as the two operations of a mixture."""
    values = {"loss": losses.row_loss(loss, labels), "accuracy": losses.row_accuracy(right, labels)}
    return {
        f"{side}_{name}.{part_name}": losses.weighted_mean(value, weights * (part == i).astype(jnp.float32))
        for i, part_name in enumerate(part_names)
        for side, weights in (("train", train), ("val", val))
        for name, value in values.items()
    }


def unswapped_accuracy(right, labels, train, val, pair) -> Float[Array, ""]:
    """The accuracy on validation rows no other order of whose operands is in the training set.

    Where order decides nothing, a model that cannot see it gets the others right by memory alone.
    """
    trained = jnp.zeros(pair.shape[0], jnp.float32).at[pair].max(train)[pair]
    return losses.weighted_mean(losses.row_accuracy(right, labels), val * (1 - trained))


def gini(params, labels) -> dict[str, Float[Array, ""]]:
    """How unequally the Fourier components of a network that adds modulo p are spread: 0 evenly, near 1 on few.

    Of the norms by frequency, the constant left out: `gini.embedding` of the token embedding and, of a decoder with an
    MLP, `gini.output_map` of W_L, from the last neurons to the logits. `grokjax.analysis.gini` has the definition. p is
    one more than the largest label; tokens and classes from p on are left out.

    Source: Nanda et al. 2023, arXiv:2301.05217.
    """
    numbers = labels[:, 0].max() + 1
    last = params.get(f"block_{sum(name.startswith('block_') for name in params) - 1}", {})
    maps = {"embedding": params["embedding"]} if "embedding" in params else {}
    if "mlp_out" in last and "output" in params:
        maps["output_map"] = (last["mlp_out"]["kernel"] @ params["output"]).T
    if not maps:
        raise ConfigError(
            f"The metric gini needs a parameter 'embedding', and this model has {', '.join(params)}. Leave it out."
        )
    return {name: _component_gini(values, numbers) for name, values in maps.items()}


def _component_gini(values: Float[Array, "tokens features"], numbers: Int[Array, ""]) -> Float[Array, ""]:
    """Of the first p rows, the Gini coefficient of the norms of frequencies 1 .. p//2; p may be traced."""
    x = jnp.arange(values.shape[0])
    k = jnp.arange(1, values.shape[0] // 2 + 1)[:, None]
    angle = (2 * jnp.pi) * (k * x % numbers).astype(values.dtype) / numbers.astype(values.dtype)
    seen = (x < numbers) & (2 * k <= numbers)
    power = sum((jnp.where(seen, wave(angle), 0.0) @ values) ** 2 for wave in (jnp.cos, jnp.sin)).sum(-1)
    norms = jnp.sqrt(jnp.where(2 * k[:, 0] == numbers, power / 2, power))  # a lone cosine's row is shorter
    from_largest = jnp.arange(norms.shape[0], dtype=values.dtype) + 0.5
    count = (numbers // 2).astype(values.dtype)
    return 1 - 2 * (jnp.sort(norms, descending=True) @ from_largest) / (norms.sum() * count)


METRICS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        weight_norm,
        tensor_norms,
        distance,
        gradient_norm,
        tensor_gradient_norms,
        effective_learning_rate,
        effective_gradient,
        train_mode_loss,
        train_mode_accuracy,
        invariant_norms,
        softmax_collapse,
        token_accuracy,
        per_answer,
        parts,
        unswapped_accuracy,
        gini,
    )
}
"""Metrics by name."""

UNPREFIXED = (per_answer, parts)
"""Metrics whose keys are whole names, such as 'val_loss.0'."""

OF_CLASSES = (softmax_collapse, token_accuracy, gini)
"""Metrics of classes, which targets are not."""


def arguments(metric: Callable) -> tuple[str, ...]:
    """What a metric asks for: the names of its parameters, but for those of other names that have a default."""
    known = {*ROW_ARGUMENTS, *ARGUMENTS}
    parameters = inspect.signature(metric).parameters.values()
    return tuple(p.name for p in parameters if p.name in known or p.default is p.empty)


def of_rows(metric: Callable) -> bool:
    """Whether a metric is one of rows."""
    return "logits" in arguments(metric)


def chosen(asked: Sequence[tuple[str, Any]]) -> tuple[Metric, ...]:
    """The metrics a `Config` asks for, as names and functions.

    Args:
      asked: names, each with its function or None for ours.

    Raises:
      ConfigError: for an unknown name, or a function that asks for what there is not.
    """
    return tuple((name, _checked(name, metric)) for name, metric in asked)


def _checked(name: str, metric) -> Callable:
    if metric is None:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        return METRICS[name]
    if not callable(metric) or isinstance(metric, type):
        raise ConfigError(f"The metric {name} is of type {type(metric).__name__}. Give a function, or None for ours.")
    known = ROW_ARGUMENTS if of_rows(metric) else tuple(ARGUMENTS)
    if unknown := [argument for argument in arguments(metric) if argument not in known]:
        raise ConfigError(
            f"The metric {name} asks for {unknown[0]!r}, which there is not. It may ask for: {', '.join(known)}."
        )
    return metric


def kept_as(metric: Metric) -> tuple[str, ...]:
    """The names under which a metric's value is kept, without the keys of a dictionary."""
    name, function = metric
    return (f"train_{name}", f"val_{name}") if of_rows(function) else (name,)


def identity(metric: Metric) -> str:
    """What a run's configuration calls a metric: its name and, for a user's, that of its function."""
    name, function = metric
    own = getattr(function, "__qualname__", type(function).__qualname__)
    return name if METRICS.get(name) is function else f"{name}={own}"


def running(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """The running means that the metrics need."""
    asked = {argument for _, metric in metrics for argument in arguments(metric)}
    return tuple(name for argument, name in RUNNING.items() if argument in asked)


def asks(metrics: Sequence[Metric], argument: str) -> bool:
    """Whether any of the metrics asks for this."""
    return any(argument in arguments(metric) for _, metric in metrics)


def check_table(metrics: Sequence[Metric], table) -> None:
    """ConfigError for a metric that asks for what the table has not."""
    for name, metric in metrics:
        if table.has_targets and metric in OF_CLASSES:
            raise ConfigError(f"The metric {name} needs classes, and {table.name} has targets. Leave it out.")
        for argument in ("pair", "part"):
            if argument in arguments(metric) and getattr(table, argument) is None:
                raise ConfigError(
                    f"The metric {name} needs rows that have a {argument}; {table.name} has none. Leave it out."
                )


def of_each_row(name: str, metric: Callable, given: Mapping[str, Any]) -> Float[Array, " rows"]:
    """[rows]: what a metric of rows says of each; ConfigError if it says anything else."""
    value = _real(name, metric(**{argument: given[argument] for argument in arguments(metric)}))
    if value.shape != given["labels"].shape[:1]:
        raise ConfigError(
            f"The metric {name} returned an array of shape {value.shape} for {given['labels'].shape[0]} rows. "
            "One that asks for logits returns one number per row."
        )
    return value


def named(name: str, metric: Callable, value) -> dict[str, Float[Array, ""]]:
    """A metric's value as scalars by the names they are kept under; ConfigError if it is none."""
    values = value if isinstance(value, Mapping) else {"": value}
    prefix = "" if metric in UNPREFIXED else name
    result = {}
    for key, scalar in values.items():
        number = _real(name, scalar)
        if number.ndim:
            raise ConfigError(f"The metric {name} returned an array of shape {number.shape}. {_RETURN}")
        kept = ".".join(filter(None, (prefix, str(key))))
        if kept in result:
            raise ConfigError(f"The metric {name} returned {key!r} twice. Give each scalar its own name.")
        result[kept] = number
    return result


_RETURN = "Return a scalar or a dictionary of scalars; one that asks for logits returns one number per row."


def _real(name: str, value) -> Float[Array, "..."]:
    """What a metric returned as float32; ConfigError if that is neither a real number nor an array of them."""
    try:
        array = None if isinstance(value, str) else jnp.asarray(value)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ConfigError(f"The metric {name} returned a {type(value).__name__} and not a number. {_RETURN}")
    return array.astype(jnp.float32)
