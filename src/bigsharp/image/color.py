"""RGB to YCbCr and back: ITU-R BT.601, studio swing, as MATLAB's ``rgb2ycbcr``.

Floats span [0, 1], where Y lies in [16/255, 235/255] and Cb, Cr in [16/255, 240/255].
"""

from __future__ import annotations

import numpy as np

from bigsharp.image.arrays import Array, peak_of, round_to

#: From RGB in [0, 1]: ITU-R BT.601-7, section 2.5; the digits of MATLAB's function.
MATRIX = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    / 255
)
OFFSET = np.array([16.0, 128.0, 128.0]) / 255
INVERSE = np.linalg.inv(MATRIX)


def rgb_to_ycbcr(rgb: Array) -> Array:
    """Convert RGB to YCbCr.

    Parameters
    ----------
    rgb : ndarray, shape (..., 3)
        Float in [0, 1], or an unsigned integer type in its full range.

    Returns
    -------
    ndarray, shape (..., 3)
        Same dtype; integers are rounded, floats are not.
    """
    return _convert(rgb, MATRIX, OFFSET)


def ycbcr_to_rgb(ycbcr: Array) -> Array:
    """Convert YCbCr to RGB; the inverse of `rgb_to_ycbcr`.

    Parameters
    ----------
    ycbcr : ndarray, shape (..., 3)
        Float in [0, 1], or an unsigned integer type in its full range.

    Returns
    -------
    ndarray, shape (..., 3)
        Same dtype; integers are rounded and clipped, floats are neither.
    """
    return _convert(ycbcr, INVERSE, -INVERSE @ OFFSET)


def luma(rgb: Array) -> Array:
    """Y alone, as float: the first channel of `rgb_to_ycbcr` before any rounding.

    Parameters
    ----------
    rgb : ndarray, shape (..., 3)
        Float in [0, 1].

    Returns
    -------
    ndarray, shape (...)
    """
    return rgb @ MATRIX[0].astype(rgb.dtype) + rgb.dtype.type(OFFSET[0])


def _convert(image: Array, matrix: Array, offset: Array) -> Array:
    if np.issubdtype(image.dtype, np.floating):
        return image @ matrix.T.astype(image.dtype) + offset.astype(image.dtype)
    if not np.issubdtype(image.dtype, np.unsignedinteger):
        raise TypeError(f"colours are floats or unsigned integers, not {image.dtype}")
    peak = peak_of(image.dtype)
    result = image.astype(np.float64) @ matrix.T + offset * peak
    return round_to(image.dtype, result).astype(image.dtype)
