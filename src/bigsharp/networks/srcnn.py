"""SRCNN: three convolutions, one model a scale."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from bigsharp import limits
from bigsharp.networks.network import Network
from bigsharp.weights.file import Graph


class SRCNN(Network):
    """Super-resolution convolutional network.

    Every layer keeps the size: its input is continued by its border pixels (with zeros, flat black
    would get a frame), where the authors' code let the border go.

    Parameters
    ----------
    kernels : sequence of 3 odd ints
        Filter sizes: (9, 1, 5), which sees 13×13, or (9, 5, 5), the variant of the tables.
    filters : (int, int)
        Channels after the first and the second convolution.
    gaussian : bool
        Start from Gaussian weights of standard deviation 0.001, as section 3.3 says; by default
        from bicubic, which the first filter of each layer hands through.

    References
    ----------
    C. Dong, C. C. Loy, K. He, X. Tang, "Image super-resolution using deep convolutional
    networks", IEEE TPAMI 38(2), 2016, section 3.
    """

    def __init__(
        self,
        kernels: tuple[int, int, int] = (9, 1, 5),
        filters: tuple[int, int] = (64, 32),
        gaussian: bool = False,
    ) -> None:
        kernels, filters = tuple(kernels), tuple(filters)  # type: ignore[assignment]
        if len(kernels) != 3 or not all(k % 2 and 1 <= k <= limits.KERNEL for k in kernels):
            raise ValueError(
                f"SRCNN needs three odd kernel sizes, at most {limits.KERNEL}, not {kernels}"
            )
        if len(filters) != 2 or not all(1 <= f <= limits.CHANNELS for f in filters):
            raise ValueError(
                f"SRCNN needs two filter counts ≥ 1, at most {limits.CHANNELS}, not {filters}"
            )
        start = {"gaussian": True} if gaussian else {}
        super().__init__(kernels=list(kernels), filters=list(filters), **start)
        channels = [1, *filters, 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, k, padding=k // 2, padding_mode="replicate")
            for i, o, k in zip(channels[:-1], channels[1:], kernels, strict=True)
        )
        for layer in self.layers:
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            if gaussian:
                nn.init.normal_(layer.weight, std=0.001)  # type: ignore[arg-type]
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
                nn.init.dirac_(layer.weight[:1])  # type: ignore[index]
        if not gaussian:
            nn.init.zeros_(self.layers[-1].weight[:, 1:])  # type: ignore[index]

    @property
    def graph(self) -> Graph:
        """A stack."""
        return Graph((("layers.0", 0), ("layers.1", 1)), (("layers.2", 2, 1.0),), False, "edge")

    @property
    def receptive_field(self) -> int:
        """The kernels laid end to end: f₁ + f₂ + f₃ − 2."""
        return int(sum(self.options["kernels"])) - 2

    @property
    def pairs(self) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
        """Every layer and the next."""
        return list(pairwise(self.layers))  # type: ignore[arg-type]

    def forward(self, ilr: Tensor) -> Tensor:
        """Restore `ilr`, (N, 1, H, W) → (N, 1, H, W)."""
        x = F.relu(self.layers[0](ilr), inplace=True)  # patch extraction, (N, 64, H, W)
        x = F.relu(self.layers[1](x), inplace=True)  # non-linear mapping, (N, 32, H, W)
        return self.layers[2](x)  # reconstruction, (N, 1, H, W)
