"""Whether an engine gives on a device what it gives on the CPU in 32 bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array

#: In dB, between the two, of values in [0, 1]: 8 bits of it are the same.
_ENOUGH = 60


def require_same(
    name: str, given: Callable[[Array], Array], exact: Callable[[Array], Array]
) -> None:
    """Compare two ways to restore on a picture of edges and noise.

    Some devices and drivers give black, NaN or coarse numbers without a word.

    Parameters
    ----------
    name : str
        Of what is tried.
    given, exact : callable
        Each takes ILR luma, a float32 ndarray of shape (64, 64), about in [0, 1], and gives the
        restored luma of that shape, not clipped: on the device, and on the CPU in 32 bits.

    Raises
    ------
    BigsharpError
        Their PSNR is below 60 dB.
    """
    y, x = np.mgrid[:64, :64]
    edges = (x // 7 + y // 11) % 2 * 0.7 + 0.15
    ilr = (edges + np.random.default_rng(0).normal(0, 0.02, edges.shape)).astype(np.float32)
    error = np.mean((given(ilr).astype(np.float64) - exact(ilr)) ** 2)
    if not error < 10 ** (-_ENOUGH / 10):
        said = "no numbers" if np.isnan(error) else f"a PSNR of {-10 * np.log10(error):.0f} dB"
        raise BigsharpError(
            f"{name} gives another picture here than the CPU ({said} between them, not {_ENOUGH} "
            "or more); use another `engine`"
        )
