"""A decoded picture, and its reading and writing."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from bigsharp.defaults import MAX_PIXELS
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, peak_of
from bigsharp.image.color import luma
from bigsharp.io.files import whole_file

#: The formats that are written, by file extension, and each one's largest side.
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
_LARGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_WITH_ALPHA = {"PNG", "WEBP", "TIFF"}
_WITH_16_BITS = {"PNG", "TIFF"}
_WITH_QUALITY = {"JPEG", "WEBP"}

# A TIFF file keeps these among the tags that lay out its pixels.
_TIFF_TAGS = {
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
}

_pillow_limit = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A still picture in memory.

    Attributes
    ----------
    pixels : ndarray of uint8, uint16 or float, shape (H, W) or (H, W, 3)
        Grey values or RGB; floats (never read from a file) span [0, 1].
    alpha : ndarray of the same dtype, shape (H, W), optional
    icc, exif : bytes, optional
        The colour profile and the EXIF block, kept as they are.
    format : str, optional
        Pillow's name of the format it was read from.
    """

    pixels: Array
    alpha: Array | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    format: str | None = None

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

    def luma(self) -> Array:
        """Y of a colour picture, or the grey values, as float64 in [0, 1], not rounded."""
        scaled = self.pixels / peak_of(self.pixels.dtype)
        return luma(scaled) if scaled.ndim == 3 else scaled

    def with_pixels(self, pixels: Array, alpha: Array | None) -> Picture:
        """The same picture in every respect but its pixels."""
        return replace(self, pixels=pixels, alpha=alpha)


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture from a file or from the bytes of one, turned upright as its EXIF says.

    Parameters
    ----------
    source : path or bytes
    max_pixels : int
        Refuse a picture of more pixels than this, before it is decoded.

    Raises
    ------
    BigsharpError
        The file is missing, unreadable, truncated, too large, animated, or no picture.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        # Damage that matters is an exception; what Pillow only warns of is no news to a user.
        with warnings.catch_warnings(action="ignore"), _open(source) as image:
            check_pixels(name, image.height, image.width, max_pixels)
            frames = getattr(image, "n_frames", 1)
            # MPO is what phones call a JPEG with a preview or a depth map behind the picture.
            if frames > 1 and image.format != "MPO":
                raise BigsharpError(
                    f"{name}: holds {frames} frames; "
                    "bigsharp works on still pictures: save the frames one by one"
                )
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return from_pil(image, name)
    except (BigsharpError, MemoryError):
        raise
    except FileNotFoundError:
        raise BigsharpError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise BigsharpError(f"{name}: is a folder, not a picture") from None
    except PermissionError:
        raise BigsharpError(f"{name}: no permission to read it") from None
    except UnidentifiedImageError:
        raise BigsharpError(f"{name}: not a picture that bigsharp can read") from None
    except Exception as error:
        # Pillow's decoders meet damaged files with exceptions of a dozen types.
        raise BigsharpError(f"{name}: damaged or truncated ({error})") from None


def check_pixels(name: str, height: int, width: int, max_pixels: int) -> None:
    """Raise `BigsharpError` where `height` × `width` is more than `max_pixels`."""
    if height * width > max_pixels:
        raise BigsharpError(
            f"{name}: {width} × {height} is {height * width / 1e6:,.0f} megapixels, over the limit "
            f"of {max_pixels / 1e6:,.0f}; raise it with --max-pixels {height * width}"
        )


def _open(source: str | Path | bytes) -> Image.Image:
    """Open without Pillow's own size limit; `check_pixels` has ours."""
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def from_pil(image: Image.Image, name: str = "the picture") -> Picture:
    """Take a PIL image apart; palettes, CMYK and the like become RGB.

    Raises
    ------
    BigsharpError
        It has no pixels, they are 32-bit integers or floats, or its file is damaged.
    """
    if image.mode in ("I", "F"):
        raise BigsharpError(f"{name}: 32-bit pixels are not supported; save it with 8 or 16 bits")
    if 0 in image.size:
        raise BigsharpError(f"{name}: has no pixels")
    if image.mode.startswith("I;16") and "transparency" in image.info:
        raise BigsharpError(
            f"{name}: 16 bits with transparency are not supported; save it with 8 bits, or opaque"
        )
    icc, exif = image.info.get("icc_profile"), _exif_of(image)
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        icc = None  # The profile does not describe the RGB values that come of it.
    mode = _working_mode(image)
    try:
        values = np.asarray(image.convert(mode))
    except OSError as error:
        raise BigsharpError(f"{name}: damaged or truncated ({error})") from None
    alpha = None
    if mode in ("RGBA", "LA"):
        values, alpha = values[..., :-1], values[..., -1]
        values = values[..., 0] if mode == "LA" else values
    return Picture(values, alpha, icc, exif, "JPEG" if image.format == "MPO" else image.format)


