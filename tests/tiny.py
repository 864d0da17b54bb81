"""A sweep that takes a second, shared by the tests."""

import numpy as np

import grokjax as gj
from grokjax.runs import METRICS

DECODER = gj.models.Decoder(num_layers=1, width=16, num_heads=2)
MLP = gj.models.Mlp(num_layers=1, width=16)


def tiny(model=MLP, **changes):
    """A run that takes a second: x+y mod 11, on a model that compiles twice as fast as `DECODER`."""
    values = dict(batch_size=32, steps=60, eval_at="every:20", stop_accuracy=None) | changes
    return gj.Config(
        task=gj.tasks.modular("add", 11),
        model=model,
        optimizer=gj.optimizers.AdamW(learning_rate=3e-3),
        **values,
    )


def train(config=None, num_devices=1, **keywords):
    """The sweep, silent, and on one core unless told otherwise."""
    return gj.sweep(config or tiny(), num_devices=num_devices, progress=False, **keywords)


def run_steps(out):
    """Run-steps that the last process did of those that trained a result."""
    return gj.results.read(out)[1]["trained_by"][-1]["run_steps"]


def same_bits(one, other):
    """Whether the curves of two selections of single runs are identical, bit by bit."""
    return all(np.array_equal(one[name].values.view(np.int32), other[name].values.view(np.int32)) for name in METRICS)
