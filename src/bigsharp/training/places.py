"""Where patches are cut out of the training images: anywhere, or where bicubic loses most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bigsharp.image.arrays import Array
from bigsharp.image.resize import imresize

#: The scale at which bicubic is tried.
SCALE = 3

#: Rows and columns between two places that are weighed.
STRIDE = 8

#: Added to a place's mean square error, in grey levels: flat ground is cut out, too, if rarely.
LEAST = 0.1


class Places(Protocol):
    """What draws places; images by their area, whatever is drawn within."""

    def __call__(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image, top and left of a square.

        Parameters
        ----------
        draw : Tensor of float64, shape (N, 3), in [0, 1)
            Drawn evenly.

        Returns
        -------
        image, top, left : Tensor of int64, shape (N,)
        """
        ...


class Evenly:
    """Every place of an image as often.

    Parameters
    ----------
    images : sequence of ndarray, shape (H, W)
    side : int
        Of the squares, in pixels.
    device : torch.device
    """

    def __init__(self, images: Sequence[Array], side: int, device: torch.device) -> None:
        self._shares = torch.from_numpy(_shares(images).cumsum()).to(device)
        self._rooms = _rooms(images, side, device)

    def __call__(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Places` says."""
        image = _at(self._shares, draw[:, 0])
        top, left = (draw[:, 1:] * self._rooms[image]).long().T
        return image, top, left


class ByResidual:
    """Within an image, places in proportion to what bicubic at ×3 loses there, squared.

    A step's gradient is as long as its patches are hard; most places are not, and the few that are
    decide which way it goes. Drawn so, and each divided by what it weighs ("relative"), patches
    say the same on average, and differ less from batch to batch.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (H, W)
    side : int
        Of the squares, in pixels.
    device : torch.device

    References
    ----------
    A. Katharopoulos, F. Fleuret, "Not all samples are created equal: deep learning with importance
    sampling", ICML 2018.
    """

    def __init__(self, images: Sequence[Array], side: int, device: torch.device) -> None:
        self._rooms = _rooms(images, side, device)
        weights, across = [], []
        for share, image in zip(_shares(images), images, strict=True):
            means = residual(image, side)
            weights.append((share * means / means.sum()).ravel())
            across.append(means.shape[1])
        first = np.cumsum([0, *map(len, weights)])
        self._shares = torch.from_numpy(np.concatenate(weights).cumsum()).to(device)
        self._first = torch.from_numpy(first).to(device)
        self._across = torch.tensor(across, device=device)

    def __call__(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Places` says."""
        place = _at(self._shares, draw[:, 0])
        image = torch.searchsorted(self._first, place, right=True) - 1
        within = place - self._first[image]
        corner = torch.stack([within // self._across[image], within % self._across[image]], 1)
        corner = corner * STRIDE + (draw[:, 1:] * STRIDE).long()
        top, left = corner.minimum(self._rooms[image] - 1).T
        return image, top, left


def residual(image: Array, side: int) -> Array:
    """What bicubic at ×3 loses within squares, in grey levels, squared; the mean.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W)
    side : int
        Of the squares; at most H and W.

    Returns
    -------
    ndarray of float64, shape (⌊(H − side) / 8⌋ + 1, ⌊(W − side) / 8⌋ + 1)
        Of the squares whose corners are 8 rows and columns apart.
    """
    values = image.astype(np.float32)
    lost = torch.from_numpy((values - imresize(imresize(values, 1 / SCALE), size=image.shape)) ** 2)
    rows = F.avg_pool2d(lost[None], (side, 1), (STRIDE, 1))
    return F.avg_pool2d(rows, (1, side), (1, STRIDE))[0].double().numpy() + LEAST


def _shares(images: Sequence[Array]) -> Array:
    """What each image has of all the pixels."""
    areas = np.array([image.size for image in images], float)
    return areas / areas.sum()


def _rooms(images: Sequence[Array], side: int, device: torch.device) -> Tensor:
    """Rows and columns at which a square can begin, (images, 2)."""
    rooms = [[length - side + 1 for length in image.shape] for image in images]
    return torch.tensor(rooms, device=device)


def _at(shares: Tensor, draw: Tensor) -> Tensor:
    """Which of summed shares each number falls to; the last sum may be a rounding short of 1."""
    found = torch.searchsorted(shares, draw.contiguous(), right=True)
    return found.clamp(max=len(shares) - 1)
