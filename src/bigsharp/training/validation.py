"""Held-out images, measured as the benchmark measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigsharp.image.arrays import Array
from bigsharp.networks.network import Network
from bigsharp.scoring import protocol
from bigsharp.scoring.degradations import DEGRADATIONS, TASK_OF, bicubic

#: Before a level, in logs.
_SIGNS = {"photo": "q", "noise": "sigma", "jpeg": "q"}


@dataclass(frozen=True)
class ValidationSet:
    """Held-out images under one degradation, as the network sees them.

    Attributes
    ----------
    name : str
        Of the degradation, with its strength: x2, x2q30, sigma25, q10 …
    border : int
        Pixels along the edges that are not scored.
    spoiled, hr : Tensor, shape (N, 1, H, W), in [0, 1] or about
    """

    name: str
    border: int
    spoiled: Tensor
    hr: Tensor

    @classmethod
    def make(
        cls,
        images: Sequence[Array],
        degradation: str,
        scale: float,
        level: float | None,
        crop: int,
        device: torch.device,
    ) -> ValidationSet:
        """Spoil the centres of the held-out images; by a scale under the published protocol."""
        random = np.random.default_rng(0)
        upscales = TASK_OF[degradation] == "upscale"
        pairs = []
        for image in images:
            top, left = ((n - crop) // 2 for n in image.shape)
            hr = protocol.crop(image[top : top + crop, left : left + crop].astype(float), scale)
            if upscales:
                pairs.append((bicubic(hr, scale, level), hr))
            else:
                pairs.append((DEGRADATIONS[degradation](hr, level or 0, random), hr))
        spoiled, hr_all = (np.stack(side)[:, None] / 255 for side in zip(*pairs, strict=True))
        name = f"x{scale:g}" if upscales else ""
        name += "" if level is None else f"{_SIGNS[degradation]}{level:g}"
        return cls(
            name,
            protocol.PROTOCOLS["published"].shaved(scale) if upscales else 0,
            torch.from_numpy(spoiled.astype(np.float32)).to(device),
            torch.from_numpy(hr_all.astype(np.float32)).to(device),
        )

    def psnr(self, restored: Tensor) -> float:
        """Mean PSNR of the restored images, rounded, clipped and shaved as published."""
        inside = (..., *[slice(self.border, -self.border or None)] * 2)
        # `protocol.comparable` on the device: rounded half up, and clipped.
        difference = (restored * 255 + 0.5).floor().clip(0, 255) - self.hr * 255
        error = difference[inside].square().mean(dim=(1, 2, 3))
        return float((10 * torch.log10(255**2 / error)).mean())

    @property
    def batches(self) -> tuple[Tensor, ...]:
        """The spoiled images, four at a time, so that memory is bounded."""
        return torch.split(self.spoiled, 4)

    @torch.inference_mode()
    def restore(self, network: Network) -> Tensor:
        """The images as the network restores them, (N, 1, H, W)."""
        return torch.cat([network(batch) for batch in self.batches])
