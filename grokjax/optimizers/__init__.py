"""What trains the parameters: optax chains by name, each hyperparameter a per-run value.

Every optimizer is a frozen dataclass; `chain` builds the optax transformation from its hyperparameters, which may be
traced, so that each of them can be an axis of a sweep without recompiling. What an optimizer leaves out at its default,
such as noise of deviation 0, is no part of the program.
"""

from grokjax.optimizers.base import Optimizer
from grokjax.optimizers.chains import Adam, AdamW, RmsProp, Sgd, SgdMomentum
from grokjax.optimizers.groups import in_group, tensor_paths, unmatched
from grokjax.optimizers.muon import Muon
from grokjax.optimizers.transforms import (
    DECAYS,
    Hyperparameters,
    grokfast_ema,
    grokfast_ma,
    normal_like,
    orthogonal_gradient,
)
from grokjax.optimizers.update import apply
from grokjax.optimizers.users import EXTRA_ARGUMENTS, TAKEN, Custom, custom

__all__ = [
    "Adam",
    "AdamW",
    "Custom",
    "DECAYS",
    "EXTRA_ARGUMENTS",
    "Hyperparameters",
    "Muon",
    "OPTIMIZERS",
    "Optimizer",
    "RmsProp",
    "Sgd",
    "SgdMomentum",
    "TAKEN",
    "apply",
    "custom",
    "grokfast_ema",
    "grokfast_ma",
    "in_group",
    "normal_like",
    "orthogonal_gradient",
    "tensor_paths",
    "unmatched",
]

OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": Sgd, "sgd_momentum": SgdMomentum, "rmsprop": RmsProp, "muon": Muon}
"""Optimizers by the name the command line uses."""
