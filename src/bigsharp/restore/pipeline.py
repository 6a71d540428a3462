"""The upscaling pipeline: picture → ILR → restored luma → picture, a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigsharp.defaults import TILE
from bigsharp.engines import Engine, Family, Identity, RowEngine
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, from_unit, to_unit
from bigsharp.image.color import rgb_to_ycbcr, ycbcr_to_rgb
from bigsharp.image.resize import AxisMap, scaled_size
from bigsharp.image.tiles import even_parts, tiles
from bigsharp.image.transparency import fill_hidden
from bigsharp.io.picture import Picture

Progress = Callable[[int, int], None]

#: Rows that are interpolated together.
_BAND = 128

#: Of a scale or a side; beyond it no picture can be meant, and float arithmetic would overflow.
_LARGEST = 1_000_000_000


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Target:
    """The size of a result, and the factor that each axis is enlarged by.

    Attributes
    ----------
    height, width : int
    vertical, horizontal : float
    """

    height: int
    width: int
    vertical: float
    horizontal: float

    def at_least(self, scale: float, size: tuple[int, int]) -> Target:
        """The target of a picture of `size` whose factors are `scale` or more; maybe this one."""
        if min(self.vertical, self.horizontal) >= scale:
            return self
        vertical, horizontal = max(self.vertical, scale), max(self.horizontal, scale)
        rows, columns = scaled_size(size[0], vertical), scaled_size(size[1], horizontal)
        return Target(rows, columns, vertical, horizontal)


def choose_target(
    size: tuple[int, int],
    scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Target:
    """Work out the size of the result.

    Parameters
    ----------
    size : (int, int)
        Height and width of the picture.
    scale : float, optional
        Factor ≥ 1 for both axes; the result is ``ceil(size · scale)``.
    width, height : int, optional
        Size of the result instead; where one is left out, the proportions are kept.

    Raises
    ------
    BigsharpError
        Both a scale and a size, or neither; a scale below 1 or a size below the picture's.
    """
    if (scale is None) == (width is None and height is None):
        raise BigsharpError("give either a scale, or a width, a height or both")
    if scale is not None:
        if not 1 <= scale <= _LARGEST:
            raise BigsharpError(f"the scale must be a number of at least 1, not {scale:g}")
        rows, columns = (scaled_size(n, scale) for n in size)
        return Target(rows, columns, scale, scale)
    if max(width or 0, height or 0) > _LARGEST:
        raise BigsharpError(f"a side of the result can have {_LARGEST:,} pixels at most")
    vertical = height / size[0] if height is not None else None
    horizontal = width / size[1] if width is not None else None
    # Where one side is left out, the other's factor serves for both.
    vertical, horizontal = vertical or horizontal or 0, horizontal or vertical or 0
    if min(vertical, horizontal) < 1:
        wanted = " × ".join(str(n) if n is not None else "?" for n in (width, height))
        raise BigsharpError(
            f"the picture is {size[1]} × {size[0]} already; bigsharp enlarges, and {wanted} is less"
        )
    rows = height if height is not None else round(size[0] * vertical)
    columns = width if width is not None else round(size[1] * horizontal)
    return Target(rows, columns, vertical, horizontal)


def upscale_picture(
    picture: Picture,
    target: Target,
    engine: Engine | Family,
    *,
    tile: int = TILE,
    progress: Progress = silent,
) -> Picture:
    """Enlarge a picture and restore its luma.

    Chroma and alpha are enlarged by bicubic; colour hidden under alpha 0 takes no part. Only some
    rows, or a tile, are in memory as floating point, unless there is such colour.

    A network undoes the blur of the scales that it was trained on, and overdoes it at smaller ones.
    There the picture is restored at the smallest trained scale and shrunk to its size: with a
    network trained on 2, 3 and 4 that gave 40.1 dB on Set5 at ×1.5, where the network at ×1.5
    itself gave 35.7 and bicubic 36.8.

    Parameters
    ----------
    picture : Picture
    target : Target
        From `choose_target`.
    engine : Engine or Family
    tile : int
        Side of a tile in result pixels, for an engine that does not take rows, or a picture too
        wide for it.
    progress : callable
        Called with the pixels done and their number, first with 0.

    Returns
    -------
    Picture
        The same kind of pixels, colour profile and EXIF block. Where the size does not change, the
        picture itself: there is nothing to restore.

    Raises
    ------
    BigsharpError
        The network gives NaN.
    """
    if (target.height, target.width) == picture.size:
        return picture
    if isinstance(engine, Family):
        engine = engine.at(max(target.vertical, target.horizontal))
    if picture.alpha is not None:
        picture = picture.with_pixels(fill_hidden(picture.pixels, picture.alpha), picture.alpha)
    dtype = picture.pixels.dtype
    trained = target.at_least(min(engine.scales, default=1), picture.size)
    if trained == target:
        return _resample(picture, target, engine, dtype, tile, progress)
    # 16 bits in between, so that the rounding is done once.
    finer = np.dtype(np.uint16) if dtype == np.uint8 else dtype
    restored = _resample(picture, trained, engine, finer, tile, progress)
    shrink = Target(
        target.height,
        target.width,
        target.vertical / trained.vertical,
        target.horizontal / trained.horizontal,
    )
    return _resample(restored, shrink, Identity(), dtype, tile, silent)


def _resample(
    picture: Picture,
    target: Target,
    engine: Engine,
    dtype: np.dtype[Any],
    tile: int,
    progress: Progress,
) -> Picture:
    """Interpolate to `target` and restore, by rows where the engine takes them, else by tiles."""
    maps = (
        AxisMap.bicubic(picture.size[0], target.height, target.vertical),
        AxisMap.bicubic(picture.size[1], target.width, target.horizontal),
    )
    shape = (target.height, target.width)
    pixels = np.empty(shape + picture.pixels.shape[2:], dtype)
    alpha = None if picture.alpha is None else np.empty(shape, dtype)
    if isinstance(engine, RowEngine) and target.width <= engine.widest:
        parts = _restore_rows(picture.pixels, maps, engine)
    else:
        parts = _restore_tiles(picture.pixels, maps, engine, tile)
    done = 0
    progress(done, target.height * target.width)
    for window, restored in parts:
        if not np.isfinite(restored).all():
            raise BigsharpError("the network gives no numbers (NaN): its weights are damaged")
        pixels[window] = from_unit(restored, dtype)
        if picture.alpha is not None and alpha is not None:
            alpha[window] = from_unit(_interpolate(picture.alpha, maps, window), dtype)
        done += restored.shape[0] * restored.shape[1]
        progress(done, target.height * target.width)
    return picture.with_pixels(pixels, alpha)


#: A part of the result: where it belongs, and its pixels as float32, neither clipped nor rounded.
Part = tuple[tuple[slice, slice], Array]


def _restore_tiles(
    pixels: Array, maps: tuple[AxisMap, AxisMap], engine: Engine, side: int
) -> Iterator[Part]:
    """Tile by tile, each with the halo that the network must see."""
    height, width = (len(axis.weights) for axis in maps)
    for part in tiles(height, width, side, engine.halo):
        ilr = _interpolate(pixels, maps, part.seen)
        if ilr.ndim == 2:
            yield part.core, engine.restore(ilr)[part.core_in_seen]
            continue
        ycbcr = rgb_to_ycbcr(ilr)
        luma = engine.restore(np.ascontiguousarray(ycbcr[..., 0]))
        ycbcr = ycbcr[part.core_in_seen]
        ycbcr[..., 0] = luma[part.core_in_seen]
        yield part.core, ycbcr_to_rgb(ycbcr)


def _restore_rows(
    pixels: Array, maps: tuple[AxisMap, AxisMap], engine: RowEngine
) -> Iterator[Part]:
    """Band by band of rows; what the engine gives comes some rows late."""
    height, width = (len(axis.weights) for axis in maps)
    columns = slice(0, width)
    waiting: list[Array] = []

    def lumas() -> Iterator[Array]:
        for rows in even_parts(height, _BAND):
            ilr = _interpolate(pixels, maps, (rows, columns))
            if ilr.ndim == 3:
                ilr = rgb_to_ycbcr(ilr)
                waiting.append(ilr)
            yield ilr if ilr.ndim == 2 else ilr[..., 0]

    top = 0
    for restored in engine.rows(lumas()):
        if len(restored) == 0:
            continue
        rows = slice(top, top + len(restored))
        if waiting:
            ycbcr = np.concatenate(waiting)
            waiting[:] = [ycbcr[len(restored) :]]
            ycbcr = ycbcr[: len(restored)]
            ycbcr[..., 0] = restored
            restored = ycbcr_to_rgb(ycbcr)
        yield (rows, columns), restored
        top = rows.stop


def _interpolate(
    values: Array, maps: tuple[AxisMap, AxisMap], window: tuple[slice, slice]
) -> Array:
    """A window of the interpolated image: float32, white is 1."""
    (rows, vertical), (columns, horizontal) = (
        axis.window(outputs) for axis, outputs in zip(maps, window, strict=True)
    )
    image = to_unit(values[rows, columns])
    return horizontal.apply(vertical.apply(image, 0), 1)
