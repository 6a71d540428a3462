"""The colour that lies under fully transparent pixels."""

from __future__ import annotations

import numpy as np

from bigsharp.image.arrays import Array, round_to


def fill_hidden(pixels: Array, alpha: Array) -> Array:
    """Give fully transparent pixels the colour of visible ones nearby.

    Nobody sees a hidden pixel's own colour, often black; enlarged with the rest it would fringe
    every edge. Means of ever larger blocks of visible pixels replace it ("push-pull", Gortler et
    al., The Lumigraph, SIGGRAPH 1996, section 3.4).

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    alpha : ndarray, shape (H, W)
        0 where a pixel is hidden.

    Returns
    -------
    ndarray
        `pixels` where they are visible; same shape and dtype.
    """
    visible = alpha > 0
    if visible.all() or not visible.any():
        return pixels
    colours = pixels.reshape(*alpha.shape, -1).astype(np.float32)
    filled = _fill(colours * visible[..., None], visible.astype(np.float32))
    if np.issubdtype(pixels.dtype, np.integer):
        filled = round_to(pixels.dtype, filled)
    hidden = filled.astype(pixels.dtype).reshape(pixels.shape)
    mask = visible if pixels.ndim == 2 else visible[..., None]
    return np.where(mask, pixels, hidden)


def _fill(sums: Array, counts: Array) -> Array:
    """Mean colour of each block: sums (H, W, C) over counts (H, W), taken from above where 0."""
    means = sums / np.maximum(counts, 1)[..., None]
    if counts.all():
        return means
    height, width = counts.shape
    odd = ((0, height % 2), (0, width % 2))
    coarse = _fill(_add_fours(np.pad(sums, (*odd, (0, 0)))), _add_fours(np.pad(counts, odd)))
    above = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(counts[..., None] > 0, means, above)


def _add_fours(values: Array) -> Array:
    """Sum each 2 × 2 block."""
    return values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]
