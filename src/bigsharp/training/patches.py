"""Patches cut out of training images and degraded, on the device.

The whole training set lies in device memory as uint8 luma. A patch is cut out of it with a margin,
and its ILR is two small matrix products, ``A X Aᵀ``: A shrinks and enlarges one axis, and is made
from the same `bigsharp.image.resize.AxisMap` that upscaling uses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bigsharp.image.arrays import Array
from bigsharp.image.resize import AxisMap, scaled_size


def blur_matrix(length: int, scale: float) -> Array:
    """Shrink one axis by `scale` and enlarge it back, as a (length, length) matrix."""
    shrunk = scaled_size(length, 1 / scale)
    shrink = AxisMap.bicubic(length, shrunk, 1 / scale).matrix(length)
    enlarge = AxisMap.bicubic(shrunk, length, scale).matrix(shrunk)
    return enlarge @ shrink


def smallest_side(patch: int, scales: Sequence[float]) -> int:
    """The shortest side of an image that patches can be cut from."""
    return patch + math.ceil(max(scales)) - 1


class PatchSampler:
    """Endless batches of (ILR, HR) patches, all scales mixed.

    Parameters
    ----------
    images : list of ndarray of uint8, shape (H, W)
        Their sides are at least `smallest_side`.
    scales : sequence of float
        Drawn evenly, one a patch.
    patch : int
        Side of a patch in HR pixels.
    device : torch.device
    seed : int
    part : slice
        Which patches of each batch to make; the random numbers of all are drawn.

    Notes
    -----
    Images are drawn by their area. Each is continued by its border pixels over a margin as wide as
    two bicubic kernels reach: a patch's ILR is that of the whole image, whose border bicubic
    continues the same way, and patches reach into every corner. A patch starts at any phase of the
    LR grid.
    """

    def __init__(
        self,
        images: Sequence[Array],
        scales: Sequence[float],
        patch: int,
        device: torch.device,
        seed: int,
        part: slice = slice(None),
    ) -> None:
        self.patch, self.part = patch, part
        self.margin = math.ceil(4 * max(scales)) + 1
        self.phases = math.ceil(max(scales))
        self.side = smallest_side(patch, scales) + 2 * self.margin
        padded = [np.pad(image, self.margin, mode="edge") for image in images]
        sizes = np.array([image.shape for image in padded])
        areas = sizes.prod(axis=1)
        self.pixels = torch.from_numpy(np.concatenate([i.ravel() for i in padded])).to(device)
        self.starts = torch.from_numpy(np.cumsum(areas) - areas).to(device)
        self.sizes = torch.from_numpy(sizes).to(device)
        shares = np.cumsum([image.size for image in images]) / sum(i.size for i in images)
        self.shares = torch.from_numpy(shares).to(device)
        blurs = np.stack([blur_matrix(self.side, scale) for scale in scales])
        self.blurs = torch.from_numpy(blurs.astype(np.float32)).to(device)
        #: Names the training images: another list of them would give another run.
        self.digest = hashlib.sha256(self.pixels.cpu().numpy().tobytes()).hexdigest()
        self.generator = torch.Generator(device).manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw `count` patches and make those of `part`: ILR and HR, (N, 1, patch, patch)."""
        device = self.pixels.device
        # One draw decides everything: image, place, symmetry, phase and scale of each patch.
        draw = torch.rand((count, 7), generator=self.generator, device=device, dtype=torch.float64)
        draw = draw[self.part]
        region = self._turned(self._cut(draw[:, :3]), draw[:, 3])  # (N, side, side)
        steps = torch.arange(self.patch, device=device)
        first = self.margin + (draw[:, 4:6] * self.phases).long()
        rows, columns = (first[:, k, None] + steps for k in (0, 1))  # each (N, patch)
        blur = self.blurs[(draw[:, 6] * len(self.blurs)).long()]  # (N, side, side)
        each = torch.arange(len(draw), device=device)[:, None]
        ilr = blur[each, rows] @ region @ blur[each, columns].mT
        hr = region[each[..., None], rows[:, :, None], columns[:, None, :]]
        return ilr[:, None], hr[:, None]

    def _cut(self, draw: Tensor) -> Tensor:
        """Squares of HR luma with their margin, (N, side, side) in [0, 1]."""
        chosen = torch.searchsorted(self.shares, draw[:, 0].contiguous(), right=True)
        room = self.sizes[chosen] - self.side + 1  # (N, 2)
        top, left = (draw[:, 1:] * room).long().T
        width = self.sizes[chosen, 1]
        corner = self.starts[chosen] + top * width + left
        steps = torch.arange(self.side, device=draw.device)
        index = corner[:, None, None] + steps[:, None] * width[:, None, None] + steps
        return self.pixels[index].float() / 255

    def _turned(self, region: Tensor, draw: Tensor) -> Tensor:
        """Flip and transpose each square: one of the 8 symmetries of the square."""
        which = (draw * 8).long()[:, None, None]
        region = torch.where(which % 2 == 1, region.flip(1), region)
        region = torch.where(which // 2 % 2 == 1, region.flip(2), region)
        return torch.where(which >= 4, region.mT, region)
