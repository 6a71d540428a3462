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


def to_unit(values: Array) -> Array:
    """Pixel values as float32, white being 1."""
    return values.astype(np.float32) / np.float32(peak_of(values.dtype))


def from_unit(values: Array, dtype: Any) -> Array:
    """Clip to [0, 1] and return to pixel values, rounded half up where they are whole numbers."""
    values = np.clip(values, 0, 1)
    if np.issubdtype(dtype, np.integer):
        values = np.floor(values * np.float32(peak_of(dtype)) + np.float32(0.5))
    return values.astype(dtype)
