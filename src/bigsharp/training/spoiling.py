"""Training patches spoiled on the device; what `bigsharp.scoring.degradations` does to pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bigsharp.image.arrays import Array
from bigsharp.image.resize import AxisMap, scaled_size
from bigsharp.scoring import degradations
from bigsharp.training.recipe import Recipe


@dataclass(frozen=True)
class Cut:
    """Squares cut out of images, in which the patches lie.

    Attributes
    ----------
    region : Tensor, shape (N, side, side), in [0, 1]
    rows, columns : Tensor, shape (N, patch)
        Those of the patch.
    chance : Tensor, shape (N,), in [0, 1)
        Drawn evenly: decides each patch's strength.
    noise : Tensor, shape (N, patch, patch), optional
        Standard normal numbers, for who asks for them.
    """

    region: Tensor
    rows: Tensor
    columns: Tensor
    chance: Tensor
    noise: Tensor | None = None

    @property
    def patches(self) -> Tensor:
        """The patches as they are, (N, patch, patch)."""
        return _inside(self.region, self.rows, self.columns)


class Spoiling(Protocol):
    """What makes a network's input of a patch.

    Attributes
    ----------
    margin : int
        Pixels beyond a patch that decide what becomes of it.
    phases : int
        Places, along an axis, where a patch can begin on the degradation's own grid.
    is_random : bool
        Whether it takes `Cut.noise`.
    """

    margin: int
    phases: int
    is_random: bool

    def __call__(self, cut: Cut) -> Tensor:
        """The spoiled patches, (N, patch, patch), in [0, 1] or about."""
        ...


def _shrink_and_enlarge(length: int, scale: float) -> tuple[Array, Array]:
    """Matrices that shrink one axis by `scale`, and that enlarge it back, float32."""
    shrunk = scaled_size(length, 1 / scale)
    shrink = AxisMap.bicubic(length, shrunk, 1 / scale).matrix(length)
    enlarge = AxisMap.bicubic(shrunk, length, scale).matrix(shrunk)
    return shrink.astype(np.float32), enlarge.astype(np.float32)


class Blur:
    """ILR: two small matrix products, ``A X Aᵀ``, where A shrinks and enlarges one axis.

    A is made from the same `bigsharp.image.resize.AxisMap` that upscaling uses.

    Parameters
    ----------
    scales : sequence of float
        Drawn evenly, one a patch.
    patch : int
        Side of a patch in HR pixels.
    device : torch.device
    """

    is_random = False

    def __init__(self, scales: Sequence[float], patch: int, device: torch.device) -> None:
        # A margin of two bicubic kernels.
        self.margin = math.ceil(4 * max(scales)) + 1
        self.phases = math.ceil(max(scales))
        side = patch + self.phases - 1 + 2 * self.margin
        pairs = (_shrink_and_enlarge(side, scale) for scale in scales)
        blurs = np.stack([enlarge @ shrink for shrink, enlarge in pairs])
        self.blurs = torch.from_numpy(blurs).to(device)

    def __call__(self, cut: Cut) -> Tensor:
        """Blur the patches."""
        blur = self.blurs[(cut.chance * len(self.blurs)).long()]  # (N, side, side)
        each = torch.arange(len(blur), device=blur.device)[:, None]
        return blur[each, cut.rows] @ cut.region @ blur[each, cut.columns].mT


class Noise:
    """Gaussian noise, its standard deviation drawn evenly from a range.

    Parameters
    ----------
    low, high : float
        In grey levels of 255.
    """

    margin, phases, is_random = 0, 1, True

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, cut: Cut) -> Tensor:
        """Add noise to the patches."""
        assert cut.noise is not None
        sigma = (self.low + (self.high - self.low) * cut.chance.float()) / 255
        return cut.patches + sigma[:, None, None] * cut.noise


class Jpeg:
    """JPEG by libjpeg, its quality drawn evenly from a range; patches lie anywhere on its grid.

    Parameters
    ----------
    low, high : float
        Qualities.
    """

    #: The side of a block.
    margin, phases, is_random = 0, 8, False

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = round(low), round(high)

    def __call__(self, cut: Cut) -> Tensor:
        """Compress the squares, and cut the patches out."""
        qualities = self.low + (cut.chance * (self.high - self.low + 1)).long()
        squares = (cut.region * 255).cpu().numpy()
        spoiled = np.stack([
            degradations.jpeg(square, quality)
            for square, quality in zip(squares, qualities.tolist(), strict=True)
        ])  # fmt: skip
        region = torch.from_numpy(spoiled.astype(np.float32) / 255).to(cut.region.device)
        return _inside(region, cut.rows, cut.columns)


class Photo:
    """ILR of an LR image that went through JPEG, or, of a share of the patches, did not.

    Parameters
    ----------
    scales : sequence of float
        Drawn evenly, one a patch.
    low, high : float
        Qualities, drawn evenly.
    clean : float
        The share without JPEG, whose LR image is not rounded either.
    patch : int
        Side of a patch in HR pixels.
    """

    is_random = False

    def __init__(
        self, scales: Sequence[float], low: float, high: float, clean: float, patch: int
    ) -> None:
        self.margin = math.ceil(4 * max(scales)) + 1
        # Of the grid of JPEG's blocks, which is LR.
        self.phases = Jpeg.phases * math.ceil(max(scales))
        self.low, self.high, self.clean = round(low), round(high), clean
        side = patch + self.phases - 1 + 2 * self.margin
        self.maps = [_shrink_and_enlarge(side, scale) for scale in scales]

    def __call__(self, cut: Cut) -> Tensor:
        """Shrink the squares, compress them, and enlarge the patches."""
        regions, rows, columns = (t.cpu().numpy() for t in (cut.region, cut.rows, cut.columns))
        # One number decides three things: its digits are as good as independent.
        places = (cut.chance * len(self.maps)).cpu().numpy()
        patches = [
            self._spoiled(region, place, row, column)
            for region, place, row, column in zip(regions, places, rows, columns, strict=True)
        ]
        return torch.from_numpy(np.stack(patches)).to(cut.region.device)

    def _spoiled(self, region: Array, place: float, rows: Array, columns: Array) -> Array:
        shrink, enlarge = self.maps[int(place)]
        lr = shrink @ region @ shrink.T
        chance = place % 1
        if chance >= self.clean:
            share = (chance - self.clean) / (1 - self.clean)
            quality = self.low + int(share * (self.high - self.low + 1))
            lr = degradations.jpeg(lr * 255, quality).astype(np.float32) / 255
        return enlarge[rows] @ lr @ enlarge[columns].T


def _inside(region: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The patches of squares, by their rows and columns."""
    each = torch.arange(len(region), device=region.device)[:, None, None]
    return region[each, rows[:, :, None], columns[:, None, :]]


def make_spoiling(recipe: Recipe, device: torch.device) -> Spoiling:
    """What a recipe says its patches are spoiled by."""
    if recipe.degradation == "noise":
        return Noise(*recipe.trained_levels)
    if recipe.degradation == "jpeg":
        return Jpeg(*recipe.trained_levels)
    if recipe.degradation == "photo":
        return Photo(recipe.drawn_scales, *recipe.trained_levels, recipe.clean, recipe.patch)
    return Blur(recipe.drawn_scales, recipe.patch, device)
