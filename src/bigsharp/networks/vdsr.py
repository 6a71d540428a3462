"""VDSR: a very deep network that predicts the residual, one model for all scales."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from bigsharp import limits
from bigsharp.networks.convolution import convolve_relu
from bigsharp.networks.network import Network, conv3x3
from bigsharp.weights.file import Graph


class VDSR(Network):
    """Very deep super-resolution network.

    Parameters
    ----------
    depth : int
        Convolutions, at least 2.
    features : int
        Channels between them.
    residual : bool
        Whether the network predicts HR − ILR (the paper's choice) or HR itself.

    References
    ----------
    J. Kim, J. K. Lee, K. M. Lee, "Accurate image super-resolution using very deep convolutional
    networks", CVPR 2016, section 3.
    """

    def __init__(self, depth: int = 20, features: int = 64, residual: bool = True) -> None:
        if not (2 <= depth <= limits.LAYERS and 1 <= features <= limits.CHANNELS):
            raise ValueError(
                f"VDSR needs depth ≥ 2 and features ≥ 1, at most {limits.LAYERS} and "
                f"{limits.CHANNELS}, not {depth} and {features}"
            )
        super().__init__(depth=depth, features=features, residual=residual)
        self.depth = depth
        self.residual = residual
        channels = [1, *[features] * (depth - 1), 1]
        self.layers = nn.ModuleList(conv3x3(i, o) for i, o in pairwise(channels))
        if residual:
            # Start from bicubic: the first steps then need not unlearn a random picture.
            nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]

    @property
    def graph(self) -> Graph:
        """A stack."""
        last = self.depth - 1
        layers = tuple((f"layers.{number}", number) for number in range(last))
        return Graph(layers, ((f"layers.{last}", last, 1.0),), self.residual)

    @property
    def receptive_field(self) -> int:
        """2D + 1 (section 3.1 of the paper)."""
        return 2 * self.depth + 1

    @property
    def pairs(self) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
        """Every layer and the next."""
        return list(pairwise(self.layers))  # type: ignore[arg-type]

    def forward(self, ilr: Tensor) -> Tensor:
        """Restore `ilr`, (N, 1, H, W) → (N, 1, H, W)."""
        x = convolve_relu(self.layers[:1], ilr)  # (N, features, H, W)
        x = convolve_relu(self.layers[1:-1], x)
        x = self.layers[-1](x)  # (N, 1, H, W)
        return ilr + x if self.residual else x
