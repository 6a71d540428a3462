"""How a clean picture is spoiled, the same way in training, validation and scoring."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from PIL import Image

from bigsharp.image.arrays import Array
from bigsharp.scoring import protocol
from bigsharp.scoring.protocol import round_to_8bit
from bigsharp.weights.file import Task

#: What a network is for, by the degradation that it was trained on.
TASK_OF: Mapping[str, Task] = {
    "bicubic": "upscale", "photo": "upscale", "noise": "denoise", "jpeg": "deblock",
}  # fmt: skip


class Degradation(Protocol):
    """What spoils a picture and leaves its size."""

    def __call__(self, hr: Array, strength: float, random: np.random.Generator) -> Array:
        """Spoil a picture.

        Parameters
        ----------
        hr : ndarray, shape (H, W) or (H, W, 3), in [0, 255]
        strength : float
        random : Generator
            Of what is left to chance.

        Returns
        -------
        ndarray of float64, of the same shape
        """
        ...


def bicubic(hr: Array, scale: float, quality: float | None = None) -> Array:
    """The ILR of a cropped picture under the published protocol.

    Parameters
    ----------
    hr : ndarray, shape (H, W), in [0, 255]
    scale : float
    quality : float, optional
        Of JPEG, through which the LR image goes.

    Returns
    -------
    ndarray of float64, shape (H, W)
        In [0, 255], beyond which bicubic may overshoot.
    """
    lr = protocol.degrade(hr, scale, protocol.PROTOCOLS["published"])
    if quality is not None:
        lr = jpeg(lr, quality)
    return protocol.interpolate(lr, hr.shape)


def noise(hr: Array, strength: float, random: np.random.Generator) -> Array:
    """Add Gaussian noise; neither clipped nor rounded.

    As in K. Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017, section IV.

    Parameters
    ----------
    hr : ndarray, shape (H, W) or (H, W, 3), in [0, 255]
    strength : float
        σ, the standard deviation, in the same units.
    random : Generator

    Returns
    -------
    ndarray of float64, of the same shape
    """
    return hr + random.normal(0, strength, hr.shape)


def jpeg(hr: Array, strength: float, random: np.random.Generator | None = None) -> Array:
    """What is left after JPEG, by libjpeg's tables.

    Chroma, if any, at half the resolution (4:2:0), as most files have it.

    Parameters
    ----------
    hr : ndarray, shape (H, W) or (H, W, 3), in [0, 255]
        Rounded to 8 bits first.
    strength : float
        The quality, a whole number from 1 to 100.
    random
        Nothing is left to chance.

    Returns
    -------
    ndarray of float64, of the same shape
        Whole values 0 … 255.
    """
    buffer = io.BytesIO()
    pixels = round_to_8bit(hr).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=round(strength), subsampling="4:2:0")
    return np.asarray(Image.open(buffer), np.float64)


#: Those that leave a picture's size.
DEGRADATIONS: Mapping[str, Degradation] = {"noise": noise, "jpeg": jpeg}
