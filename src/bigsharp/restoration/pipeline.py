"""The pipeline: picture → planes → restored planes → picture, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from bigsharp.defaults import TILE
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, from_unit, to_unit
from bigsharp.image.color import luma, rgb_to_ycbcr, ycbcr_to_rgb
from bigsharp.image.resize import AxisMap, interpolate
from bigsharp.image.tiles import BAND, Window, even_parts
from bigsharp.image.transparency import fill_hidden
from bigsharp.io.picture import Picture
from bigsharp.restoration.restorer import Bicubic, Progress, Restorer, shifted, silent
from bigsharp.restoration.target import Target
from bigsharp.weights.file import Task

#: No plane is so bright, in [0, 1]; NaN is not below it either.
_HOPELESS = 1e6

#: Beyond this share of pixels with a chroma edge a picture is a drawing, a screenshot or a sprite
#: rather than a photograph. Photographs had up to 0.7 %, drawings and coloured text 8 % and more.
_DRAWN = 0.01

#: A chroma edge: the Laplacian, of Cb or Cr in [0, 1].
_EDGE = 0.15

#: What of a colour picture is restored.
Colour = Literal["auto", "luma", "ycbcr", "rgb"]

#: What of a picture is restored for which task, unless it is said: noise lies in each of red, green
#: and blue; JPEG spoils luma and chroma.
COLOUR_OF: Mapping[Task, Colour] = {"upscale": "luma", "denoise": "rgb", "deblock": "ycbcr"}

Maps = tuple[AxisMap, AxisMap]


def upscale_picture(
    picture: Picture,
    target: Target,
    restorer: Restorer,
    *,
    tile: int = TILE,
    dtype: Any = None,
    colour: Colour = "luma",
    progress: Progress = silent,
) -> Picture:
    """Enlarge and restore a picture; or clean it at its own size, if that is the restorer's task.

    Colour hidden under alpha takes no part. Of what is computed, the small picture's planes that
    are restored and some rows of each, or a tile, are in memory as floating point, and more where
    there is hidden colour.

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
    colour : {"luma", "ycbcr", "rgb", "auto"}
        Restore luma alone, and enlarge chroma by bicubic; or restore luma and chroma, or red, green
        and blue, in three times the time; or "rgb" for drawings and the like, else "luma". What
        that gains is measured by `speed/colours.py` (docs/experiments.md).
        Alpha is restored where it is not the same everywhere; it is not cleaned.
    progress : callable
        Called with the pixels done and their number, first with 0.

    Returns
    -------
    Picture
        With all that the picture says of itself.

    Raises
    ------
    BigsharpError
        The restorer gives NaN.
    """
    dtype = np.dtype(dtype or picture.pixels.dtype)
    if picture.alpha is not None:
        picture = picture.with_pixels(fill_hidden(picture.pixels, picture.alpha), picture.alpha)
    # 16 bits in between, so that the rounding is done once.
    finer = np.dtype(np.uint16) if dtype == np.uint8 else dtype
    coloured = picture.pixels.ndim == 3
    if colour == "auto":
        colour = "rgb" if coloured and is_drawn(picture.pixels) else "luma"
    colour = colour if coloured else "luma"
    passes = restorer.passes(target, picture.size)
    total, done, left = sum(each.height * each.width for each in passes), 0, target
    for each in passes:
        left = left.after(each)
        depth = dtype if each.size == target.size else finer
        told = shifted(done, total, progress)
        picture = _resample(picture, each, restorer, depth, colour, tile, told)
        done += each.height * each.width
    if picture.size == target.size:
        return picture
    return _resample(picture, left, Bicubic(), dtype, "luma", tile, silent)


def is_drawn(pixels: Array) -> bool:
    """Whether a picture has many edges in chroma, as photographs have not."""
    if pixels.ndim == 2 or min(pixels.shape[:2]) < 3:
        return False
    edges = 0
    for rows in even_parts(len(pixels), BAND):
        chroma = rgb_to_ycbcr(to_unit(pixels[rows]))[..., 1:]
        centre = chroma[1:-1, 1:-1]
        around = chroma[:-2, 1:-1] + chroma[2:, 1:-1] + chroma[1:-1, :-2] + chroma[1:-1, 2:]
        edges += int((np.abs(4 * centre - around) > _EDGE).any(axis=2).sum())
    return edges > _DRAWN * pixels.shape[0] * pixels.shape[1]


def _resample(
    picture: Picture,
    target: Target,
    restorer: Restorer,
    dtype: np.dtype[Any],
    colour: Colour,
    tile: int,
    progress: Progress,
) -> Picture:
    """Enlarge, or shrink, part by part."""
    maps = target.maps(picture.size)
    pixels = np.empty(target.size + picture.pixels.shape[2:], dtype)
    alpha = None if picture.alpha is None else np.empty(target.size, dtype)
    for window, restored in _parts(picture, target, restorer, colour, tile, progress):
        if not all(np.abs(plane).max() < _HOPELESS for plane in restored):
            raise BigsharpError("the model gives NaN, or huge values: its weights are damaged")
        if alpha is not None and picture.alpha is not None:
            seen = interpolate(picture.alpha, maps, window, to_unit)
            if _restores_alpha(picture, restorer):
                # What is clear, or opaque, all around stays so.
                seen = np.where((seen <= 0) | (seen >= 1), seen, restored.pop())
            alpha[window] = from_unit(seen, dtype)
        coloured = _coloured(restored, picture.pixels, maps, window, colour)
        pixels[window] = from_unit(coloured, dtype)
    return picture.with_pixels(pixels, alpha)


def _parts(
    picture: Picture,
    target: Target,
    restorer: Restorer,
    colour: Colour,
    tile: int,
    progress: Progress,
) -> Iterator[tuple[Window, list[Array]]]:
    """What is restored of a picture, part by part: luma or colours, and alpha if it is not flat."""
    planes = planes_of(picture.pixels, colour)
    if picture.alpha is not None and _restores_alpha(picture, restorer):
        planes.append(to_unit(picture.alpha))
    told = [progress, *[silent] * (len(planes) - 1)]
    streams = [
        restorer.restore(plane, target, tile, tell)
        for plane, tell in zip(planes, told, strict=True)
    ]
    for parts in zip(*streams, strict=True):
        yield parts[0][0], [values for _, values in parts]


def _restores_alpha(picture: Picture, restorer: Restorer) -> bool:
    alpha = picture.alpha
    return alpha is not None and restorer.task == "upscale" and bool((alpha != alpha[0, 0]).any())


def planes_of(pixels: Array, colour: Colour) -> list[Array]:
    """Grey values, luma, or three planes, float32 in [0, 1], (H, W) each."""
    if pixels.ndim == 2:
        return [to_unit(pixels)]
    if colour == "rgb":
        return [to_unit(pixels[..., channel]) for channel in range(3)]
    planes = np.empty((3 if colour == "ycbcr" else 1, *pixels.shape[:2]), np.float32)
    for rows in even_parts(len(pixels), BAND):
        unit = to_unit(pixels[rows])
        if colour == "ycbcr":
            planes[:, rows] = np.moveaxis(rgb_to_ycbcr(unit), 2, 0)
        else:
            planes[0, rows] = luma(unit)
    return list(planes)


def _coloured(
    restored: list[Array], pixels: Array, maps: Maps, window: Window, colour: Colour
) -> Array:
    """Restored colours; or luma with the small picture's interpolated chroma; grey stays grey."""
    if pixels.ndim == 2:
        return restored[0]
    if colour == "rgb":
        return np.dstack(restored)
    if colour == "ycbcr":
        return ycbcr_to_rgb(np.dstack(restored))
    chroma = interpolate(pixels, maps, window, lambda rgb: rgb_to_ycbcr(to_unit(rgb))[..., 1:])
    return ycbcr_to_rgb(np.dstack([restored[0], chroma]))
