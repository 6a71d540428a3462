"""Patches cut out of training images and spoiled, on the device.

The whole training set lies in device memory as uint8 luma.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bigsharp.image.arrays import Array
from bigsharp.training.places import ByResidual, Evenly, Places
from bigsharp.training.spoiling import Cut, Spoiling


class PatchSampler:
    """Endless batches of (input, HR) patches, all strengths mixed.

    Parameters
    ----------
    images : list of ndarray of uint8, shape (H, W)
        Their sides are at least ``patch + spoiling.phases - 1``.
    spoiling : Spoiling
        What makes the network's input.
    patch : int
        Side of a patch in HR pixels.
    device : torch.device
    seed : int
    part : slice
        Which patches of each batch to make; the random numbers of all are drawn.
    by_residual : bool
        Cut patches in proportion to what bicubic loses there.

    Notes
    -----
    Each image is continued by its border pixels over the spoiling's margin: a patch's ILR is that
    of the whole image, whose border bicubic continues the same way, and patches reach into every
    corner. A patch starts at any phase of the LR grid, or of JPEG's.
    """

    def __init__(
        self,
        images: Sequence[Array],
        spoiling: Spoiling,
        patch: int,
        device: torch.device,
        seed: int,
        part: slice = slice(None),
        by_residual: bool = False,
    ) -> None:
        self.spoiling, self.patch, self.part = spoiling, patch, part
        reach = patch + spoiling.phases - 1
        self.side = reach + 2 * spoiling.margin
        self.places: Places = (ByResidual if by_residual else Evenly)(images, reach, device)
        padded = [np.pad(image, spoiling.margin, mode="edge") for image in images]
        sizes = np.array([image.shape for image in padded])
        areas = sizes.prod(axis=1)
        self.pixels = torch.from_numpy(np.concatenate([i.ravel() for i in padded])).to(device)
        self.starts = torch.from_numpy(np.cumsum(areas) - areas).to(device)
        self.widths = torch.from_numpy(sizes[:, 1]).to(device)
        #: Names the training images: another list of them would give another run.
        self.digest = hashlib.sha256(self.pixels.cpu().numpy().tobytes()).hexdigest()
        self.generator = torch.Generator(device).manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw `count` patches and make those of `part`: input and HR, (N, 1, patch, patch)."""
        device = self.pixels.device
        # One draw decides image, place, symmetry, phase and strength of each patch.
        draw = torch.rand((count, 7), generator=self.generator, device=device, dtype=torch.float64)
        draw = draw[self.part]
        noise = None
        if self.spoiling.is_random:
            shape = (count, self.patch, self.patch)
            noise = torch.randn(shape, generator=self.generator, device=device)[self.part]
        region = self._turned(self._cut(draw[:, :3]), draw[:, 3])  # (N, side, side)
        steps = torch.arange(self.patch, device=device)
        first = self.spoiling.margin + (draw[:, 4:6] * self.spoiling.phases).long()
        rows, columns = (first[:, k, None] + steps for k in (0, 1))  # each (N, patch)
        cut = Cut(region, rows, columns, draw[:, 6], noise)
        return self.spoiling(cut)[:, None], cut.patches[:, None]

    def _cut(self, draw: Tensor) -> Tensor:
        """Squares of HR luma with their margin, (N, side, side) in [0, 1]."""
        image, top, left = self.places(draw)
        width = self.widths[image]
        corner = self.starts[image] + top * width + left
        steps = torch.arange(self.side, device=draw.device)
        index = corner[:, None, None] + steps[:, None] * width[:, None, None] + steps
        return self.pixels[index].float() / 255

    def _turned(self, region: Tensor, draw: Tensor) -> Tensor:
        """Flip and transpose each square: one of the 8 symmetries of the square."""
        which = (draw * 8).long()[:, None, None]
        region = torch.where(which % 2 == 1, region.flip(1), region)
        region = torch.where(which // 2 % 2 == 1, region.flip(2), region)
        return torch.where(which >= 4, region.mT, region)
