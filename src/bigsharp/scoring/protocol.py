"""How a picture is made small for a test, and how the restored one is scored.

Every score that bigsharp states is taken here, and carries the name of its protocol; validation
while training takes the same on the device (`tests/test_patches.py` holds the two together).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, peak_of, round_to
from bigsharp.image.resize import imresize
from bigsharp.io.picture import Picture
from bigsharp.scoring import metrics

#: How pictures are spoiled at their own size.
_SPOILED = {
    "noise": "Gaussian noise of σ, not clipped, by NumPy's generator from the CRC-32 of the image",
    "jpeg": "JPEG of quality q by libjpeg, chroma (if scored) at half the resolution",
}


@dataclass(frozen=True)
class Rules:
    """A named way to degrade and to score.

    Attributes
    ----------
    name : str
    lr_is_8bit : bool
        Round the LR image to 8 bits, as a file would hold it.
    border : int, optional
        Pixels shaved on every side; by default the scale, rounded up.
    colour : {"y", "rgb"}
        Restore and score luma, or the colour picture (SSIM then is the channels' mean).
    rounded : bool
        Round the output to 8 bits before it is scored.
    degradation : {"bicubic", "noise", "jpeg"}
        What spoils the picture; but for the first at its own size, which is scored to the edge.
    quality : float, optional
        Of JPEG, through which the LR image goes.
    """

    name: str
    lr_is_8bit: bool = False
    border: int | None = None
    colour: str = "y"
    rounded: bool = True
    degradation: str = "bicubic"
    quality: float | None = None

    def shaved(self, scale: float) -> int:
        """The border, in pixels, that is left out at `scale`."""
        if self.border is not None:
            return self.border
        return math.ceil(scale) if self.degradation == "bicubic" else 0

    def label(self, strength: float) -> str:
        """What a table calls a strength of the degradation."""
        if self.degradation != "bicubic":
            return f"{'σ' if self.degradation == 'noise' else 'q'} {strength:g}"
        return f"×{strength:g}" + ("" if self.quality is None else f", q {self.quality:g}")

    def check(self, strength: float) -> None:
        """See that a strength is one of the degradation's.

        Raises
        ------
        BigsharpError
            It is not.
        """
        if self.degradation == "bicubic" and not 1 < strength < math.inf:
            raise BigsharpError(f"a scale to evaluate is a number above 1, not {strength:g}")
        if self.degradation == "noise" and not 0 < strength <= 255:
            raise BigsharpError(f"σ is a number above 0, at most 255, not {strength:g}")
        if self.degradation == "jpeg":
            _check_quality(strength)

    @property
    def description(self) -> str:
        """One line to print beside every table."""
        channels = "Y of BT.601 in 8 bits" if self.colour == "y" else "RGB"
        if self.degradation != "bicubic":
            return f"{channels}; {_SPOILED[self.degradation]}; {self._output}; mean over images"
        lr = "rounded to 8 bits" if self.lr_is_8bit else "not rounded"
        if self.quality is not None:
            lr = f"in JPEG of quality {self.quality:g}"
        return (
            f"{channels}, cropped to a multiple of the scale; LR by antialiased bicubic, {lr}; "
            f"{self._output}; mean over images"
        )

    @property
    def _output(self) -> str:
        scaled = self.border is None and self.degradation == "bicubic"
        border = "`scale`" if scaled else str(self.border or "no")
        output = "rounded and clipped" if self.rounded else "clipped"
        return f"output {output}; border of {border} pixels shaved"


def _check_quality(quality: float) -> None:
    if not (1 <= quality <= 100 and quality == round(quality)):
        raise BigsharpError(f"JPEG has whole qualities from 1 to 100, not {quality:g}")


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM of one image, or their means over a set."""

    psnr: float
    ssim: float


PROTOCOLS = {
    rules.name: rules
    for rules in (
        Rules("published"),
        Rules("8bit-lr", lr_is_8bit=True),
        Rules("denoise", degradation="noise"),
        Rules("deblock", degradation="jpeg"),
    )
}
COLOURS = ("y", "rgb")


def choose(
    name: str = "published",
    *,
    border: int | None = None,
    colour: str = "y",
    rounded: bool = True,
    quality: float | None = None,
) -> Rules:
    """A protocol by name, changed where that is asked for; its name then tells the changes.

    Raises
    ------
    BigsharpError
        The name or the colour is unknown, the border negative, or JPEG has no such quality.
    """
    if name not in PROTOCOLS:
        raise errors.unknown("protocol", name, PROTOCOLS)
    if colour not in COLOURS:
        raise BigsharpError(f"colour is {' or '.join(COLOURS)}, not {colour!r}")
    if border is not None and border < 0:
        raise BigsharpError(f"a border has at least 0 pixels, not {border}")
    if quality is not None:
        _check_quality(quality)
    changes = [] if border is None else [f"border {border}"]
    changes += ["rgb"] * (colour == "rgb") + ["output not rounded"] * (not rounded)
    changes += [] if quality is None else [f"LR in JPEG of quality {quality:g}"]
    return replace(
        PROTOCOLS[name],
        name=", ".join([name, *changes]),
        border=border,
        colour=colour,
        rounded=rounded,
        quality=quality,
    )


def round_to_8bit(image: Array) -> Array:
    """Round half up and clip to whole values 0 … 255, of any shape; still floating point."""
    return round_to(np.uint8, image)


def reference(picture: Picture, colour: str = "y") -> Array:
    """What a test starts from.

    MATLAB's ``rgb2ycbcr`` of a uint8 picture gives uint8. The published tables were made so: with
    Y left unrounded, bicubic scores 0.01 dB above them.

    Parameters
    ----------
    picture : Picture
        Of any type and number of channels; alpha is left out.
    colour : {"y", "rgb"}

    Returns
    -------
    ndarray of float64, shape (H, W) for "y", (H, W, 3) for "rgb"
        Whole values 0 … 255; of a grey picture three channels alike.
    """
    if colour == "y":
        return round_to_8bit(picture.luma() * 255)
    pixels = picture.pixels / peak_of(picture.pixels.dtype)
    return round_to_8bit((pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)) * 255)


