"""Neighbour embedding with locally linear weights (NE+LLE)."""

from __future__ import annotations

import numpy as np

from bigsharp.classic.patches import CoupledDictionary
from bigsharp.image.arrays import Array

#: Neighbours of a patch.
NEIGHBOURS = 24

# Of the trace, added to the diagonal of the neighbours' Gram matrix, as in the LLE of Saul and
# Roweis (2000); without it neighbours that are alike have no weights of their own.
_DAMPING = 1e-4

# Where a patch is one atom, many times over.
_LEAST = np.float32(1e-30)

# Features of a flat patch are divided by this in place of their length, 0.
_SHORTEST = np.float32(1e-6)

# Patches that are embedded together; their products with the atoms stay in the cache.
_BLOCK = 512


class NeighbourEmbedding(CoupledDictionary):
    """A patch's features, of unit length, from its 24 nearest atoms, with weights that sum to 1.

    The residual is the sum of the atoms' residuals, by the same weights, at the features' length.

    References
    ----------
    H. Chang, D.-Y. Yeung, Y. Xiong, "Super-resolution through neighbor embedding", CVPR 2004; with
    the features and the dictionary of R. Timofte, V. De Smet, L. Van Gool, "Anchored neighborhood
    regression for fast example-based super-resolution", ICCV 2013.
    """

    def predict(self, features: Array) -> Array:
        """The residual patches; see `PatchMethod.predict`."""
        blocks = range(0, len(features), _BLOCK)
        return np.concatenate([self._embed(features[b : b + _BLOCK]) for b in blocks])

    def _embed(self, features: Array) -> Array:
        # What is embedded is the direction: atoms have no length of their own.
        lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _SHORTEST)
        features = features / lengths
        near = np.argpartition(features @ -self.atoms.T, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        apart = self.atoms[near] - features[:, None]
        gram = apart @ apart.transpose(0, 2, 1)
        trace = np.trace(gram, axis1=1, axis2=2)[:, None, None]
        gram += np.maximum(_DAMPING * trace, _LEAST) * np.eye(NEIGHBOURS, dtype=np.float32)
        weights = np.linalg.solve(gram, np.ones((len(gram), NEIGHBOURS, 1), np.float32))[..., 0]
        weights *= lengths / weights.sum(axis=1, keepdims=True)
        return (weights[:, None] @ self.patches[near])[:, 0]
