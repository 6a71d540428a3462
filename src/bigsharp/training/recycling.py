"""Filters that have died, started anew.

A filter whose pre-activation is negative everywhere passes on nothing and, its gradient being zero,
never comes back. Its place can be used without changing what the network computes: new weights in,
zeros out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bigsharp.networks.network import Network


@torch.no_grad()
def recycle(network: Network, average: Network | None, seed: int) -> int:
    """Start every filter anew whose last gradient was zero, in place, and give their number.

    Its new weights are random, as long as those of the living filters of its layer; its bias is 0,
    and so is what the next layer makes of it. The network computes what it did. Its moving average
    takes these values over.

    Parameters
    ----------
    network : Network
        With the gradients of what shows whether a filter lives; layers are those of
        `Network.pairs`.
    average : Network, optional
        The moving average of its weights.
    seed : int
        Decides the new weights.

    References
    ----------
    G. Sokar et al., "The dormant neuron phenomenon in deep reinforcement learning", ICML 2023,
    algorithm 1 (ReDo).
    """
    generator = torch.Generator().manual_seed(seed)
    copies = network.pairs if average is None else average.pairs
    count = 0
    for (layer, reader), (layer_copy, reader_copy) in zip(network.pairs, copies, strict=True):
        dead = dead_filters(layer)
        if not 0 < int(dead.sum()) < len(dead):
            continue
        layer.weight[dead] = new_filters(layer.weight, dead, generator)
        layer.bias[dead] = 0  # type: ignore[index]
        reader.weight[:, dead] = 0
        layer_copy.weight[dead] = layer.weight[dead]
        layer_copy.bias[dead] = 0  # type: ignore[index]
        reader_copy.weight[:, dead] = 0
        count += int(dead.sum())
    return count


def dead_filters(layer: nn.Conv2d) -> Tensor:
    """Which filters passed nothing on where the gradients come from, bool, shape (filters,).

    The gradient of a bias sums those of every pixel where its filter is active. Filters that are
    zero were left out (`bigsharp.training.narrowing`), and do not count.
    """
    gradient = layer.bias.grad if layer.bias is not None else None
    if gradient is None:
        return torch.zeros(len(layer.weight), dtype=torch.bool, device=layer.weight.device)
    return (gradient == 0) & layer.weight.flatten(1).any(dim=1)


def new_filters(weight: Tensor, dead: Tensor, generator: torch.Generator) -> Tensor:
    """Random filters as long as the living ones (the median), one for each dead one."""
    length = weight[~dead].flatten(1).norm(dim=1).median()
    new = torch.randn((int(dead.sum()), *weight.shape[1:]), generator=generator).to(weight.device)
    return new * (length / new.flatten(1).norm(dim=1))[:, None, None, None]
