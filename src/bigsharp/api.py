"""The public API: a path, bytes, PIL image or array in, the same kind out."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from PIL import Image

from bigsharp.defaults import MAX_PIXELS, MODEL, TILE
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.io import picture
from bigsharp.io.picture import Picture
from bigsharp.restore import pipeline
from bigsharp.restore.models import open_restorer
from bigsharp.restore.restorer import Progress, silent
from bigsharp.restore.target import Target, choose_target

Source = TypeVar("Source", bound="str | Path | bytes | Image.Image | Array")


class Upscaler:
    """A model that is loaded once and used for many pictures.

    Parameters
    ----------
    model : str or path
        "vdsr", "bicubic" (see `available_models`), a checkpoint (.pt) or a network exported by
        `bigsharp export` (.safetensors, .onnx).
    engine : {"auto", "native", "onnx", "torch"}
        What runs the network: by default PyTorch where it finds a CUDA GPU, else the native engine,
        or ONNX Runtime for what that does not run.

    Raises
    ------
    BigsharpError
        The model or engine is unknown, or its extra is not installed.
    """

    def __init__(self, model: str | Path = MODEL, engine: str = "auto") -> None:
        self.restorer = open_restorer(model, engine)

    def upscale(
        self,
        image: Source,
        scale: float | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        output: str | Path | None = None,
        quality: int | None = None,
        tile: int = TILE,
        max_pixels: int = MAX_PIXELS,
        progress: Progress = silent,
    ) -> Source:
        """Enlarge and sharpen a picture.

        Parameters
        ----------
        image : path, bytes, PIL image or ndarray
            An array has shape (H, W), (H, W, 2: grey and alpha), (H, W, 3) or (H, W, 4) and holds
            uint8, uint16, or floats in [0, 1].
        scale : float, optional
            Any factor ≥ 1; the result is ``ceil(size · scale)``.
        width, height : int, optional
            Size of the result in pixels instead; one alone keeps the proportions.
        output : path, optional
            Where to write the result if `image` is a path; its extension chooses the format. By
            default beside the original: ``cat.png`` becomes ``cat-x3.png``.
        quality : int, optional
            1 to 100, of a JPEG (default 95) or a WebP (default lossless).
        tile : int
            Side of the tiles, in result pixels, for ONNX Runtime and PyTorch; it bounds the
            memory, and does not change the result.
        max_pixels : int
            Refuse pictures, or results, of more pixels than this.
        progress : callable, optional
            Called with the number of pixels done and of all pixels.

        Returns
        -------
        path, bytes, PIL image or ndarray
            Of the kind that `image` is: the path written, a file of the same format, an image, or
            an array of the same dtype.

        Raises
        ------
        BigsharpError
            The picture cannot be read or written, or the scale or size is not valid; nothing is
            written then.
        """
        given = decode(image, max_pixels)
        target = choose_target(given.size, scale, width, height)
        size = (target.height, target.width)
        picture.check_pixels("the result", *size, max_pixels)
        if tile < 1:
            raise BigsharpError(f"a tile is at least 1 pixel wide, not {tile}")
        if isinstance(image, str | Path):
            written = Path(output) if output is not None else default_output(image, given, target)
            kind = picture.format_of(written)
            picture.check_path(written)
            refuse_same_file(image, written)
            picture.check_format(written, kind, given, *size, quality)
        elif output is not None:
            raise BigsharpError("output is for pictures given as a path")
        elif isinstance(image, bytes):
            picture.check_format("the result", format_like(given), given, *size, quality)
        result = pipeline.upscale_picture(
            given, target, self.restorer, tile=tile, progress=progress
        )
        if isinstance(image, str | Path):
            picture.write(result, written, quality=quality)
            return cast(Source, str(written) if isinstance(image, str) else written)
        return cast(Source, encode_like(image, result, quality))


def load(model: str | Path = MODEL, engine: str = "auto") -> Upscaler:
    """Load a model; see `Upscaler`.

    The last few are kept, so that asking again costs nothing; a file that has changed since is
    loaded anew.
    """
    path = Path(model)
    return _load(str(model), engine, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _load(model: str, engine: str, changed: int) -> Upscaler:
    return Upscaler(model, engine)


def upscale(
    image: Source,
    scale: float | None = None,
    *,
    model: str | Path = MODEL,
    engine: str = "auto",
    width: int | None = None,
    height: int | None = None,
    output: str | Path | None = None,
    quality: int | None = None,
    tile: int = TILE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = silent,
) -> Source:
    """Enlarge and sharpen a picture in one call.

    Parameters
    ----------
    model, engine
        See `Upscaler`.
    image, scale, width, height, output, quality, tile, max_pixels, progress
        See `Upscaler.upscale`, which also says what is returned and raised.

    Examples
    --------
    >>> import bigsharp, numpy as np
    >>> bigsharp.upscale(np.zeros((20, 30, 3), np.uint8), scale=2.5).shape
    (50, 75, 3)
    """
    return load(model, engine).upscale(
        image,
        scale,
        width=width,
        height=height,
        output=output,
        quality=quality,
        tile=tile,
        max_pixels=max_pixels,
        progress=progress,
    )


def decode(image: Any, max_pixels: int = MAX_PIXELS) -> Picture:
    """A `Picture` from any kind of source that `upscale` takes."""
    if isinstance(image, str | Path | bytes):
        return picture.read(image, max_pixels=max_pixels)
    if isinstance(image, Image.Image):
        picture.check_pixels("the picture", image.height, image.width, max_pixels)
        return picture.from_pil(image)
    if isinstance(image, np.ndarray):
        return from_array(image)
    raise BigsharpError(
        f"a picture is a path, bytes, a PIL image or an array, not {type(image).__name__}"
    )


def from_array(array: Array) -> Picture:
    """A `Picture` from an array of shape (H, W) or (H, W, 1 to 4)."""
    if array.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise BigsharpError(f"an array holds uint8, uint16 or floats in [0, 1], not {array.dtype}")
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] > (4,):
        raise BigsharpError(
            f"an array has shape (H, W) or (H, W, 1 to 4), none of them 0, not {array.shape}"
        )
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise BigsharpError("the array holds values that are infinite or not a number")
    if array.ndim == 2:
        return Picture(array)
    channels = array.shape[2]
    alpha = array[..., -1] if channels in (2, 4) else None
    return Picture(array[..., :3] if channels >= 3 else array[..., 0], alpha)


def to_array(result: Picture, dimensions: int) -> Array:
    """The array of a picture, with as many axes as the one it came from."""
    bands = result.bands
    return bands if bands.ndim == dimensions else bands[..., None]


def encode_like(image: Any, result: Picture, quality: int | None) -> Any:
    """The result as the kind of thing that `image` is: bytes, a PIL image or an array."""
    if isinstance(image, bytes):
        return picture.encode(result, format_like(result), quality=quality)
    if isinstance(image, Image.Image):
        return picture.to_pil(result)
    return to_array(result, image.ndim)


def format_like(given: Picture) -> str:
    """The format a picture came in, or PNG where that one is not written."""
    known = given.format in picture.FORMATS.values()
    return given.format if given.format and known else "PNG"


def default_output(path: str | Path, given: Picture, target: Target) -> Path:
    """Where the result goes if nobody says: beside the original, named for its scale or size."""
    path = Path(path)
    uniform = target.vertical == target.horizontal and target.height != given.size[0]
    mark = f"x{target.vertical:g}" if uniform else f"{target.width}x{target.height}"
    extension = path.suffix if path.suffix.lower() in picture.FORMATS else ".png"
    return path.with_name(f"{path.stem}-{mark}{extension}")


def refuse_same_file(source: str | Path, output: str | Path) -> None:
    """The original is never written over."""
    output = Path(output)
    if output.exists() and output.samefile(source):
        raise BigsharpError(f"{output}: is the original; give the result another name")
