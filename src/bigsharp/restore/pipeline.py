"""The upscaling pipeline: picture → luma → restored luma → picture, a part at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigsharp.defaults import TILE
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, from_unit, to_unit
from bigsharp.image.color import luma, rgb_to_ycbcr, ycbcr_to_rgb
from bigsharp.image.resize import AxisMap, interpolate
from bigsharp.image.tiles import Window, even_parts
from bigsharp.image.transparency import fill_hidden
from bigsharp.io.picture import Picture
from bigsharp.restore.restorer import Bicubic, Progress, Restorer, silent
from bigsharp.restore.target import Target

#: Rows that are converted together.
_BAND = 256

#: No luma is so large, in [0, 1]; NaN is not below it either.
_HOPELESS = 1e6

Maps = tuple[AxisMap, AxisMap]


def upscale_picture(
    picture: Picture,
    target: Target,
    restorer: Restorer,
    *,
    tile: int = TILE,
    dtype: Any = None,
    progress: Progress = silent,
) -> Picture:
    """Enlarge a picture and restore its luma.

    Chroma and alpha are enlarged by bicubic; colour hidden under alpha 0 takes no part. Of what is
    computed, the small picture's luma and some rows, or a tile, are in memory as floating point,
    and more where there is hidden colour.

    Parameters
    ----------
    picture : Picture
    target : Target
        From `choose_target`.
    restorer : Restorer
    tile : int
        Side of a tile in result pixels, for what goes tile by tile.
    dtype : dtype, optional
        Of the result's pixels, instead of the picture's.
    progress : callable
        Called with the pixels done and their number, first with 0.

    Returns
    -------
    Picture
        With all that the picture says of itself. Where the size does not change, the picture
        itself: there is nothing to restore.

    Raises
    ------
    BigsharpError
        The restorer gives NaN.
    """
    if (target.height, target.width) == picture.size:
        return picture.as_type(dtype or picture.pixels.dtype)
    if picture.alpha is not None:
        picture = picture.with_pixels(fill_hidden(picture.pixels, picture.alpha), picture.alpha)
    dtype = np.dtype(dtype or picture.pixels.dtype)
    best = restorer.restores_at(target, picture.size)
    if best == target:
        return _resample(picture, target, restorer, dtype, tile, progress)
    # 16 bits in between, so that the rounding is done once.
    finer = np.dtype(np.uint16) if dtype == np.uint8 else dtype
    restored = _resample(picture, best, restorer, finer, tile, progress)
    resize = Target(
        target.height,
        target.width,
        target.vertical / best.vertical,
        target.horizontal / best.horizontal,
    )
    return _resample(restored, resize, Bicubic(), dtype, tile, silent)


def _resample(
    picture: Picture,
    target: Target,
    restorer: Restorer,
    dtype: np.dtype[Any],
    tile: int,
    progress: Progress,
) -> Picture:
    """Enlarge, or shrink, part by part."""
    maps = target.maps(picture.size)
    shape = (target.height, target.width)
    pixels = np.empty(shape + picture.pixels.shape[2:], dtype)
    alpha = None if picture.alpha is None else np.empty(shape, dtype)
    for window, restored in restorer.restore(_plane(picture.pixels), target, tile, progress):
        if not np.abs(restored).max() < _HOPELESS:
            raise BigsharpError("the model gives no luma (NaN, or huge): its weights are damaged")
        pixels[window] = from_unit(_coloured(restored, picture.pixels, maps, window), dtype)
        if picture.alpha is not None and alpha is not None:
            seen = interpolate(picture.alpha, maps, window, to_unit)
            alpha[window] = from_unit(seen, dtype)
    return picture.with_pixels(pixels, alpha)


def _plane(pixels: Array) -> Array:
    """Grey values or the luma of RGB, float32 in [0, 1], (H, W)."""
    if pixels.ndim == 2:
        return to_unit(pixels)
    plane = np.empty(pixels.shape[:2], np.float32)
    for rows in even_parts(len(pixels), _BAND):
        plane[rows] = luma(to_unit(pixels[rows]))
    return plane


def _coloured(restored: Array, pixels: Array, maps: Maps, window: Window) -> Array:
    """Restored luma with the small picture's interpolated chroma, as RGB; grey stays grey."""
    if pixels.ndim == 2:
        return restored
    chroma = interpolate(pixels, maps, window, lambda rgb: rgb_to_ycbcr(to_unit(rgb))[..., 1:])
    return ycbcr_to_rgb(np.concatenate([restored[..., None], chroma], axis=2))
