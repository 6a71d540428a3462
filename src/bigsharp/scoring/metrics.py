"""PSNR and SSIM, as the published tables compute them."""

from __future__ import annotations

import math

import numpy as np

from bigsharp.image.arrays import Array

_WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def psnr(image: Array, reference: Array, *, border: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB.

    Parameters
    ----------
    image, reference : ndarray, shape (H, W) or (H, W, C)
        Values in [0, `peak`].
    border : int
        Pixels left out on every side.
    peak : float
        The largest value a pixel can have.

    Returns
    -------
    float
        ``10 log10(peak² / mean squared error)``; infinite for equal images.

    Raises
    ------
    ValueError
        The shapes differ, or nothing is left inside the border.
    """
    image, reference = _inner(image, reference, border)
    error = float(np.mean((image - reference) ** 2))
    return 10 * math.log10(peak * peak / error) if error else math.inf


def ssim(image: Array, reference: Array, *, border: int = 0, peak: float = 255.0) -> float:
    """Structural similarity: 11 × 11 Gaussian window, σ = 1.5, valid region, mean.

    Parameters
    ----------
    image, reference : ndarray, shape (H, W)
        Values in [0, `peak`].
    border : int
        Pixels left out on every side before the windows are laid.
    peak : float
        The largest value a pixel can have.

    Returns
    -------
    float
        At most 1, which equal images reach.

    Raises
    ------
    ValueError
        The shapes differ, or less than one window is left inside the border.

    References
    ----------
    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity",
    IEEE Trans. Image Processing 13(4), 2004, section III-B and the authors' ``ssim_index.m``.
    """
    image, reference = _inner(image, reference, border)
    if image.ndim != 2 or min(image.shape) < _WINDOW:
        raise ValueError(f"SSIM needs a single channel of at least 11 × 11, not {image.shape}")
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    mean_x, mean_y = _blur(image), _blur(reference)
    var_x = _blur(image * image) - mean_x * mean_x
    var_y = _blur(reference * reference) - mean_y * mean_y
    cov = _blur(image * reference) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * cov + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _inner(image: Array, reference: Array, border: int) -> tuple[Array, Array]:
    """Both images as float64, without their border."""
    if image.shape != reference.shape:
        raise ValueError(f"the images differ in size: {image.shape} and {reference.shape}")
    if min(image.shape[:2]) <= 2 * border:
        raise ValueError(f"a border of {border} leaves nothing of an image of {image.shape}")
    inside = slice(border, -border or None)
    return (
        image[inside, inside].astype(np.float64),
        reference[inside, inside].astype(np.float64),
    )


def _blur(image: Array) -> Array:
    """Gaussian window of SSIM, valid region, one axis after the other."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    height, width = (length - _WINDOW + 1 for length in image.shape)
    rows = sum(tap * image[k : k + height] for k, tap in enumerate(taps))
    return np.asarray(sum(tap * rows[:, k : k + width] for k, tap in enumerate(taps)))
