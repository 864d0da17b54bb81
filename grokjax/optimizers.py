"""What trains the parameters: optax chains by name, each hyperparameter a per-run value.

Every optimizer is a frozen dataclass; `chain` builds the optax transformation from its hyperparameters, which may be
traced, so that each of them can be an axis of a sweep without recompiling.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from grokjax.config import RUN, check_settings, setting

Hyperparameters = Mapping[str, Float[Array, ""]]


def _hyperparameter(default: float, help: str, **bounds):
    return setting(default, help, role=RUN, kind=float, **bounds)


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Learning rate, warm-up and decoupled weight decay, which all optimizers share.

    The update is -lr_t * (direction + weight_decay * parameter) on *all* parameters, biases and norms included.
    lr_t rises linearly from 0 over `warmup_steps` updates: the first update has learning rate 0.

    Source: decoupled decay, Loshchilov and Hutter 2019, arXiv:1711.05101; warm-up and decay on all parameters, Power
    et al. 2022, arXiv:2201.02177.
    """

    learning_rate: float = _hyperparameter(1e-3, "step size after warm-up", low=0.0, label="learning rate")
    weight_decay: float = _hyperparameter(
        0.0, "decoupled decay towards zero, per unit of learning rate", low=0.0, label="weight decay"
    )
    warmup_steps: float = _hyperparameter(10.0, "updates over which the learning rate rises from 0", low=0.0)

    def __post_init__(self):
        check_settings(self)

    def direction(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """The transformation from gradient to (uphill) direction, before decay and learning rate."""
        raise NotImplementedError

    def chain(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """The whole transformation from gradient to update.

        Args:
          hyper: the hyperparameters by name, as scalars that may be traced.

        Returns:
          An optax transformation; its `update` needs the parameters.
        """
        return optax.chain(
            self.direction(hyper),
            optax.add_decayed_weights(hyper["weight_decay"]),
            optax.scale_by_learning_rate(_warmed_up(hyper["learning_rate"], hyper["warmup_steps"])),
        )


def _warmed_up(learning_rate, warmup_steps):
    """The schedule lr * min(1, t / warmup_steps) of the updates t done before."""

    def schedule(count):
        share = count.astype(jnp.float32) / jnp.maximum(warmup_steps, 1.0)
        return learning_rate * jnp.where(warmup_steps > 0, jnp.minimum(share, 1.0), 1.0)

    return schedule


@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: the bias-corrected mean of the gradient over the root of that of its square, eps outside the root.

    Source: Kingma and Ba 2015, arXiv:1412.6980.
    """

    b1: float = _hyperparameter(0.9, "decay of the mean of the gradient", low=0.0, below=1.0, label="beta 1")
    b2: float = _hyperparameter(0.98, "decay of the mean of its square", low=0.0, below=1.0, label="beta 2")
    eps: float = _hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        return optax.scale_by_adam(hyper["b1"], hyper["b2"], hyper["eps"])


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, 1 by default as in Power et al. 2022, arXiv:2201.02177."""

    weight_decay: float = _hyperparameter(
        1.0, "decoupled decay towards zero, per unit of learning rate", low=0.0, label="weight decay"
    )


@dataclasses.dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    learning_rate: float = _hyperparameter(1e-2, "step size after warm-up", low=0.0, label="learning rate")

    def direction(self, hyper):
        return optax.identity()


@dataclasses.dataclass(frozen=True)
class SgdMomentum(Sgd):
    """SGD whose direction is m_t = momentum * m_(t-1) + gradient, as in PyTorch (no dampening, no Nesterov)."""

    momentum: float = _hyperparameter(0.9, "decay of the sum of directions", low=0.0, below=1.0)

    def direction(self, hyper):
        return optax.trace(hyper["momentum"])


@dataclasses.dataclass(frozen=True)
class RmsProp(Optimizer):
    """PyTorch's RMSprop: gradient over (root of the mean of its square, plus eps), then momentum.

    Optax's own default differs in the decay (0.9) and puts eps under the root.

    Source: Tieleman and Hinton 2012, lecture 6.5; torch.optim.RMSprop.
    """

    learning_rate: float = _hyperparameter(5e-4, "step size after warm-up", low=0.0, label="learning rate")
    momentum: float = _hyperparameter(0.0, "decay of the sum of directions", low=0.0, below=1.0)
    b2: float = _hyperparameter(0.99, "decay of the mean of the gradient's square", low=0.0, below=1.0, label="beta 2")
    eps: float = _hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        scaled = optax.scale_by_rms(hyper["b2"], hyper["eps"], eps_in_sqrt=False)
        return optax.chain(scaled, optax.trace(hyper["momentum"]))


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": Sgd, "sgd_momentum": SgdMomentum, "rmsprop": RmsProp}
"""Optimizers by the name the command line uses."""


def apply(params, updates):
    """`params` + `updates`, leaf by leaf, in the dtype of the parameters."""
    return jax.tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)
