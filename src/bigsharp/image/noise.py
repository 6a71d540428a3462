"""How much noise a picture has."""

from __future__ import annotations

import math

import numpy as np

from bigsharp.image.arrays import Array, to_unit
from bigsharp.image.tiles import even_parts

#: The side of the squares whose noise is measured, and how many of 100 have less than what is taken
#: for the picture's; the rest may be texture.
_SQUARE, _SMOOTH = 16, 20

#: What that share has of the noise that is there, by chance; measured on noise alone.
_BELOW = 0.93

#: Above this kurtosis (3 is a normal distribution's) what is there is no noise. In the smooth
#: squares of 200 photographs with noise it was 2.9 to 3.6, of text with a pixel between its lines
#: 4.5 and more; of 19 clean photographs that seemed noisy by their spread, 14 were above. So is
#: noise of which JPEG left little, and that goes with the blocks.
_PEAKED = 4.5

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
        0 for a picture too small to tell, or whose details are not spread as noise is.
    """
    if min(pixels.shape[:2]) < _SQUARE + 2:
        return 0.0
    planes = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    spreads, kurtoses = np.mean([_smooth_squares(plane) for plane in planes], axis=0)
    return 0.0 if kurtoses > _PEAKED else 255 * float(spreads) / _BELOW


def _smooth_squares(plane: Array) -> tuple[float, float]:
    """The standard deviation of the mask in smooth squares, at most, and its kurtosis there."""
    second, fourth = _moments(plane)
    bound = np.percentile(second, _SMOOTH)
    smooth = (second <= bound) & (second > 0)
    kurtoses = fourth[smooth] / np.square(second[smooth])
    return math.sqrt(bound), float(kurtoses.mean()) if smooth.any() else 0.0


def _moments(plane: Array) -> tuple[Array, Array]:
    """The second and the fourth moment of the mask in each square, shape (N, M)."""
    height, width = ((n - 2) // _SQUARE for n in plane.shape)
    second, fourth = np.empty((2, height, width), np.float32)
    for part in even_parts(height, _ROWS):
        rows = slice(part.start * _SQUARE, part.stop * _SQUARE + 2)
        band = to_unit(plane[rows, : width * _SQUARE + 2])
        across = band[:-2] - 2 * band[1:-1] + band[2:]
        mask = (across[:, :-2] - 2 * across[:, 1:-1] + across[:, 2:]) / 6
        squares = np.square(mask).reshape(-1, _SQUARE, width, _SQUARE)
        second[part] = squares.mean(axis=(1, 3))
        fourth[part] = np.square(squares).mean(axis=(1, 3))
    return second, fourth
