"""Pictures into files."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL import Image

from bigsharp.errors import BigsharpError
from bigsharp.io import animation, bmp, metadata, png, tiff
from bigsharp.io.files import whole_file
from bigsharp.io.formats import FORMATS, Format
from bigsharp.io.jpeg import luma_table
from bigsharp.io.picture import Picture

#: JPEG's and AVIF's where nobody says; a finer one that the picture came with is kept.
_JPEG_QUALITY, _AVIF_QUALITY = 95, 90

#: As Pillow counts them.
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@dataclass(frozen=True)
class Saving:
    """How a file is written; None leaves it to the format and to the picture that came in.

    Attributes
    ----------
    quality : int, optional
        1 to 100, of JPEG (default 95, or the input's where that is finer; 98 where JPEG's damage
        was taken away at the same size, and no subsampling), WebP (default lossless) and AVIF
        (default 90).
    depth : {8, 16}, optional
        Bits a sample.
    subsampling : {"4:4:4", "4:2:2", "4:2:0"}, optional
        Of JPEG's chroma, by default the input's; and of AVIF's. Else none.
    progressive : bool, optional
        JPEG; by default as the input.
    compress : bool
        TIFF, by Deflate.
    """

    quality: int | None = None
    depth: Literal[8, 16] | None = None
    subsampling: str | None = None
    progressive: bool | None = None
    compress: bool = True


def check(
    name: str | Path,
    kind: Format,
    picture: Picture,
    size: tuple[int, int],
    saving: Saving,
    several: Literal["frames", "pages"] | None = None,
) -> None:
    """Find out, before any work is done, whether a format can hold a picture at this size.

    Parameters
    ----------
    name : str or path
        For messages.
    kind : Format
    picture : Picture
        What comes in.
    size : (int, int)
        Height and width of the result.
    saving : Saving
    several : {"frames", "pages"}, optional
        What else comes behind `picture`.

    Raises
    ------
    BigsharpError
        It cannot, or a setting does not apply to it.
    """
    quality, (height, width) = saving.quality, size
    if several and kind.several != several:
        others = " ".join(f.extensions[0] for f in FORMATS if f.several == several)
        raise BigsharpError(f"{name}: {kind} cannot hold {several}; use {others}")
    if not kind.alpha and not picture.is_opaque:
        raise BigsharpError(f"{name}: {kind} cannot hold transparency; use .png, .webp or .tiff")
    if dtype_of(picture, saving) == np.uint16 and (not kind.deep or several == "frames"):
        what = "frames of 16 bits" if several else "16 bits"
        raise BigsharpError(
            f"{name}: {kind} cannot hold {what}; use .png or .tiff, or a depth of 8 bits"
        )
    if kind.largest and max(height, width) > kind.largest:
        raise BigsharpError(
            f"{name}: {width} × {height} is more than {kind} can hold ({kind.largest}); use .png"
        )
    if quality is not None and not (kind.has_quality and 1 <= quality <= 100):
        raise BigsharpError(f"{name}: quality is 1 to 100, and for JPEG, WebP and AVIF alone")
    if kind.name not in ("JPEG", "AVIF") and saving.subsampling is not None:
        raise BigsharpError(f"{name}: subsampling is for JPEG and AVIF alone")
    if kind.name != "JPEG" and saving.progressive is not None:
        raise BigsharpError(f"{name}: progressive is for JPEG alone")
    if saving.subsampling is not None and saving.subsampling not in SUBSAMPLINGS:
        raise BigsharpError(f"{name}: subsampling is one of {', '.join(SUBSAMPLINGS)}")
    if kind.name != "PNG" and png.needs_chunks(picture.info):
        raise BigsharpError(
            f"{name}: the picture's colours have a meaning (gAMA, cICP) that only PNG can say; "
            "use .png"
        )


def dtype_of(picture: Picture, saving: Saving) -> np.dtype[Any]:
    """The type of the pixels that are written."""
    if saving.depth is None:
        return picture.pixels.dtype
    return np.dtype(np.uint8 if saving.depth == 8 else np.uint16)


def write(path: str | Path, kind: Format, pictures: Iterable[Picture], saving: Saving) -> None:
    """Write a picture file whole or not at all.

    Frames and pages are written as they come, but those of AVIF, of which all are taken first.

    Raises
    ------
    BigsharpError
        The file cannot be written, or its format cannot hold the picture.
    """
    with whole_file(path) as file:
        save(file, kind, pictures, saving)


def encode(kind: Format, pictures: Iterable[Picture], saving: Saving) -> bytes:
    """The bytes of a picture file.

    Raises
    ------
    BigsharpError
        The format cannot hold it.
    """
    buffer = io.BytesIO()
    save(buffer, kind, pictures, saving)
    return buffer.getvalue()


def save(file: IO[bytes], kind: Format, pictures: Iterable[Picture], saving: Saving) -> None:
    """Write into an open file that can seek; see `write`."""
    source = _Source(pictures)
    fitting = (_fitting(picture, kind, saving) for picture in source)
    try:
        if kind.name == "TIFF":
            tiff.save(fitting, file, saving.compress)
            return
        first, second = next(fitting), next(fitting, None)
        options = _options(kind, first, saving)
        if second is not None:
            frames = itertools.chain([first, second], fitting)
            if kind.gathers:
                _save_gathered(file, kind, list(frames), options)
            else:
                animation.save(kind.name, first, frames, file, options)
        elif kind.name == "PPM":
            _save_pnm(first, file)
        elif kind.name == "BMP" and first.alpha is not None:
            bmp.save(first, file, first.info.dpi)
        elif first.pixels.dtype == np.uint16:
            png.save_deep(first, file, options)
        else:
            holed = kind.name == "GIF" and first.alpha is not None
            bands = animation.seen(first) if holed else first.bands
            Image.fromarray(bands).save(file, kind.name, **options)
    except (ValueError, RuntimeError, struct.error) as error:
        if error is source.fault:
            raise
        raise BigsharpError(f"{kind} cannot hold this picture ({error}); use .png") from None


class _Source:
    """Pictures as they come, and the error, if any, that kept one from coming.

    They are made while they are written, and what fails in that is not the format's fault.
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._pictures = pictures
        self.fault: Exception | None = None

    def __iter__(self) -> Iterator[Picture]:
        try:
            yield from self._pictures
        except Exception as error:
            self.fault = error
            raise


