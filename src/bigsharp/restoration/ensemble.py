"""A restorer's mean over the symmetries of the square."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bigsharp.defaults import TILE
from bigsharp.image.arrays import Array
from bigsharp.image.tiles import Part
from bigsharp.restoration.restorer import Progress, Wrapping, silent
from bigsharp.restoration.target import Target

_WAYS = 8


class Ensemble(Wrapping):
    """Restore a plane turned and mirrored in each of 8 ways, and take the mean.

    Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super resolution",
    CVPR 2016, section 3.5. It takes 8 times as long, and the whole result is in memory as floats.

    Parameters
    ----------
    restorer : Restorer
    """

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Restore; the only part is the whole."""
        mean = np.zeros(target.size, np.float32)
        turned_target = Target(target.width, target.height, target.horizontal, target.vertical)
        total = _WAYS * target.height * target.width
        progress(0, total)
        for way in range(_WAYS):
            aim = turned_target if way & 4 else target
            turned = np.empty(aim.size, np.float32)
            seen = np.ascontiguousarray(_turn(plane, way))
            for window, values in self.restorer.restore(seen, aim, tile):
                turned[window] = values
            mean += _turn_back(turned, way) / _WAYS
            progress((way + 1) * total // _WAYS, total)
        yield (slice(0, target.height), slice(0, target.width)), mean


def _turn(plane: Array, way: int) -> Array:
    plane = plane.T if way & 4 else plane
    plane = plane[::-1] if way & 1 else plane
    return plane[:, ::-1] if way & 2 else plane


def _turn_back(plane: Array, way: int) -> Array:
    plane = plane[:, ::-1] if way & 2 else plane
    plane = plane[::-1] if way & 1 else plane
    return plane.T if way & 4 else plane
