"""Training patches, cut and degraded on the device, and the held-out images.

The whole training set lies in device memory as uint8 luma. A patch is cut out of it with a margin,
and its ILR is two small matrix products, ``A X Aᵀ``: A shrinks and enlarges one axis, and is made
from the same `bigsharp.resize.AxisMap` that upscaling uses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bigsharp import picture, protocol
from bigsharp.arrays import Array
from bigsharp.data import find_images
from bigsharp.errors import BigsharpError
from bigsharp.resize import AxisMap, scaled_size


def read_luma(path: Path) -> Array:
    """The reference luma of a picture file, uint8, shape (H, W)."""
    return protocol.reference(picture.read(path)).astype(np.uint8)


def load_images(
    sets: Sequence[str], holdout: int, smallest: int, root: str | Path | None = None
) -> tuple[list[Array], list[Array]]:
    """Read every image of the sets, and part them into training and held-out images.

    The held-out ones are spread evenly over the list of images whose sides are at least
    `smallest`; the same list always gives the same ones.

    Returns
    -------
    training, held_out : list of ndarray of uint8, shape (H, W)
    """
    images = [read_luma(path) for name in sets for path in find_images(name, root)]
    large = [i for i, image in enumerate(images) if min(image.shape) >= smallest]
    if len(large) < holdout or len(images) == holdout:
        raise BigsharpError(
            f"{', '.join(sets)}: {len(large)} of {len(images)} images are {smallest} pixels or "
            f"more on both sides; too few to hold out {holdout} and train on the rest"
        )
    chosen = {large[(2 * k + 1) * len(large) // (2 * holdout)] for k in range(holdout)}
    training = [image for i, image in enumerate(images) if i not in chosen]
    return training, [images[i] for i in sorted(chosen)]


def blur_matrix(length: int, scale: float) -> Array:
    """Shrink one axis by `scale` and enlarge it back, as a (length, length) matrix."""
    shrunk = scaled_size(length, 1 / scale)
    shrink = AxisMap.bicubic(length, shrunk, 1 / scale).matrix(length)
    enlarge = AxisMap.bicubic(shrunk, length, scale).matrix(shrunk)
    return enlarge @ shrink


class PatchSampler:
    """Endless batches of (ILR, HR) patches, all scales mixed.

    Parameters
    ----------
    images : list of ndarray of uint8, shape (H, W)
        Images smaller than a patch and its margin are continued by their border pixels.
    scales : sequence of float
        Drawn evenly, one a patch.
    patch : int
        Side of a patch in HR pixels.
    device : torch.device
    seed : int

    Notes
    -----
    Images are drawn by their area. The margin is as wide as two bicubic kernels reach, so a patch's
    ILR is that of the whole image, and the patch starts at any phase of the LR grid. Patches do not
    reach into the outermost pixels of an image, a strip as wide as the margin.
    """

    def __init__(
        self,
        images: Sequence[Array],
        scales: Sequence[float],
        patch: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self.patch = patch
        self.margin = math.ceil(4 * max(scales)) + 1
        self.phases = math.ceil(max(scales))
        self.side = patch + 2 * self.margin + self.phases
        padded = [
            np.pad(image, [(0, max(0, self.side - n)) for n in image.shape], mode="edge")
            for image in images
        ]
        sizes = np.array([image.shape for image in padded])
        areas = sizes.prod(axis=1)
        self.pixels = torch.from_numpy(np.concatenate([i.ravel() for i in padded])).to(device)
        self.starts = torch.from_numpy(np.cumsum(areas) - areas).to(device)
        self.sizes = torch.from_numpy(sizes).to(device)
        self.areas = torch.from_numpy(areas / areas.sum()).to(device)
        blurs = np.stack([blur_matrix(self.side, scale) for scale in scales])
        self.blurs = torch.from_numpy(blurs.astype(np.float32)).to(device)
        #: Names the training images: another list of them would give another run.
        self.digest = hashlib.sha256(self.pixels.cpu().numpy().tobytes()).hexdigest()
        self.generator = torch.Generator(device).manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw `count` patches: ILR and HR, each (count, 1, patch, patch) in [0, 1]."""
        region = self._augment(self._cut(count))  # (N, side, side)
        steps = torch.arange(self.patch, device=region.device)
        first = self.margin + self._integers(self.phases, (2, count, 1))
        rows, columns = first + steps  # each (N, patch)
        blur = self.blurs[self._integers(len(self.blurs), (count,))]  # (N, side, side)
        each = torch.arange(count, device=region.device)[:, None]
        ilr = blur[each, rows] @ region @ blur[each, columns].mT
        hr = region[each[..., None], rows[:, :, None], columns[:, None, :]]
        return ilr[:, None], hr[:, None]

    def _cut(self, count: int) -> Tensor:
        """Squares of HR luma with their margin, (N, side, side) in [0, 1]."""
        chosen = torch.multinomial(self.areas, count, replacement=True, generator=self.generator)
        room = self.sizes[chosen] - self.side + 1  # (N, 2)
        where = torch.rand((count, 2), generator=self.generator, device=room.device)
        top, left = (where * room).long().T
        width = self.sizes[chosen, 1]
        corner = self.starts[chosen] + top * width + left
        steps = torch.arange(self.side, device=room.device)
        index = corner[:, None, None] + steps[:, None] * width[:, None, None] + steps
        return self.pixels[index].float() / 255

    def _augment(self, region: Tensor) -> Tensor:
        """Flip and transpose each square at random: the 8 symmetries of the square."""
        coins = self._integers(2, (3, len(region), 1, 1)).bool()
        region = torch.where(coins[0], region.flip(1), region)
        region = torch.where(coins[1], region.flip(2), region)
        return torch.where(coins[2], region.mT, region)

    def _integers(self, stop: int, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(stop, shape, generator=self.generator, device=self.generator.device)


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
        border = math.ceil(self.scale)
        inside = (..., slice(border, -border), slice(border, -border))
        difference = (restored * 255).round().clip(0, 255) - self.hr * 255
        error = difference[inside].square().mean(dim=(1, 2, 3))
        return float((10 * torch.log10(255**2 / error)).mean())
