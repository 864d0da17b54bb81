"""What all optimizers share: settings, and the order of what is done to gradient and update."""

import dataclasses
from typing import Any

import optax

from grokjax.config import RUN, ConfigError, check_settings, refusing, setting
from grokjax.optimizers.transforms import (
    DECAYS,
    Hyperparameters,
    add_noise,
    decay_in_gradient,
    grokfast_ema,
    grokfast_ma,
    keep_norm,
    orthogonal_gradient,
    step,
    still,
)


def hyperparameter(default: Any, help: str, **bounds):
    """A setting of an optimizer that may be traced: a number, swept without recompiling."""
    return setting(default, help, role=RUN, kind=float, **bounds)


def weight_decay_setting(default: float):
    """The setting `weight_decay`, whose default is the optimizer's own."""
    return hyperparameter(
        default,
        "decay of the parameters, times the learning rate unless in the gradient",
        low=0.0,
        label="weight decay",
    )


@refusing
@dataclasses.dataclass(frozen=True)
class Optimizer:
    """What all optimizers share: learning rate and warm-up, weight decay, and what is done to gradient and update.

    In this order: noise is added to the gradient; Grokfast amplifies its slow part; its part along each tensor is
    taken away; its global norm is clipped; L2 is added to it; the optimizer turns it into a direction; noise is added
    to that; the parameters move by -lr_t * direction and decay; their norm is put back to what it was at first.
    lr_t rises linearly from 0 over `warmup_steps` updates: the first update has learning rate 0.

    Weight decay acts on *all* parameters p, biases and norms included, beside the direction d, in one of four ways:
    'zero' -lr_t * (d + weight_decay * p); 'init' -lr_t * (d + weight_decay * (p - p_0)) with p_0 the initial value;
    'jiggle' p * exp(n * lr_t * weight_decay) - lr_t * d with one n ~ N(0, 1) for each tensor and update; 'gradient'
    weight_decay * p is added to the gradient (L2), before the optimizer sees it.

    The tensors of a `group` have the learning rate group_rate * lr_t and the weight decay group_decay * weight_decay in
    all of these equations. Since decay is times the learning rate, `group_rate` scales it too: per update, 'zero',
    'init' and the exponent of 'jiggle' decay the group by group_rate * lr_t * group_decay * weight_decay. In 'gradient'
    `group_decay` scales the L2 term, before the optimizer turns gradient and term together into a direction. The
    factor on the learning rate comes after that, after clipping, Grokfast, momentum and both noises: under every
    optimizer it is the factor on the length of a step.

    group_rate 0 freezes the group: its bits stay, whatever its gradient, decay and noise. The norms that `clip_norm`
    and `fixed_norm` hold are then those of the other tensors. With any other `group_rate` they are of all tensors, and
    `fixed_norm` scales all of them alike.

    Source: decoupled decay, Loshchilov and Hutter 2019, arXiv:1711.05101; decay on all parameters, its kinds, warm-up
    and update noise, Power et al. 2022, arXiv:2201.02177; Grokfast, Lee et al. 2024, arXiv:2405.20233; orthogonal
    gradient, Prieto et al. 2025, arXiv:2501.04697; the fixed norm, Liu et al. 2023, arXiv:2210.01117.
    """

    learning_rate: float = hyperparameter(1e-3, "step size after warm-up", low=0.0, label="learning rate")
    weight_decay: float = weight_decay_setting(0.0)
    decay: str = setting(
        "zero",
        "weight decay towards zero or the initial weights, as random factors, or in the gradient",
        choices=DECAYS,
    )
    warmup_steps: float = hyperparameter(10.0, "updates over which the learning rate rises from 0", low=0.0)
    clip_norm: float = hyperparameter(0.0, "largest norm of the whole gradient; 0: not clipped", low=0.0, on=1.0)
    gradient_noise: float = hyperparameter(
        0.0, "deviation of Gaussian noise on the gradient", low=0.0, on=1.0, label="gradient noise"
    )
    update_noise: float = hyperparameter(
        0.0, "deviation of Gaussian noise on the update, times the learning rate", low=0.0, on=1.0, label="update noise"
    )
    grokfast: str = setting(
        "none",
        "amplify the slow part of the gradient: an exponential or a moving average of it",
        choices=("none", "ema", "ma"),
    )
    grokfast_lamb: float = hyperparameter(2.0, "how much of the average is added to the gradient", low=0.0)
    grokfast_alpha: float = hyperparameter(0.98, "decay of Grokfast's exponential average", low=0.0, below=1.0)
    grokfast_window: int = setting(100, "updates in Grokfast's moving average", low=1, high=10_000)
    orthogonal_gradient: bool = setting(False, "take away the gradient's part along each tensor, keep its norm")
    fixed_norm: bool = setting(False, "scale all parameters back to their initial total norm after each update")
    group: str = setting(
        "",
        "tensors with a rate and decay of their own: patterns of their paths, joined by '+', as in embedding+*.bias",
        later=True,
    )
    group_rate: float = hyperparameter(
        1.0, "factor on the group's learning rate; 0 freezes it", low=0.0, later=True, label="group rate"
    )
    group_decay: float = hyperparameter(
        1.0, "factor on the group's weight decay", low=0.0, later=True, label="group decay"
    )

    def __post_init__(self):
        check_settings(self)
        for name in ("group_rate", "group_decay"):
            if not self.group and getattr(self, name) != 1.0:
                raise ConfigError(
                    f"{name}={getattr(self, name)} is the factor of a group of tensors, and there is none. Name its "
                    "tensors, as in --group=embedding."
                )

    def direction(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """The transformation from gradient to (uphill) direction, before decay and learning rate."""
        raise NotImplementedError

    def chain(self, hyper: Hyperparameters) -> optax.GradientTransformationExtraArgs:
        """The whole transformation from gradient to update.

        Args:
          hyper: the hyperparameters by name, as scalars that may be traced.

        Returns:
          An optax transformation; its `update` needs the parameters, and a `key` for what is random in it.
        """
        parts = []
        if self.gradient_noise:
            parts.append(add_noise(hyper["gradient_noise"], 0))
        if self.grokfast == "ema":
            parts.append(grokfast_ema(hyper["grokfast_alpha"], hyper["grokfast_lamb"]))
        if self.grokfast == "ma":
            parts.append(grokfast_ma(self.grokfast_window, hyper["grokfast_lamb"]))
        if self.orthogonal_gradient:
            parts.append(orthogonal_gradient())
        if self.group:
            parts.append(still(hyper, self.group))
        if self.clip_norm:
            parts.append(optax.clip_by_global_norm(hyper["clip_norm"]))
        if self.decay == "gradient":
            parts.append(decay_in_gradient(hyper, self.group))
        parts.append(self.direction(hyper))
        if self.update_noise:
            parts.append(add_noise(hyper["update_noise"], 1))
        parts.append(step(hyper, self.decay, self.group))
        if self.fixed_norm:
            parts.append(keep_norm(hyper, self.group))
        if self.group:
            parts.append(still(hyper, self.group))
        return optax.with_extra_args_support(optax.chain(*parts))
