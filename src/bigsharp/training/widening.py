"""A DRCN of few filters as the start of one with more: what it computes stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bigsharp.image.arrays import Array
from bigsharp.networks.drcn import DRCN
from bigsharp.networks.network import Network
from bigsharp.weights.file import Packed

#: Layers by what of them doubles with the width: their filters, and the channels they read.
_FILTERS = ("embedding.0", "embedding.1", "inference", "reconstruction.0")
_CHANNELS = ("embedding.1", "inference", "reconstruction.0", "reconstruction.1")

#: The two halves of a filter part by a random share of this, of the layer's standard deviation.
_PARTING = 0.5


def widened(packed: Packed, network: Network, seed: int) -> Packed:
    """Fit a narrower DRCN's weights to a network of twice, four times … its filters.

    Anything else is given back as it is.

    Parameters
    ----------
    packed : Packed
    network : Network
        The one to be started.
    seed : int
        Decides how the copies of a filter differ.

    References
    ----------
    T. Chen, I. Goodfellow, J. Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR
    2016, section 2.3; there the copies are told apart by noise, which changes the function.
    """
    if packed.architecture != "drcn" or not isinstance(network, DRCN):
        return packed
    wanted, given = network.options["filters"], packed.options["filters"]
    random = np.random.default_rng(seed)
    state = packed.state
    while given < wanted and wanted % given == 0:
        state, given = _doubled(state, random), 2 * given
    return replace(packed, options={**packed.options, "filters": given}, state=state)


def _doubled(state: Mapping[str, Array], random: np.random.Generator) -> dict[str, Array]:
    """Every filter twice; what reads both weighs them by halves that differ by chance."""
    wide = dict(state)
    for layer in _FILTERS:
        for name in (f"{layer}.weight", f"{layer}.bias"):
            wide[name] = np.concatenate([wide[name]] * 2)
    for layer in _CHANNELS:
        name = f"{layer}.weight"
        half = wide[name] / 2
        part = _PARTING * state[name].std() * random.standard_normal(half.shape, np.float32)
        wide[name] = np.concatenate([half + part, half - part], axis=1)
    return wide
