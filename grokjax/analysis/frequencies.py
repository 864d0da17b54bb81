"""Key frequencies: those that a network computes with."""

from typing import Any

import numpy as np
import xarray as xr

KEY_SHARE = 0.25
"""Of the largest norm; a component above it is a key."""

SINGLE_SHARE = 0.85
"""Of a neuron's variance; one that has as much in a single frequency is described by it."""


def key_frequencies(spectrum: xr.DataArray, share: float = KEY_SHARE) -> xr.DataArray:
    """The components whose norm exceeds a quarter of the largest.

    Where most components do, the spectrum is flat and there are none: so it is in a network that has learned nothing,
    and early in training. Their number is not fixed otherwise. Use those of the final model for every snapshot.

    Args:
      spectrum: [..., components], by `output_spectrum`; log that of the embedding beside it. For a model without an
        output map, the square root of its `answer_variance` serves.
      share: of the largest norm, between 0 and 1.

    Returns:
      [..., components] bool.

    Raises:
      ValueError: for a share out of range.

    Source: Nanda et al. 2023, arXiv:2301.05217; that a flat spectrum has no keys is ours.
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share} is out of range: it is a part of the largest norm. Try {KEY_SHARE}.")
    dim = spectrum.dims[-1]
    above = spectrum > share * spectrum.max(dim)
    flat = 2 * above.sum(dim) > spectrum.sizes[dim]
    return (above & ~flat).transpose(*spectrum.dims).assign_attrs(long_name=f"key {dim}", units="1")


def neuron_frequencies(shares: xr.DataArray, least: float = SINGLE_SHARE) -> xr.Dataset:
    """What the neurons say of the frequencies: the best of each, and how many are described by one.

    Args:
      shares: [..., neurons, components], by `neuron_variance`.
      least: share of its variance from which a neuron is described by its best frequency.

    Returns:
      A dataset: `best` [..., neurons], the label of the best component (that of the first for a constant neuron);
      `share` [..., neurons], its share of the variance, NaN for a constant neuron; `described` [...], the share of all
      neurons with at least `least`; `neurons` [..., components], the number of those by component.
    """
    dim = shares.dims[-1]
    known = shares.fillna(-1)
    best, share = known.idxmax(dim), shares.max(dim)
    described = share >= least
    per_component = ((best == shares[dim]) & described).sum("neuron")
    return xr.Dataset(
        {
            "best": best.assign_attrs(long_name=f"best {dim} of the neuron", units="1"),
            "share": share.assign_attrs(long_name=f"share of variance in the best {dim}", units="1"),
            "described": described.mean("neuron").assign_attrs(
                long_name=f"share of neurons with a single {dim}", units="1"
            ),
            "neurons": per_component.transpose(*shares.dims[:-2], dim).assign_attrs(
                long_name=f"neurons with a single {dim}", units="1"
            ),
        }
    )


def labels_of(keys: xr.DataArray) -> list[Any]:
    """The labels of the keys of one network, as a list.

    Args:
      keys: [components] bool, with their labels.
    """
    return keys[keys.dims[0]].values[np.asarray(keys)].tolist()
