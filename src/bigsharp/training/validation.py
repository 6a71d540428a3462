"""Held-out images, measured as the published protocol measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigsharp.image.arrays import Array
from bigsharp.networks.network import Network
from bigsharp.scoring import protocol


@dataclass(frozen=True)
class ValidationSet:
    """Held-out images at one scale, as the network sees them.

    Attributes
    ----------
    scale : float
    ilr, hr : Tensor, shape (N, 1, H, W), in [0, 1]
    """

    scale: float
    ilr: Tensor
    hr: Tensor

    @classmethod
    def make(
        cls, images: Sequence[Array], scale: float, crop: int, device: torch.device
    ) -> ValidationSet:
        """Degrade the centres of the held-out images, under the published protocol."""
        published = protocol.PROTOCOLS["published"]
        pairs = []
        for image in images:
            top, left = ((n - crop) // 2 for n in image.shape)
            hr = protocol.crop(image[top : top + crop, left : left + crop].astype(float), scale)
            lr = protocol.degrade(hr, scale, published)
            pairs.append((protocol.interpolate(lr, hr.shape), hr))
        ilr, hr_all = (np.stack(side)[:, None] / 255 for side in zip(*pairs, strict=True))
        return cls(
            scale,
            torch.from_numpy(ilr.astype(np.float32)).to(device),
            torch.from_numpy(hr_all.astype(np.float32)).to(device),
        )

    def psnr(self, restored: Tensor) -> float:
        """Mean PSNR of the restored images, rounded, clipped and shaved as published."""
        border = protocol.PROTOCOLS["published"].shaved(self.scale)
        inside = (..., slice(border, -border), slice(border, -border))
        # `protocol.comparable` on the device: rounded half up, and clipped.
        difference = (restored * 255 + 0.5).floor().clip(0, 255) - self.hr * 255
        error = difference[inside].square().mean(dim=(1, 2, 3))
        return float((10 * torch.log10(255**2 / error)).mean())

    @torch.inference_mode()
    def restore(self, network: Network) -> Tensor:
        """The images as the network restores them, four at a time, (N, 1, H, W)."""
        return torch.cat([network(part) for part in torch.split(self.ilr, 4)])
