"""The colour that lies under transparent pixels."""

from __future__ import annotations

import numpy as np

from bigsharp.image.arrays import Array, from_unit, to_unit

#: Below this share of its surroundings' alpha a pixel's own colour is not trusted whole. A white
#: disc on black of alpha 1/255 came out with 158 at its rim over white without, at ×2.
_TRUSTED = 0.25

#: Pixels around that count as surroundings.
_RADIUS = 4


def fill_hidden(pixels: Array, alpha: Array) -> Array:
    """Give clear and nearly clear pixels the colour of more visible ones nearby.

    Nobody sees a hidden pixel's own colour, often black; enlarged with the rest it would fringe
    every edge. Under nearly clear pixels the mean of their surroundings replaces it, weighted by
    alpha; under clear ones means of ever larger blocks ("push-pull", Gortler et al., The Lumigraph,
    SIGGRAPH 1996, section 3.4).

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    alpha : ndarray, shape (H, W)
        0 where a pixel is hidden.

    Returns
    -------
    ndarray
        `pixels` where they are as visible as their surroundings; same shape and dtype.
    """
    share = to_unit(alpha)
    if share.min() >= _TRUSTED or share.max() == 0:
        return pixels
    around = np.maximum(_mean_around(share), np.finfo(np.float32).tiny)
    trust = np.minimum(1, share / (_TRUSTED * around))
    colours = to_unit(pixels).reshape(*alpha.shape, -1)
    for colour in np.moveaxis(colours, -1, 0):
        local = _mean_around(colour * share) / around
        colour *= trust
        colour += local * (1 - trust)
    hidden = share == 0
    if hidden.any():
        weighted = colours * share[..., None]
        colours = np.where(hidden[..., None], _fill(weighted, share), colours)
    filled = from_unit(colours, pixels.dtype).reshape(pixels.shape)
    own = trust == 1
    return np.where(own if pixels.ndim == 2 else own[..., None], pixels, filled)


def _mean_around(values: Array) -> Array:
    """The mean of the square within `_RADIUS` of each pixel, the border repeated."""
    side = 2 * _RADIUS + 1
    for axis in (0, 1):
        widths = [(0, 0), (0, 0)]
        widths[axis] = (_RADIUS + 1, _RADIUS)
        sums = np.pad(values, widths, "edge").cumsum(axis=axis, dtype=np.float64)
        last, first = np.arange(side, sums.shape[axis]), np.arange(sums.shape[axis] - side)
        values = (sums.take(last, axis) - sums.take(first, axis)) / side
    # What rounding left of equal sums is nothing.
    return np.maximum(values, 0).astype(np.float32)


def _fill(sums: Array, counts: Array) -> Array:
    """Mean colour of each block: sums (H, W, C) over counts (H, W), taken from above where 0."""
    means = sums / np.where(counts > 0, counts, 1)[..., None]
    if counts.all() or counts.shape == (1, 1):
        return means
    height, width = counts.shape
    odd = ((0, height % 2), (0, width % 2))
    coarse = _fill(_add_fours(np.pad(sums, (*odd, (0, 0)))), _add_fours(np.pad(counts, odd)))
    above = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(counts[..., None] > 0, means, above)


def _add_fours(values: Array) -> Array:
    """Sum each 2 × 2 block."""
    return values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]
