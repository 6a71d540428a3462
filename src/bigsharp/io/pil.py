"""PIL images to pictures and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, peak_of
from bigsharp.io import metadata
from bigsharp.io.picture import Info, Jpeg, Picture

#: Modes whose values are made RGB; a profile says how.
_OTHER_COLOURS = ("CMYK", "LAB", "YCbCr", "HSV")


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
    try:
        pixels, alpha = _values(image)
    except (OSError, ImageCms.PyCMSError) as error:
        raise BigsharpError(f"{name}: damaged or truncated ({error})") from None
    return Picture(pixels, alpha, info_of(image), image.info.get("duration"))


def _values(image: Image.Image) -> tuple[Array, Array | None]:
    if image.mode.startswith("I;16"):
        return _keyed(np.asarray(image).astype(np.uint16), image.info.get("transparency"))
    if image.mode in _OTHER_COLOURS:
        return np.asarray(_to_srgb(image)), None
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")
    values = np.asarray(image.convert(mode))
    if not mode.endswith("A"):
        return values, None
    return (values[..., 0] if grey else values[..., :3]), values[..., -1]


def _keyed(values: Array, clear: Any) -> tuple[Array, Array | None]:
    """Grey values, and the alpha that one of them, if any, stands for."""
    if not isinstance(clear, int):
        return values, None
    alpha = np.where(values == clear, 0, peak_of(values.dtype)).astype(values.dtype)
    return values, alpha


def _to_srgb(image: Image.Image) -> Image.Image:
    """RGB of another colour space, by the picture's own profile if it has one that fits."""
    if image.mode in ("YCbCr", "HSV"):
        return image.convert("RGB")
    srgb = ImageCms.createProfile("sRGB")
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        return _transformed(image, ImageCms.createProfile("LAB"), srgb)
    if profile and profile[16:20] == b"CMYK":
        try:
            return _transformed(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb)
        except (OSError, ImageCms.PyCMSError):
            pass  # A damaged profile is none.
    return image.convert("RGB")


def _transformed(image: Image.Image, source: Any, target: Any) -> Image.Image:
    # Perceptual, the default, would make the blackest ink black.
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    converted = ImageCms.profileToProfile(image, source, target, intent, "RGB")
    assert converted is not None
    return converted


def info_of(image: Image.Image) -> Info:
    """What a PIL image carries besides its pixels."""
    said = image.info
    profile = None if image.mode in _OTHER_COLOURS else said.get("icc_profile")
    comment, xmp, dpi = said.get("comment"), said.get("xmp"), said.get("dpi")
    text = getattr(image, "text", {}) if image.format == "PNG" else {}
    return Info(
        format="JPEG" if image.format == "MPO" else image.format,
        icc=metadata.fitting_profile(profile, image.mode in ("1", "L", "LA", "La", "I;16")),
        exif=said.get("exif"),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        dpi=_dpi(dpi),
        comment=comment if isinstance(comment, bytes) else None,
        text={key: str(value) for key, value in text.items() if key != "XML:com.adobe.xmp"},
        jpeg=_jpeg_of(image),
        loop=said.get("loop"),
    )


def _dpi(said: Any) -> tuple[float, float] | None:
    try:
        horizontal, vertical = (float(value) for value in said)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (horizontal, vertical) if 0 < min(horizontal, vertical) < 1e6 else None


def _jpeg_of(image: Image.Image) -> Jpeg | None:
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    sampling = JpegImagePlugin.get_sampling(image)
    return Jpeg(image.quantization, sampling, bool(image.info.get("progressive")))


def to_pil(picture: Picture) -> Image.Image:
    """The picture as a PIL image of mode L, LA, RGB, RGBA or I;16."""
    image = Image.fromarray(picture.bands)
    kept = {"icc_profile": picture.info.icc, "exif": picture.info.exif, "dpi": picture.info.dpi}
    image.info.update({key: value for key, value in kept.items() if value})
    return image
