"""The information fidelity criterion, which the papers of the time report beside PSNR and SSIM.

H. R. Sheikh, A. C. Bovik, G. de Veciana, "An information fidelity criterion for image quality
assessment using natural scene statistics", IEEE Trans. Image Processing 14(12), 2005; with the
settings of the authors' ``ifcvec`` release, whose numbers these are.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bigsharp.image.arrays import Array

_LEVELS = 4
_ORDER = 5
#: The horizontal and the vertical one of the six orientations.
_BANDS = (0, 3)
#: Coefficients are modelled as vectors of 3 × 3.
_BLOCK = 3
_VARIANCE_FLOOR = 1e-15
_NOISE_FLOOR = 1e-10

#: So that a block is left of the coarsest subband, without those at its border.
SMALLEST = 3 * _BLOCK * 2 ** (_LEVELS - 1)


def ifc(image: Array, reference: Array) -> float:
    """Information that an image shares with its reference, in bits a pixel.

    Parameters
    ----------
    image, reference : ndarray, shape (H, W) or (H, W, C)
        Values in [0, 255]; of several channels the mean is taken.

    Returns
    -------
    float
        At least 0, the more the better; large, not infinite, for equal images.

    Raises
    ------
    ValueError
        A side is shorter than `SMALLEST`.
    """
    if min(image.shape[:2]) < SMALLEST:
        raise ValueError(f"IFC needs {SMALLEST} × {SMALLEST} pixels inside the border")
    channels = zip(np.atleast_3d(image).T, np.atleast_3d(reference).T, strict=True)
    return fmean(_ifc_of_channel(one.T, other.T) for one, other in channels)


def _ifc_of_channel(image: Array, reference: Array) -> float:
    ours, theirs = _pyramid(image), _pyramid(reference)
    bits = sum(
        # The window, like the subband, doubles with every finer level.
        _shared_bits(ours[level, band], theirs[level, band], 2 ** (_LEVELS - level) + 1)
        for level in range(_LEVELS)
        for band in _BANDS
    )
    return bits / reference.size


def _pyramid(image: Array) -> dict[tuple[int, int], Array]:
    """The steerable pyramid's subbands by level, the finest first, and orientation."""
    from pyrtools.pyramids import SteerablePyramidSpace

    return SteerablePyramidSpace(image.astype(np.float64), _LEVELS, _ORDER).pyr_coeffs


def _shared_bits(image: Array, reference: Array, window: int) -> float:
    """Mutual information of one subband (section III of the paper)."""
    height, width = (n // _BLOCK * _BLOCK for n in reference.shape)
    image, reference = image[:height, :width], reference[:height, :width]
    gain, noise = _distortion(image, reference, window)
    spread, eigenvalues = _source(reference)
    # Windows that hang over the border do not count.
    edge = -(-(window // 2) // _BLOCK)
    inside = (slice(edge, -edge), slice(edge, -edge))
    signal = (gain**2 * spread / (noise + _NOISE_FLOOR))[inside]
    return float(np.log2(1 + signal[..., None] * eigenvalues).sum())


def _distortion(image: Array, reference: Array, window: int) -> tuple[Array, Array]:
    """The channel ``image = gain · reference + noise`` around every block: gain, noise variance."""
    from scipy.ndimage import uniform_filter

    def mean(values: Array) -> Array:
        centres = slice(_BLOCK // 2, None, _BLOCK)
        return uniform_filter(values, window, mode="mirror")[centres, centres]

    mean_image, mean_reference = mean(image), mean(reference)
    covariance = mean(image * reference) - mean_image * mean_reference
    # Sums over the window, as the floor is one of sums.
    energy_image, energy_reference = (
        np.maximum(window**2 * (mean(values**2) - middle**2), 0)
        for values, middle in ((image, mean_image), (reference, mean_reference))
    )
    gain = window**2 * covariance / (energy_reference + _VARIANCE_FLOOR)
    noise = energy_image / window**2 - gain * covariance
    flat, dead = energy_reference < _VARIANCE_FLOOR, energy_image < _VARIANCE_FLOOR
    unrelated = flat | (gain < 0)
    noise = np.where(unrelated, energy_image, noise)
    gain = np.where(unrelated | dead, 0, gain)
    return gain, np.maximum(noise, _VARIANCE_FLOOR)


def _source(reference: Array) -> tuple[Array, Array]:
    """Gaussian scale mixture of the reference: spread of every block, covariance's eigenvalues."""
    side = (_BLOCK, _BLOCK)
    vectors = sliding_window_view(reference, side).reshape(-1, _BLOCK**2)
    covariance = np.cov(vectors.T, bias=True)
    blocks = sliding_window_view(reference, side)[::_BLOCK, ::_BLOCK]
    blocks = blocks.reshape(*blocks.shape[:2], _BLOCK**2)
    # A flat reference has no covariance to invert, and holds no information.
    inverse = np.linalg.pinv(covariance, hermitian=True)
    spread = np.einsum("hwi,ij,hwj->hw", blocks, inverse, blocks) / _BLOCK**2
    return spread, np.linalg.eigvalsh(covariance)
