"""Filters that have died, started anew.

A filter whose pre-activation is negative everywhere passes on nothing and, its gradient being zero,
never comes back. Its place can be used without changing what the network computes: new weights in,
zeros out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigsharp.networks.network import Network


@dataclass
class Seen:
    """What a convolution was seen to do.

    Attributes
    ----------
    fires : Tensor of bool, shape (filters,)
        Which answers are above 0 anywhere.
    mean : Tensor, shape (inputs,)
        What it read: a vector along the mean over all pixels.
    """

    fires: Tensor
    mean: Tensor


@torch.no_grad()
def recycle(network: Network, average: Network | None, shown: Iterable[Tensor], seed: int) -> int:
    """Start every dead filter anew, in place, and give their number.

    Dead are those that pass nothing on of any image that is shown; of one batch, many do not that
    are only rare. Filters of zeros were left out (`bigsharp.training.narrowing`), and stay so.

    The new weights are random, as long as those of the living filters of the layer, and across the
    mean of what it reads: features are positive, and a filter along their mean is on, or off, for
    all pictures alike. The new bias is 0, and so is what the next layer makes of it: the network
    computes what it did. Its moving average takes these values over.

    Parameters
    ----------
    network : Network
        Layers are those of `Network.pairs`.
    average : Network, optional
        The moving average of its weights.
    shown : iterable of Tensor, shape (N, 1, H, W)
        ILR images.
    seed : int
        Decides the new weights.

    References
    ----------
    G. Sokar et al., "The dormant neuron phenomenon in deep reinforcement learning", ICML 2023,
    algorithm 1 (ReDo).
    """
    generator = torch.Generator().manual_seed(seed)
    seen = look(network, shown)
    copies = network.pairs if average is None else average.pairs
    count = 0
    # From the last on: what new filters make of others that are new is 0, too.
    both = list(zip(network.pairs, copies, strict=True))
    for (layer, reader), (layer_copy, reader_copy) in reversed(both):
        dead = ~seen[layer].fires & layer.weight.flatten(1).any(dim=1)
        if not 0 < int(dead.sum()) < len(dead):
            continue
        layer.weight[dead] = new_filters(layer.weight, dead, seen[layer].mean, generator)
        layer.bias[dead] = 0  # type: ignore[index]
        reader.weight[:, dead] = 0
        layer_copy.weight[dead] = layer.weight[dead]
        layer_copy.bias[dead] = 0  # type: ignore[index]
        reader_copy.weight[:, dead] = 0
        count += int(dead.sum())
    return count


@torch.no_grad()
def look(network: Network, shown: Iterable[Tensor]) -> Mapping[nn.Module, Seen]:
    """What the layers of `Network.pairs` do with some images."""
    seen: dict[nn.Module, Seen] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        now = Seen((output > 0).amax(dim=(0, 2, 3)), inputs[0].sum(dim=(0, 2, 3)))
        before = seen.get(layer)
        seen[layer] = Seen(before.fires | now.fires, before.mean + now.mean) if before else now

    hooks = [layer.register_forward_hook(note) for layer, _ in network.pairs]
    try:
        for ilr in shown:
            network(ilr)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def new_filters(weight: Tensor, dead: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """Random filters, one for each dead one: as long as the living (the median), across `mean`."""
    length = weight[~dead].flatten(1).norm(dim=1).median()
    new = torch.randn((int(dead.sum()), *weight.shape[1:]), generator=generator).to(weight.device)
    along = (mean / (mean.norm() + 1e-12))[:, None, None]
    new -= along * (new * along).sum(dim=(1, 2, 3), keepdim=True) / weight[0, 0].numel()
    return new * (length / new.flatten(1).norm(dim=1))[:, None, None, None]
