"""How much noise a picture has."""

from __future__ import annotations

import numpy as np

from bigsharp.image.arrays import Array, to_unit
from bigsharp.image.tiles import even_parts

#: The side of the squares whose noise is measured, and how many of 100 have less than what is taken
#: for the picture's; the rest may be texture.
_SQUARE, _SMOOTH = 16, 20

#: What that share has of the noise that is there, by chance; measured on noise alone.
_BELOW = 0.93

#: Rows of squares that are measured together.
_ROWS = 16


def noise_of(pixels: Array) -> float:
    """The standard deviation of a picture's noise, about, in grey levels of 255.

    The mask is that of J. Immerkær, "Fast noise variance estimation", CVIU 64, 1996, which a plane
    passes as 0. It is taken by squares, of which the smooth ones count, and of colours by the mean.

    Parameters
    ----------
    pixels : ndarray of uint8, uint16 or float in [0, 1], shape (H, W) or (H, W, 3)

    Returns
    -------
    float
        0 for a picture too small to tell.
    """
    if min(pixels.shape[:2]) < _SQUARE + 2:
        return 0.0
    planes = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    return (
        255 * float(np.mean([np.percentile(_spread(plane), _SMOOTH) for plane in planes])) / _BELOW
    )


def _spread(plane: Array) -> Array:
    """The root mean square of the mask in each square, shape (N, M)."""
    height, width = ((n - 2) // _SQUARE for n in plane.shape)
    spread = np.empty((height, width), np.float32)
    for part in even_parts(height, _ROWS):
        rows = slice(part.start * _SQUARE, part.stop * _SQUARE + 2)
        band = to_unit(plane[rows, : width * _SQUARE + 2])
        second = band[:-2] - 2 * band[1:-1] + band[2:]
        mask = (second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:]) / 6
        squares = np.square(mask).reshape(-1, _SQUARE, width, _SQUARE)
        spread[part] = np.sqrt(squares.mean(axis=(1, 3)))
    return spread
