"""RFL: a regression forest with linear leaves."""

from __future__ import annotations

import numpy as np

from bigsharp import limits
from bigsharp.classic.patches import PATCH, PatchMethod, shaped
from bigsharp.image.arrays import Array

# Patches that are restored together; what the regressors are multiplied by is 8 MB of them.
_BLOCK = 512


class RFL(PatchMethod):
    """A patch's residual by the mean of the linear regressors of the leaves that it falls into.

    A split compares two features. A patch and its negative are one, because a regressor is linear:
    where the first feature is negative, the trees see the negative. A leaf's regressor is a sum of
    K that all leaves share, so that the mean over the trees is one of their shares, too.

    Parameters
    ----------
    scale : int
    features : ndarray, shape (81, d)
    roots : ndarray of int, shape (T,)
        The first node of each tree: the number of a split, or −1 − n for leaf n.
    pairs : ndarray of int, shape (S, 2)
        The features i, j that a split compares: a patch goes on to its second child where
        ``x[i] − x[j] ≥ threshold``.
    thresholds : ndarray, shape (S,)
    children : ndarray of int, shape (S, 2)
        Nodes, as in `roots`.
    shares : ndarray of int8, shape (L, K)
        Of each leaf in the shared regressors.
    shared : ndarray, shape (K, d, r)
        From features to a residual patch in the basis.
    basis : ndarray, shape (r, 9 s²)

    References
    ----------
    S. Schulter, C. Leistner, H. Bischof, "Fast and accurate image upscaling with super-resolution
    forests", CVPR 2015.
    """

    def __init__(
        self,
        scale: int,
        features: Array,
        roots: Array,
        pairs: Array,
        thresholds: Array,
        children: Array,
        shares: Array,
        shared: Array,
        basis: Array,
    ) -> None:
        super().__init__(scale, features)
        splits, (leaves, count), dimension = len(pairs), shares.shape, features.shape[1]
        if not 1 <= len(roots) <= limits.TREES or not 1 <= count <= limits.SHARED:
            raise ValueError(
                f"it has 1 to {limits.TREES} trees, and shares 1 to {limits.SHARED} regressors"
            )
        self.roots = _numbers("roots", roots, (len(roots),), -leaves, splits)
        self.pairs = _numbers("pairs", pairs, (splits, 2), 0, dimension)
        self.thresholds = shaped("thresholds", thresholds, splits)
        self.children = _numbers("children", children, (splits, 2), -leaves, splits)
        self.shares = _numbers("shares", shares, (leaves, count), -128, 128)
        side = (PATCH * scale) ** 2
        self.basis = shaped("basis", basis, min(len(basis), side), side)
        self.shared = shaped("shared", shared, count, dimension, len(basis))
        self._see_that_trees_end()

    def _see_that_trees_end(self) -> None:
        nodes = self.roots
        for _ in range(limits.DEPTH + 1):
            nodes = nodes[nodes >= 0]
            if len(nodes) == 0:
                return
            nodes = np.unique(self.children[nodes])
        raise ValueError(f"its trees are deeper than {limits.DEPTH}")

    def predict(self, features: Array) -> Array:
        """The residual patches; see `PatchMethod.predict`."""
        blocks = range(0, len(features), _BLOCK)
        return np.concatenate([self._regress(features[b : b + _BLOCK]) for b in blocks])

    def _regress(self, features: Array) -> Array:
        # The mean leaf's regressor would be another for each patch; a product with all the shared
        # ones, of features times shares, is the same sum.
        shares = self.shares[self.leaves(features)].sum(axis=0, dtype=np.float32)
        shares /= len(self.roots)
        products = shares[:, :, None] * features[:, None, :]
        shared = self.shared.reshape(-1, self.shared.shape[2])
        return products.reshape(len(features), -1) @ shared @ self.basis

    def leaves(self, features: Array) -> Array:
        """The leaf of each patch in each tree, intp (T, n), of features, float32 (n, d)."""
        trees, (count, dimension) = len(self.roots), features.shape
        # Flat indices: `take` is more than twice as fast as indexing by rows and columns.
        flat = np.where(features[:, :1] < 0, -features, features).ravel()
        rows = np.tile(np.arange(0, count * dimension, dimension), trees)
        first, second = self.pairs.T.astype(np.intp)
        children = self.children.ravel()
        nodes = np.repeat(self.roots.astype(np.intp), count)
        inside = np.flatnonzero(nodes >= 0)
        while len(inside):
            split, row = nodes[inside], rows[inside]
            apart = flat.take(row + first.take(split)) - flat.take(row + second.take(split))
            nodes[inside] = children.take(2 * split + (apart >= self.thresholds.take(split)))
            inside = inside[nodes[inside] >= 0]
        return -1 - nodes.reshape(trees, count)


def _numbers(name: str, values: Array, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Whole numbers, where they have this shape and lie in [low, high); else a ValueError."""
    if values.dtype.kind != "i" or values.shape != shape:
        raise ValueError(f"{name} are {values.dtype} {values.shape}, not whole numbers {shape}")
    if values.size and not low <= values.min() <= values.max() < high:
        raise ValueError(f"{name} are not all from {low} to {high - 1}")
    return values
