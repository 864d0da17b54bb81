"""The optimizers that move every parameter by one rule: Adam, AdamW, SGD with and without momentum, RMSprop."""

import dataclasses

import optax

from grokjax.config import refusing
from grokjax.optimizers.base import Optimizer, hyperparameter, weight_decay_setting


@refusing
@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: the bias-corrected mean of the gradient over the root of that of its square, eps outside the root.

    Source: Kingma and Ba 2015, arXiv:1412.6980.
    """

    b1: float = hyperparameter(0.9, "decay of the mean of the gradient", low=0.0, below=1.0, label="beta 1")
    b2: float = hyperparameter(0.98, "decay of the mean of its square", low=0.0, below=1.0, label="beta 2")
    eps: float = hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        return optax.scale_by_adam(hyper["b1"], hyper["b2"], hyper["eps"])


@refusing
@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, 1 by default as in Power et al. 2022, arXiv:2201.02177."""

    weight_decay: float = weight_decay_setting(1.0)


@refusing
@dataclasses.dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    learning_rate: float = hyperparameter(1e-2, "step size after warm-up", low=0.0, label="learning rate")

    def direction(self, hyper):
        return optax.identity()


@refusing
@dataclasses.dataclass(frozen=True)
class SgdMomentum(Sgd):
    """SGD whose direction is m_t = momentum * m_(t-1) + gradient, as in PyTorch (no dampening, no Nesterov)."""

    momentum: float = hyperparameter(0.9, "decay of the sum of directions", low=0.0, below=1.0)

    def direction(self, hyper):
        return optax.trace(hyper["momentum"])


@refusing
@dataclasses.dataclass(frozen=True)
class RmsProp(Optimizer):
    """PyTorch's RMSprop: gradient over (root of the mean of its square, plus eps), then momentum.

    Optax's own default differs in the decay (0.9) and puts eps under the root.

    Source: Tieleman and Hinton 2012, lecture 6.5; torch.optim.RMSprop.
    """

    learning_rate: float = hyperparameter(5e-4, "step size after warm-up", low=0.0, label="learning rate")
    momentum: float = hyperparameter(0.0, "decay of the sum of directions", low=0.0, below=1.0)
    b2: float = hyperparameter(0.99, "decay of the mean of the gradient's square", low=0.0, below=1.0, label="beta 2")
    eps: float = hyperparameter(1e-8, "added to the root", low=0.0)

    def direction(self, hyper):
        scaled = optax.scale_by_rms(hyper["b2"], hyper["eps"], eps_in_sqrt=False)
        return optax.chain(scaled, optax.trace(hyper["momentum"]))
