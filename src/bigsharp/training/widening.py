"""A DRCN of few filters as the start of one with more: what it computes stays the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bigsharp.networks.network import Network

#: Layers by what of them doubles with the width: their filters, and the channels they read.
_FILTERS = ("embedding.0", "embedding.1", "inference", "reconstruction.0")
_CHANNELS = ("embedding.1", "inference", "reconstruction.0", "reconstruction.1")

#: The two halves of a filter part by a random share of this, of the layer's standard deviation.
_PARTING = 0.5


def widened(content: dict[str, Any], network: Network, seed: int) -> dict[str, Any]:
    """Fit a narrower DRCN's checkpoint to a network of twice, four times … its filters.

    Anything else is given back as it is.

    Parameters
    ----------
    content : dict
        What `bigsharp.networks.pack` gave.
    network : Network
        The one to be started.
    seed : int
        Decides how the copies of a filter differ.

    References
    ----------
    T. Chen, I. Goodfellow, J. Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR
    2016, section 2.3; there the copies are told apart by noise, which changes the function.
    """
    wanted, given = network.options.get("filters"), content["options"].get("filters")
    if content["architecture"] != "drcn" or not isinstance(wanted, int):
        return content
    generator = torch.Generator().manual_seed(seed)
    state = content["state"]
    while given < wanted and wanted % given == 0:
        state, given = _doubled(state, generator), 2 * given
    options = content["options"] | {"filters": given}
    return content | {"state": state, "options": options}


def _doubled(state: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Every filter twice; what reads both weighs them by halves that differ by chance."""
    wide = dict(state)
    for layer in _FILTERS:
        for name in (f"{layer}.weight", f"{layer}.bias"):
            wide[name] = torch.cat([wide[name]] * 2)
    for layer in _CHANNELS:
        half = wide[f"{layer}.weight"] / 2
        part = _PARTING * state[f"{layer}.weight"].std()
        part = part * torch.randn(half.shape, generator=generator)
        wide[f"{layer}.weight"] = torch.cat([half + part, half - part], dim=1)
    return wide