def _working_mode(image: Image.Image) -> str:
    """The mode, of L, LA, RGB, RGBA and I;16, that holds all that the image does."""
    mode = image.mode
    if mode.startswith("I;16"):
        return "I;16"
    grey = mode in ("1", "L", "LA", "La")
    transparent = "transparency" in image.info or mode in ("LA", "La", "PA", "RGBA", "RGBa")
    return ("L" if grey else "RGB") + ("A" if transparent else "")


def _exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block; out of a TIFF file, those of its tags that describe the picture."""
    if image.format != "TIFF":
        exif: bytes | None = image.info.get("exif")
        # Pillow gives JPEG's block with this mark and WebP's without, and JPEG needs it.
        return b"Exif\0\0" + exif.removeprefix(b"Exif\0\0") if exif else None
    tags, kept = image.getexif(), Image.Exif()
    for tag in _TIFF_TAGS & set(tags):
        kept[tag] = tags[tag]
    for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if entries := tags.get_ifd(block):
            kept.get_ifd(block).update(entries)
    return kept.tobytes() if kept else None


def to_pil(picture: Picture) -> Image.Image:
    """The picture as a PIL image of mode L, LA, RGB, RGBA or I;16."""
    image = Image.fromarray(picture.bands)
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    if picture.exif:
        image.info["exif"] = picture.exif
    return image


def check_path(path: str | Path) -> None:
    """Find out, before any work is done, whether a file can be written there.

    Raises
    ------
    BigsharpError
        The folder does not exist or may not be written to, or the path is a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise BigsharpError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise BigsharpError(f"{path}: no permission to write into {path.parent}")
    if path.is_dir():
        raise BigsharpError(f"{path}: is a folder; name a file in it")


def check_format(
    name: str | Path, kind: str, picture: Picture, height: int, width: int, quality: int | None
) -> None:
    """Find out, before any work is done, whether a format can hold `picture` at this size.

    Raises
    ------
    BigsharpError
        It cannot, or `quality` does not apply to it.
    """
    if picture.alpha is not None and kind not in _WITH_ALPHA:
        raise BigsharpError(f"{name}: {kind} cannot hold transparency; use .png, .webp or .tiff")
    if picture.pixels.dtype == np.uint16 and kind not in _WITH_16_BITS:
        raise BigsharpError(f"{name}: {kind} cannot hold 16 bits; use .png or .tiff")
    largest = _LARGEST_SIDE.get(kind)
    if largest and max(height, width) > largest:
        raise BigsharpError(
            f"{name}: {width} × {height} is more than {kind} can hold ({largest}); use .png"
        )
    if quality is not None and not (kind in _WITH_QUALITY and 1 <= quality <= 100):
        raise BigsharpError(f"{name}: quality is 1 to 100, and for JPEG and WebP alone")


def format_of(path: str | Path) -> str:
    """Pillow's name of the format that a file's extension stands for.

    Raises
    ------
    BigsharpError
        The extension is none of those that bigsharp writes.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        given = f"the extension {extension!r}" if extension else "a name without extension"
        raise BigsharpError(f"{path}: cannot write {given}; use one of {' '.join(FORMATS)}")
    return FORMATS[extension]


def encode(picture: Picture, kind: str, *, quality: int | None = None) -> bytes:
    """The bytes of a picture file.

    Parameters
    ----------
    picture : Picture
    kind : {"PNG", "JPEG", "WEBP", "TIFF", "BMP"}
    quality : int, optional
        1 to 100 for JPEG (default 95, colour not subsampled) and WebP (default lossless).

    Raises
    ------
    BigsharpError
        The format cannot hold it.
    """
    buffer = io.BytesIO()
    _save(picture, kind, buffer, quality)
    return buffer.getvalue()


def write(picture: Picture, path: str | Path, *, quality: int | None = None) -> None:
    """Write a picture file whole or not at all.

    Raises
    ------
    BigsharpError
        The file cannot be written, or its format cannot hold the picture.
    """
    with whole_file(path) as file:
        _save(picture, format_of(path), file, quality)


def _save(picture: Picture, kind: str, file: IO[bytes], quality: int | None) -> None:
    options: dict[str, Any] = {}
    if kind == "JPEG":
        options = {"quality": quality or 95, "subsampling": 0}
    elif kind == "WEBP":
        options = {"quality": quality} if quality else {"lossless": True}
    elif kind == "TIFF" and not _has_blocks(picture.exif):
        # libtiff compresses, but cannot write EXIF's inner blocks; Pillow alone can.
        options = {"compression": "tiff_deflate"}
    if picture.exif and kind != "BMP":
        options["exif"] = picture.exif
    try:
        Image.fromarray(picture.bands).save(file, kind, icc_profile=picture.icc, **options)
    except (ValueError, RuntimeError, struct.error) as error:
        raise BigsharpError(f"{kind} cannot hold this picture ({error}); use .png") from None


def _has_blocks(exif: bytes | None) -> bool:
    """Whether an EXIF block has blocks within it: the camera's settings, or a place."""
    tags = Image.Exif()
    tags.load(exif or b"")
    return ExifTags.IFD.Exif in tags or ExifTags.IFD.GPSInfo in tags
