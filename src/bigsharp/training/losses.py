"""What is minimised: the difference of the output, and of every supervised prediction, from HR."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bigsharp.networks.network import Network

#: In the place of an input's mean square error where that is less: a grey level of 255, squared.
LEAST = 255**-2


def charbonnier(difference: Tensor, before: Tensor) -> Tensor:
    """Smooth L1, √(d² + ε²) with ε = 0.001 (Lai et al., LapSRN, 2017)."""
    return (difference.square() + 1e-6).sqrt().mean()


def relative(difference: Tensor, before: Tensor) -> Tensor:
    """A patch's mean square error, divided by that of the input; the mean over the patches.

    A mean PSNR is the mean of logarithms: a picture's squares count the less the more there is of
    them. Under "mse" the few textured ones decide; here all do.
    """
    within = (-3, -2, -1)
    spoiled = before.square().mean(dim=within).clamp(min=LEAST)
    return (difference.square().mean(dim=within) / spoiled).mean()


def euclidean(difference: Tensor, before: Tensor) -> Tensor:
    """Half the squares summed over a patch, the mean over the patches: what the papers' rates mean.

    Kim et al., VDSR, section 3.2, and DRCN, equation 7. Of patches of 41 × 41 it is 840 times the
    mean square.
    """
    return difference.square().sum(dim=(-3, -2, -1)).mean() / 2


#: By name: of the differences of the output and of the input from HR, (…, N, 1, H, W).
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": lambda difference, before: difference.abs().mean(),
    "mse": lambda difference, before: difference.square().mean(),
    "relative": relative,
    "charbonnier": charbonnier,
    "euclidean": euclidean,
}


class Supervision(nn.Module):
    """A network and its loss as one module, so that it can be compiled or spread over processes.

    Parameters
    ----------
    network : Network
    rim : int
        Pixels along the border of a patch that do not count.
    autocast : torch.dtype
        The convolutions' type; float32 leaves everything as it is.

    References
    ----------
    Kim et al., DRCN, CVPR 2016, equations 7 and 8: α · (mean over the recursions' losses) +
    (1 − α) · (the output's loss). The weight decay of equation 8 is the optimizer's.
    """

    def __init__(
        self, network: Network, rim: int = 0, autocast: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.inside = (..., slice(rim, -rim or None), slice(rim, -rim or None))
        self.network = network
        self.autocast = autocast

    def forward(
        self, ilr: Tensor, hr: Tensor, alpha: Tensor, loss: str, chosen: Sequence[int] = ()
    ) -> Tensor:
        """The loss, a scalar.

        Parameters
        ----------
        ilr, hr : Tensor, shape (N, 1, H, W)
        alpha : Tensor, scalar
        loss : str
            A key of `LOSSES`.
        chosen : sequence of int
            The predictions that are made and supervised; all by default.
        """
        mixed = self.autocast != torch.float32
        with torch.autocast(ilr.device.type, self.autocast, enabled=mixed):
            predictions = self.network.predictions(ilr, chosen)  # (P, N, 1, H, W)
            output = self.network.combine(predictions, chosen)
        before = (ilr - hr)[self.inside]
        total = LOSSES[loss]((output - hr)[self.inside], before)
        if len(predictions) == 1:
            return total
        return alpha * LOSSES[loss]((predictions - hr)[self.inside], before) + (1 - alpha) * total
