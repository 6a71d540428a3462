"""A+: adjusted anchored neighbourhood regression."""

from __future__ import annotations

import numpy as np

from bigsharp.classic.patches import PATCH, PatchMethod, atoms_like, shaped
from bigsharp.image.arrays import Array

# Patches that are compared with the anchors together; the products stay in the cache.
_BLOCK = 512


class APlus(PatchMethod):
    """A patch's residual by the linear regressor of the atom that its features are nearest to.

    Parameters
    ----------
    scale : int
    features : ndarray, shape (81, d)
    anchors : ndarray, shape (K, d)
        The atoms, of unit length.
    regressors : ndarray, shape (K, d, r)
        From features to a residual patch in the basis.
    basis : ndarray, shape (r, 9 s²)
        What all the residual patches that the regressors predict are sums of.

    References
    ----------
    R. Timofte, V. De Smet, L. Van Gool, "A+: Adjusted anchored neighborhood regression for fast
    super-resolution", ACCV 2014.
    """

    def __init__(
        self, scale: int, features: Array, anchors: Array, regressors: Array, basis: Array
    ) -> None:
        super().__init__(scale, features)
        self.anchors = atoms_like("anchors", anchors, features)
        side = (PATCH * scale) ** 2
        self.basis = shaped("basis", basis, min(len(basis), side), side)
        size = (len(anchors), features.shape[1], len(basis))
        self.regressors = shaped("regressors", regressors, *size)

    def predict(self, features: Array) -> Array:
        """The residual patches; see `PatchMethod.predict`."""
        nearest = self._nearest(features)
        # One product an anchor, for the patches that are nearest to it.
        order = np.argsort(nearest, kind="stable")
        ends = np.searchsorted(nearest[order], np.arange(len(self.anchors) + 1))
        features = features[order]
        sums = np.empty((len(features), self.regressors.shape[2]), np.float32)
        for anchor in np.flatnonzero(np.diff(ends)):
            these = slice(ends[anchor], ends[anchor + 1])
            np.matmul(features[these], self.regressors[anchor], out=sums[these])
        patches = np.empty((len(features), self.basis.shape[1]), np.float32)
        patches[order] = sums @ self.basis
        return patches

    def _nearest(self, features: Array) -> Array:
        """The anchor of each patch; one that points the other way is as near."""
        found = np.empty(len(features), np.intp)
        closeness = np.empty((_BLOCK, len(self.anchors)), np.float32)
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK]
            here = closeness[: len(block)]
            np.abs(np.matmul(block, self.anchors.T, out=here), out=here)
            here.argmax(axis=1, out=found[start : start + _BLOCK])
        return found
