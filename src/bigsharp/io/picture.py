"""A decoded picture, and what its file said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bigsharp.errors import TooLarge
from bigsharp.image.arrays import Array, from_unit, peak_of, to_unit
from bigsharp.image.color import luma
from bigsharp.image.tiles import BAND, even_parts


@dataclass(frozen=True)
class Jpeg:
    """How a JPEG was stored.

    Attributes
    ----------
    tables : dict of int to list of int
        Quantisation tables, 64 numbers each.
    subsampling : int
        Of chroma, as Pillow counts: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0, −1 for another.
    progressive : bool
    """

    tables: Mapping[int, list[int]]
    subsampling: int
    progressive: bool


@dataclass(frozen=True)
class Info:
    r"""What a file says of its picture besides the pixels.

    Attributes
    ----------
    format : str, optional
        Pillow's name of the format it was read from.
    icc, exif, xmp : bytes, optional
        Colour profile, EXIF block (with the mark ``Exif\0\0``) and XMP packet.
    dpi : (float, float), optional
        Pixels an inch, horizontally and vertically.
    comment : bytes, optional
        Of a JPEG or a GIF.
    text : mapping of str to str
        PNG's text chunks.
    colour : mapping of bytes to bytes
        PNG's chunks that give its values their meaning: gAMA, cHRM, sRGB, cICP.
    jpeg : Jpeg, optional
    loop : int, optional
        How often an animation is played; 0 is for ever.
    """

    format: str | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    colour: Mapping[bytes, bytes] = field(default_factory=dict)
    jpeg: Jpeg | None = None
    loop: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture in memory: a still one, a frame, or a page.

    Attributes
    ----------
    pixels : ndarray of uint8, uint16 or float, shape (H, W) or (H, W, 3)
        Grey values or RGB; floats (never read from a file) span [0, 1].
    alpha : ndarray of the same dtype, shape (H, W), optional
    info : Info
    duration : float, optional
        Milliseconds that a frame is shown.
    """

    pixels: Array
    alpha: Array | None = None
    info: Info = field(default_factory=Info)
    duration: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[:2]
        return height, width

    @property
    def bands(self) -> Array:
        """Pixels and alpha in one array, (H, W) or (H, W, 2 to 4)."""
        if self.alpha is None:
            return self.pixels
        return np.dstack([self.pixels, self.alpha])

    @property
    def is_opaque(self) -> bool:
        """Whether no pixel lets anything through."""
        return self.alpha is None or bool(self.alpha.min() == peak_of(self.alpha.dtype))

    def luma(self) -> Array:
        """Y of a colour picture, or the grey values, as float64 in [0, 1], not rounded."""
        scaled = self.pixels / peak_of(self.pixels.dtype)
        return luma(scaled) if scaled.ndim == 3 else scaled

    def with_pixels(self, pixels: Array, alpha: Array | None) -> Picture:
        """The same picture in every respect but its pixels."""
        return replace(self, pixels=pixels, alpha=alpha)

    def as_type(self, dtype: Any) -> Picture:
        """The same picture in another type of pixels; itself where that is the same."""
        if self.pixels.dtype == dtype:
            return self
        alpha = None if self.alpha is None else _as_type(self.alpha, dtype)
        return self.with_pixels(_as_type(self.pixels, dtype), alpha)


def _as_type(values: Array, dtype: Any) -> Array:
    result = np.empty(values.shape, dtype)
    for rows in even_parts(len(values), BAND):
        result[rows] = from_unit(to_unit(values[rows]), dtype)
    return result


def check_pixels(name: str, height: int, width: int, max_pixels: int) -> None:
    """Raise `TooLarge` where `height` × `width` is more than `max_pixels`."""
    if height * width > max_pixels:
        raise TooLarge(
            f"{name}: {width} × {height} is {height * width / 1e6:,.0f} megapixels, over the limit "
            f"of {max_pixels / 1e6:,.0f}; raise it with `max_pixels` {height * width}"
        )
