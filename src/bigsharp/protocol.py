"""How a picture is made small for a test, and how the restored one is scored.

Every score in bigsharp is taken here, and carries the name of its protocol.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigsharp import metrics
from bigsharp.arrays import Array, round_to
from bigsharp.picture import Picture
from bigsharp.resize import imresize


@dataclass(frozen=True)
class Protocol:
    """A named way to degrade and to score.

    Attributes
    ----------
    name : str
    description : str
        One line to print beside every table.
    lr_is_8bit : bool
        Round the LR image to 8 bits, as a file would hold it.
    """

    name: str
    description: str
    lr_is_8bit: bool


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM of one image, or their means over a set."""

    psnr: float
    ssim: float


_COMMON = (
    "Y of BT.601 in 8 bits, cropped to a multiple of the scale; LR by antialiased bicubic, "
    "{}; output rounded and clipped; border of `scale` pixels shaved; mean over images"
)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("published", _COMMON.format("not rounded"), lr_is_8bit=False),
        Protocol("8bit-lr", _COMMON.format("rounded to 8 bits"), lr_is_8bit=True),
    )
}


def round_to_8bit(image: Array) -> Array:
    """Round half up and clip to 0 … 255; still float."""
    return round_to(np.uint8, image)


def reference(picture: Picture) -> Array:
    """The luma that a test starts from: float64 with the whole values 0 … 255, shape (H, W).

    MATLAB's ``rgb2ycbcr`` of a uint8 picture gives uint8. The published tables were made so: with
    Y left unrounded, bicubic scores 0.01 dB above them.
    """
    return round_to_8bit(picture.luma() * 255)


def crop(hr: Array, scale: float) -> Array:
    """Cut `hr` to the largest size that is a whole number of LR pixels times `scale`."""
    height, width = (round(math.floor(n / scale + 1e-9) * scale) for n in hr.shape[:2])
    return hr[:height, :width]


def degrade(hr: Array, scale: float, protocol: Protocol) -> Array:
    """The LR image of a cropped HR image: values in [0, 255], float64."""
    size = (round(hr.shape[0] / scale), round(hr.shape[1] / scale))
    lr = imresize(hr, size=size)
    return round_to_8bit(lr) if protocol.lr_is_8bit else lr


def interpolate(lr: Array, hr_shape: tuple[int, ...]) -> Array:
    """The ILR image: `lr` enlarged by bicubic to the HR size."""
    return imresize(lr, size=(hr_shape[0], hr_shape[1]))


def score(output: Array, hr: Array, scale: float) -> Score:
    """Score a restored luma in [0, 255] against the cropped HR luma."""
    border = math.ceil(scale)
    output = round_to_8bit(output)
    return Score(metrics.psnr(output, hr, border=border), metrics.ssim(output, hr, border=border))
