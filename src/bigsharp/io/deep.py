"""Pixels that Pillow reads wrongly or with 8 bits alone, through OpenImageIO."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array, from_unit, peak_of, to_unit

#: What its libraries say of a compression that they were built without or have never had, and of
#: JPEG 2000 of other components.
_NO_DECODER = re.compile("is not (configured|implemented)|are supported")


def read(path: Path, page: int = 0, white_is_zero: bool = False) -> tuple[Array, Array | None]:
    """Decode one picture of a PNG, TIFF, PNM, JPEG 2000 or SGI file.

    Parameters
    ----------
    path : path
    page : int
        Directory of a TIFF.
    white_is_zero : bool
        TIFF's photometric interpretation 0, which OpenImageIO heeds in 8 bits alone.

    Returns
    -------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
        10- to 14-bit values are scaled to 16.
    alpha : ndarray, shape (H, W), or None

    Raises
    ------
    OSError
        It cannot be decoded.
    NotImplementedError
        This build of OpenImageIO does not know its compression, or its kind of pixels.
    BigsharpError
        OpenImageIO is not installed.
    """
    try:
        import OpenImageIO as oiio
    except ImportError:
        raise BigsharpError(
            "such pictures need OpenImageIO, of which not every machine has a build (pip install "
            "openimageio); or save it as PNG of 8 bits"
        ) from None

    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    file = oiio.ImageInput.open(str(path), config)
    if file is None:
        raise _fault(oiio.geterror())
    try:
        spec = file.spec(page)
        kind = oiio.UINT8 if spec.format.basesize() == 1 else oiio.UINT16
        values = file.read_image(page, 0, 0, spec.nchannels, kind)
        if values is None:
            raise _fault(file.geterror())
        # It says so of TIFF alone; the others' is never multiplied.
        stored = spec.get_int_attribute("oiio:UnassociatedAlpha", 0)
        premultiplied = file.format_name() == "tiff" and not stored
        last = spec.alpha_channel
    finally:
        file.close()
    values = values.reshape(spec.height, spec.width, -1)
    alpha = values[..., last] if last >= 0 else None
    colours = values.shape[2] - (alpha is not None)
    pixels = values[..., :3] if colours >= 3 else values[..., 0]
    if alpha is not None and premultiplied:
        pixels = _divided(pixels, alpha)
    if white_is_zero and pixels.dtype == np.uint16:
        pixels = np.uint16(peak_of(np.uint16)) - pixels
    return pixels, alpha


def _fault(said: str) -> OSError | NotImplementedError:
    return NotImplementedError(said) if _NO_DECODER.search(said) else OSError(said)


def _divided(pixels: Array, alpha: Array) -> Array:
    """Colours that were stored multiplied by alpha."""
    share = to_unit(alpha)
    share[share == 0] = 1
    if pixels.ndim == 3:
        share = share[..., None]
    return from_unit(to_unit(pixels) / share, alpha.dtype)