def _fitting(picture: Picture, kind: Format, saving: Saving) -> Picture:
    """The picture as the format can hold it, where nothing is lost by that."""
    picture = picture.as_type(dtype_of(picture, saving))
    if kind.alpha or picture.alpha is None:
        return picture
    if not picture.is_opaque:
        raise BigsharpError(f"{kind} cannot hold transparency; use .png, .webp or .tiff")
    return replace(picture, alpha=None)


def _save_pnm(picture: Picture, file: IO[bytes]) -> None:
    height, width = picture.size
    peak = np.iinfo(picture.pixels.dtype).max
    kind = 5 if picture.pixels.ndim == 2 else 6
    file.write(f"P{kind}\n{width} {height}\n{peak}\n".encode())
    file.write(picture.pixels.astype(picture.pixels.dtype.newbyteorder(">")).tobytes())


def _save_gathered(
    file: IO[bytes], kind: Format, frames: list[Picture], options: dict[str, Any]
) -> None:
    first, *others = (Image.fromarray(frame.bands) for frame in frames)
    durations = [round(frame.duration or animation.DURATION) for frame in frames]
    first.save(file, kind.name, save_all=True, append_images=others, duration=durations, **options)


def _options(kind: Format, picture: Picture, saving: Saving) -> dict[str, Any]:
    """Pillow's options for all but the pixels."""
    info, name, size = picture.info, kind.name, picture.size
    # Of the formats with a profile, these have no grey.
    grey = picture.pixels.ndim == 2 and name not in ("WEBP", "AVIF")
    kept = {
        "icc_profile": metadata.fitting_profile(info.icc, grey),
        "exif": metadata.sized_exif(info.exif, *size) if name not in ("BMP", "GIF") else None,
        "xmp": metadata.upright_xmp(info.xmp, *size) if name in ("JPEG", "WEBP", "AVIF") else None,
        "dpi": info.dpi if name in ("PNG", "JPEG", "BMP") else None,
        "comment": info.comment if name in ("JPEG", "GIF") else None,
    }
    options: dict[str, Any] = {key: value for key, value in kept.items() if value}
    if name == "PNG":
        options["pnginfo"] = png.chunks_of(info, metadata.upright_xmp(info.xmp, *size))
    elif name == "WEBP":
        options |= {"quality": saving.quality} if saving.quality else {"lossless": True}
    elif name == "AVIF":
        options["quality"] = saving.quality or _AVIF_QUALITY
        options["subsampling"] = saving.subsampling or "4:4:4"
    elif name == "JPEG":
        options |= _jpeg_options(picture, saving)
    return options


def _jpeg_options(picture: Picture, saving: Saving) -> dict[str, Any]:
    came = picture.info.jpeg
    subsampling = SUBSAMPLINGS[saving.subsampling] if saving.subsampling else 0
    options: dict[str, Any] = {"subsampling": subsampling}
    if came and not saving.subsampling and came.subsampling > 0:
        options["subsampling"] = came.subsampling
    options["progressive"] = came is not None and came.progressive
    if saving.progressive is not None:
        options["progressive"] = saving.progressive
    if came and saving.quality is None and sum(came.tables[0]) < sum(luma_table(_JPEG_QUALITY)):
        return options | {"qtables": dict(came.tables)}
    return options | {"quality": saving.quality or _JPEG_QUALITY}