def crop(hr: Array, scale: float) -> Array:
    """Cut to the largest size that is a whole number of LR pixels times the scale.

    Parameters
    ----------
    hr : ndarray, shape (H, W) or (H, W, 3)
    scale : float
        Above 1.

    Returns
    -------
    ndarray
        A view: the part from the top left corner.
    """
    height, width = (round(math.floor(n / scale + 1e-9) * scale) for n in hr.shape[:2])
    return hr[:height, :width]


def degrade(hr: Array, scale: float, rules: Rules) -> Array:
    """The LR image of a cropped HR image, by bicubic with antialiasing.

    Parameters
    ----------
    hr : ndarray of float64, shape (H, W) or (H, W, 3), in [0, 255]
    scale : float
    rules : Rules

    Returns
    -------
    ndarray of float64, shape (H / scale, W / scale) or with 3 channels
        In [0, 255], beyond which bicubic may overshoot; clipped where it is rounded.
    """
    size = (round(hr.shape[0] / scale), round(hr.shape[1] / scale))
    lr = imresize(hr, size=size)
    return round_to_8bit(lr) if rules.lr_is_8bit else lr


def interpolate(lr: Array, hr_shape: tuple[int, ...]) -> Array:
    """The ILR image: the LR image enlarged by bicubic to the HR size.

    Parameters
    ----------
    lr : ndarray, shape (h, w) or (h, w, 3)
    hr_shape : (int, int, …)
        Height and width, and what an array's shape has behind them.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, 3)
        In the LR image's range, beyond which bicubic may overshoot.
    """
    return imresize(lr, size=(hr_shape[0], hr_shape[1]))


def comparable(output: Array, hr: Array, scale: float, rules: Rules) -> tuple[Array, Array]:
    """A restored image and the HR image as they are scored: rounded, clipped, the border shaved.

    Parameters
    ----------
    output : ndarray, shape (H, W) or (H, W, 3), in [0, 255]
        Restored; what is beyond the range is clipped.
    hr : ndarray of the same shape, in [0, 255]
        Cropped.
    scale : float
        Or what other strength the degradation has.
    rules : Rules

    Returns
    -------
    output, hr : ndarray, shape (H − 2b, W − 2b) or with 3 channels, in [0, 255]
        Without a border of b pixels.
    """
    border = rules.shaved(scale)
    inside = slice(border, -border or None)
    output = round_to_8bit(output) if rules.rounded else np.clip(output, 0, 255)
    return output[inside, inside], hr[inside, inside]


def score(output: Array, hr: Array, scale: float, rules: Rules = PROTOCOLS["published"]) -> Score:
    """Score a restored image against the cropped HR image.

    Parameters
    ----------
    output, hr, scale, rules
        As `comparable` takes them.

    Returns
    -------
    Score
        PSNR over all channels; SSIM is the mean of theirs.
    """
    output, hr = comparable(output, hr, scale, rules)
    channels = zip(np.atleast_3d(output).T, np.atleast_3d(hr).T, strict=True)
    return Score(metrics.psnr(output, hr), fmean(metrics.ssim(a.T, b.T) for a, b in channels))
