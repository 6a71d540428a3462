"""Pixel values in arrays: their type and their range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An image or a part of one; each function says its shape, type and range.
Array = NDArray[Any]


def peak_of(dtype: Any) -> float:
    """The value of white: 255 in 8 bits, 65535 in 16, 1 for floats."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def round_to(dtype: Any, values: Array) -> Array:
    """Round half up and clip to the range of an integer type.

    Parameters
    ----------
    dtype : dtype
        Of integers.
    values : ndarray of float, of any shape

    Returns
    -------
    ndarray of the same float type and shape
        Whole values.
    """
    info = np.iinfo(dtype)
    return np.clip(np.floor(values + values.dtype.type(0.5)), info.min, info.max)


def to_unit(values: Array) -> Array:
    """Pixel values of any type and shape as float32, white being 1."""
    return values.astype(np.float32) / np.float32(peak_of(values.dtype))


def from_unit(values: Array, dtype: Any) -> Array:
    """Return to pixel values.

    Parameters
    ----------
    values : ndarray of float, of any shape
        White is 1; what is beyond [0, 1] is clipped.
    dtype : dtype

    Returns
    -------
    ndarray of dtype, of the same shape
        Rounded half up where that holds whole numbers.
    """
    if np.issubdtype(dtype, np.integer):
        return round_to(dtype, values * values.dtype.type(peak_of(dtype))).astype(dtype)
    return np.clip(values, 0, 1).astype(dtype)
