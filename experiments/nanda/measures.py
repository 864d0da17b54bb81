"""What is read off the trained networks of modular addition: key frequencies, and progress measures over training.

The key frequencies are those of the final parameters, and the same for every snapshot. All losses are in float64.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from grokjax.analysis import ablations, frequencies, groups, progress, spectra, square, variance
from grokjax.analysis.groups import Group
from grokjax.live import LiveRun

SHOWN = 4
"""Neurons of which the activations over all pairs are kept."""


def measure(snapshots: Sequence[LiveRun]) -> xr.Dataset:
    """What the network of a run computes, and when it came to compute it.

    Args:
      snapshots: of one run, in order of step, the final one last.

    Returns:
      A dataset. Of each snapshot: `restricted_loss` on all rows and `restricted_test_loss` [snapshot], `excluded_loss`
      on training rows [snapshot], `excluded_loss_each`, `logit_variance` and `embedding_norm` [snapshot, frequency]. Of
      the final parameters: `key` and `embedding_key` [frequency], `key_logit_variance`, the test losses
      `whole_test_loss`, `test_loss_without_keys` and `test_loss_of_keys_alone`, and what `of_units` returns.
    """
    final = snapshots[-1]
    group, pairs = groups.of(final.config.task), square.operands(final.table)
    train = square.square_mask(final.train_rows, pairs)
    keys = frequencies.key_frequencies(spectra.output_spectrum(spectra.output_map(final.params), group))

    def over_training(run: LiveRun) -> xr.Dataset:
        logits = logits_of(run, pairs)
        losses = progress.progress(logits, train, keys, group)
        found = losses[["excluded_loss", "excluded_loss_each"]]
        found["restricted_loss"] = losses["restricted_loss"].sel(part="all", drop=True)
        found["restricted_test_loss"] = losses["restricted_loss"].sel(part="test", drop=True)
        found["logit_variance"] = variance.logit_variance(logits, group)
        found["embedding_norm"] = spectra.embedding_spectrum(run.params["embedding"], group)
        return found.expand_dims(snapshot=[run.step])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # NumPy and XLA release Python's lock as they work
        found = xr.concat(list(pool.map(over_training, snapshots)), "snapshot", join="exact")
    last = found.isel(snapshot=-1, drop=True)
    found["key"], found["embedding_key"] = keys, frequencies.key_frequencies(last["embedding_norm"])
    found["key_logit_variance"] = last["logit_variance"].where(keys).sum()
    lost = ablations.ablations(logits_of(final, pairs), train, keys, group).sel(part="test", drop=True)
    names = {
        "loss": "whole_test_loss",
        "without_keys": "test_loss_without_keys",
        "only_keys": "test_loss_of_keys_alone",
    }
    return found.merge(lost.rename(names)).merge(of_units(final, group, pairs))


def logits_of(run: LiveRun, pairs: Int[np.ndarray, "rows 2"]) -> Float[np.ndarray, "a b classes"]:
    """The logits of a run over all pairs of operands."""
    return square.square(np.asarray(run.logits()[:, 0]), pairs)


def of_units(run: LiveRun, group: Group, pairs: Int[np.ndarray, "rows 2"]) -> xr.Dataset:
    """What neurons and heads are functions of, in a decoder of one layer.

    Returns:
      A dataset: `single_frequency_neurons`, the share of neurons of which one frequency explains 85 % of the variance;
      `neuron_frequency` and `neuron_share` [neuron], the best frequency and what it explains; `neuron_map` [shown, a,
      b], activations of the neurons of largest variance, each of another best frequency as far as there are some,
      relative to their largest, with `shown_neuron` [shown]; `attention_map` [head, a, b], from '=' to the first
      operand; `neuron_plane` and `attention_plane` [wave_a, wave_b], the norm over neurons, and over heads, of both in
      the basis of cosines and sines of a and of b.
    """
    cache = run.cache()
    neurons = square.square(np.asarray(cache["block_0.mlp_out.input"])[:, 0], pairs).astype(np.float64)
    attention = square.square(np.asarray(cache["block_0.attention"])[:, 0, 0], pairs).astype(np.float64)
    said = frequencies.neuron_frequencies(variance.neuron_variance(neurons, group))
    strongest = np.argsort(-neurons.var((0, 1)), kind="stable")
    best = said["best"].values
    firsts = [n for i, n in enumerate(strongest) if best[n] not in best[strongest[:i]]]
    shown = [*firsts, *(n for n in strongest if n not in firsts)][:SHOWN]
    maps = np.moveaxis(neurons[..., shown], -1, 0)
    found = {
        "single_frequency_neurons": said["described"],
        "neuron_frequency": ("neuron", best),
        "neuron_share": ("neuron", said["share"].values),
        "shown_neuron": ("shown", np.array(shown)),
        "neuron_map": (("shown", "a", "b"), _rounded(maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-30))),
        "attention_map": (("head", "a", "b"), _rounded(np.moveaxis(attention, -1, 0))),
    }
    for name, values in (("neuron", neurons), ("attention", attention)):
        plane = np.linalg.norm(spectra.plane(group.take(values, 0, 1), group), axis=-1)
        plane[0, 0] = 0  # the mean
        found[f"{name}_plane"] = (("wave_a", "wave_b"), _rounded(plane / np.maximum(plane.max(), 1e-30)))
    return xr.Dataset(found)


def _rounded(values: np.ndarray) -> np.ndarray:
    """To three decimals, all that a picture shows, in a quarter of the bytes."""
    return np.round(values, 3)
