"""Sparse coding, as Zeyde et al. scale a picture up."""

from __future__ import annotations

import numpy as np

from bigsharp.classic.dictionary import pursue
from bigsharp.classic.patches import PatchMethod
from bigsharp.image.arrays import Array

#: Atoms that a patch is a sum of.
ATOMS = 3


class SparseCoding(PatchMethod):
    """A patch's features as a sum of 3 atoms; the residual is the same sum of the atoms' residuals.

    Parameters
    ----------
    scale : int
    features : ndarray, shape (81, d)
    atoms : ndarray, shape (K, d)
        Of unit length.
    patches : ndarray, shape (K, 9 s²)
        The residual patch of each atom.

    References
    ----------
    R. Zeyde, M. Elad, M. Protter, "On single image scale-up using sparse-representations", Curves
    and Surfaces 2010.
    """

    def __init__(self, scale: int, features: Array, atoms: Array, patches: Array) -> None:
        super().__init__(scale, features)
        self.atoms = atoms.astype(np.float32)
        self.patches = patches.astype(np.float32)

    def predict(self, features: Array) -> Array:
        """The residual patches; see `PatchMethod.predict`."""
        chosen, weights = pursue(features, self.atoms, ATOMS)
        return np.einsum("nk,nkp->np", weights, self.patches[chosen])
