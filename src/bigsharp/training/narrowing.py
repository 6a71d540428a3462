"""The weakest filters of a network's middle layers, left out.

What is left of a VDSR then fits into the one recursion of a DRCN (`bigsharp.training.folding`). The
filters stay in their places as zeros, and no gradient reaches them: training goes on as before, and
as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bigsharp.networks.vdsr import VDSR


@torch.no_grad()
def narrow(network: VDSR, count: int, ilr: Tensor) -> None:
    """Leave `count` filters in each layer from the second to the last but two, in place.

    Those go that matter least to the next layer: by the variance of what they answer, times the
    squares of the weights that read it. Their mean goes into the next layer's bias.

    Parameters
    ----------
    network : VDSR
    count : int
    ilr : Tensor, shape (N, 1, H, W)
        What the answers are measured on.
    """
    x = F.relu(network.layers[0](ilr))
    for layer, reader in network.pairs[1:-1]:
        x = F.relu(layer(x))  # (N, features, H, W)
        variance, mean = torch.var_mean(x, dim=(0, 2, 3))
        strength = variance * reader.weight.square().sum(dim=(0, 2, 3))
        weakest = strength.argsort()[: max(0, len(strength) - count)]
        assert layer.bias is not None
        assert reader.bias is not None
        reader.bias += reader.weight[:, weakest].sum(dim=(2, 3)) @ mean[weakest]
        for values in (layer.weight, layer.bias, x.transpose(0, 1)):
            values[weakest] = 0
        reader.weight[:, weakest] = 0
