"""What the patch-wise methods share: features of LR patches, and the HR plane put together.

They look at 3 × 3 LR pixels at a time, with full overlap: one patch a pixel. The published features
are filters on the ILR image, reduced by PCA. Because a patch always begins at an LR pixel, filters,
bicubic interpolation and PCA are together one linear map of the 9 × 9 LR pixels around it, and that
is what is stored and run: a product of 81 × d, where the ILR's features would take 36 s² × d.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from bigsharp import limits
from bigsharp.image.arrays import Array
from bigsharp.image.resize import AxisMap, interpolate
from bigsharp.image.tiles import Part, tiles

#: Side of a patch, in LR pixels.
PATCH = 3

#: LR pixels that a feature sees beyond its centre: 1 of the patch, 1 of the filters, 2 of bicubic.
REACH = 4
_SEEN = 2 * REACH + 1

# Side of a tile in LR pixels: 30 MB at ×4, and 4 % of the patches are computed twice.
_TILE = 96


def gradient_map(scale: int) -> Array:
    """First and second derivatives of the ILR patch, as a map from the LR pixels around it.

    Parameters
    ----------
    scale : int
        s; the filters are ``[1, 0, −1]`` and ``[1, 0, −2, 0, 1] / 2`` with s − 1 zeros for each,
        along and across.

    Returns
    -------
    ndarray of float64, shape (4 · 9 s², 81)

    References
    ----------
    R. Zeyde, M. Elad, M. Protter, "On single image scale-up using sparse-representations", Curves
    and Surfaces 2010.
    """
    enlarge = AxisMap.bicubic(_SEEN, _SEEN * scale, scale).matrix(_SEEN)
    first = (REACH - PATCH // 2) * scale

    def shifted(offset: int) -> Array:
        return enlarge[first + offset : first + offset + PATCH * scale]

    plain = shifted(0)
    slope = shifted(scale - scale // 2) - shifted(-(scale // 2))
    curve = (shifted(scale) - 2 * plain + shifted(-scale)) / 2
    pairs = [(plain, slope), (slope, plain), (plain, curve), (curve, plain)]
    return np.concatenate([np.kron(rows, columns) for rows, columns in pairs])


def padded(lr: Array) -> Array:
    """The LR plane with what features and overlap see beyond its border, its nearest pixel."""
    return np.pad(lr, REACH + PATCH // 2, mode="edge")


def surroundings(lr: Array, picked: Array | None = None) -> Array:
    """The 9 × 9 pixels around every pixel that has them all, without their centre's value.

    Parameters
    ----------
    lr : ndarray, shape (H, W)
    picked : ndarray of intp, optional
        Numbers of those pixels, row by row; all of them by default.

    Returns
    -------
    ndarray, shape ((H − 8) · (W − 8), 81), or (len(picked), 81)
        Features do not depend on the centre's value; without it, a constant patch is exactly 0.
    """
    windows = np.lib.stride_tricks.sliding_window_view(lr, (_SEEN, _SEEN))
    flat = _flattened(windows, picked)
    return flat - flat[:, flat.shape[1] // 2, None]


def cut(plane: Array, scale: int, picked: Array | None = None) -> Array:
    """The (3 s)² HR pixels of the patch around every LR pixel but the border's.

    Parameters
    ----------
    plane : ndarray, shape (s · H, s · W)
    picked : ndarray of intp, optional
        Numbers of those LR pixels, row by row; all of them by default.

    Returns
    -------
    ndarray, shape ((H − 2) · (W − 2), 9 s²), or (len(picked), 9 s²)
    """
    side = PATCH * scale
    windows = np.lib.stride_tricks.sliding_window_view(plane, (side, side))
    return _flattened(windows[::scale, ::scale], picked)


def _flattened(windows: Array, picked: Array | None) -> Array:
    if picked is not None:
        windows = windows[np.unravel_index(picked, windows.shape[:2])]
    return windows.reshape(-1, windows.shape[-2] * windows.shape[-1])


def overlapped(patches: Array, height: int, width: int, scale: int) -> Array:
    """The mean of overlapping patches, where all nine of a pixel's are there.

    Parameters
    ----------
    patches : ndarray, shape ((H + 2) · (W + 2), 9 s²)
        As `cut` gives them, of a plane with one more LR pixel on each side.
    height, width : int
        H and W, in LR pixels.
    scale : int

    Returns
    -------
    ndarray, shape (s · H, s · W)
    """
    grid = patches.reshape(height + 2, width + 2, PATCH, scale, PATCH, scale)
    total = np.zeros((height, scale, width, scale), patches.dtype)
    for row in range(PATCH):
        for column in range(PATCH):
            rows = slice(PATCH - 1 - row, PATCH - 1 - row + height)
            columns = slice(PATCH - 1 - column, PATCH - 1 - column + width)
            total += grid[rows, columns, row, :, column].transpose(0, 2, 1, 3)
    total /= PATCH * PATCH
    return total.reshape(height * scale, width * scale)


def shaped(name: str, values: Array, *shape: int) -> Array:
    """Real numbers that were learned, as float32; a ValueError where they have another shape."""
    if values.dtype.kind != "f":
        raise ValueError(f"{name} are {values.dtype}")
    if values.shape != shape:
        raise ValueError(f"{name} are {values.shape}, not {shape}")
    return values.astype(np.float32)


def atoms_like(name: str, values: Array, features: Array) -> Array:
    """Atoms, (K, d), of unit length, for features of (81, d); as `shaped`."""
    if not 1 <= len(values) <= limits.ATOMS:
        raise ValueError(f"{name} are {limits.ATOMS} at most")
    return shaped(name, values, len(values), features.shape[1])


class PatchMethod(ABC):
    """A method that predicts the residual of every patch from its features, and averages.

    Parameters
    ----------
    scale : int
    features : ndarray, shape (81, d)
        From the LR pixels around a patch to its features.
    """

    def __init__(self, scale: int, features: Array) -> None:
        if type(scale) is not int or not 2 <= scale <= limits.LARGEST_SCALE:
            raise ValueError(f"its scale is a whole number from 2 to {limits.LARGEST_SCALE}")
        if features.ndim != 2 or features.shape[1] > limits.FEATURES:
            raise ValueError(f"it has {limits.FEATURES} features at most")
        self.scale = scale
        self.features = shaped("features", features, _SEEN**2, features.shape[1])

    @property
    def parameters(self) -> int:
        """Learned values."""
        return sum(value.size for value in vars(self).values() if isinstance(value, np.ndarray))

    @abstractmethod
    def predict(self, features: Array) -> Array:
        """The residual patches, float32 (n, 9 s²), of features, float32 (n, d)."""

    def parts(self, lr: Array) -> Iterator[Part]:
        """Restore a plane a tile at a time; see `restore`."""
        height, width = lr.shape
        lr = lr.astype(np.float32, copy=False)
        wide = padded(lr)
        rows, columns = (AxisMap.bicubic(n, n * self.scale, self.scale) for n in lr.shape)
        # The tile's patches reach one LR pixel further than the tile, and their features four more.
        beyond = 2 * (REACH + PATCH // 2)
        for tile in tiles(height, width, _TILE, 0):
            down, across = tile.core
            seen = wide[down.start : down.stop + beyond, across.start : across.stop + beyond]
            # Learned values may be so large that there is no result; whoever takes it will see.
            with np.errstate(over="ignore", invalid="ignore"):
                patches = self.predict(surroundings(seen) @ self.features)
                size = (down.stop - down.start, across.stop - across.start)
                residual = overlapped(patches, *size, self.scale)
            window = (self._scaled(down), self._scaled(across))
            yield window, interpolate(lr, (rows, columns), window) + residual

    def _scaled(self, part: slice) -> slice:
        return slice(part.start * self.scale, part.stop * self.scale)

    def restore(self, lr: Array) -> Array:
        """Restore a plane.

        Parameters
        ----------
        lr : ndarray of float32, shape (H, W)
            LR luma in [0, 1]; of any size.

        Returns
        -------
        ndarray of float32, shape (s · H, s · W)
            HR luma, not clipped.
        """
        result = np.empty((lr.shape[0] * self.scale, lr.shape[1] * self.scale), np.float32)
        for window, values in self.parts(lr):
            result[window] = values
        return result


class CoupledDictionary(PatchMethod):
    """A method that makes a residual of those of atoms, as it makes the features of the atoms.

    Parameters
    ----------
    scale : int
    features : ndarray, shape (81, d)
    atoms : ndarray, shape (K, d)
        Of unit length.
    patches : ndarray, shape (K, 9 s²)
        The residual patch of each atom.
    """

    def __init__(self, scale: int, features: Array, atoms: Array, patches: Array) -> None:
        super().__init__(scale, features)
        self.atoms = atoms_like("atoms", atoms, features)
        self.patches = shaped("patches", patches, len(atoms), (PATCH * scale) ** 2)
