"""Sparse coding, as Zeyde et al. scale a picture up."""

from __future__ import annotations

import numpy as np

from bigsharp.classic.dictionary import pursue
from bigsharp.classic.patches import CoupledDictionary
from bigsharp.image.arrays import Array

#: Atoms that a patch is a sum of.
ATOMS = 3


class SparseCoding(CoupledDictionary):
    """A patch's features as a sum of 3 atoms; the residual is the same sum of the atoms' residuals.

    References
    ----------
    R. Zeyde, M. Elad, M. Protter, "On single image scale-up using sparse-representations", Curves
    and Surfaces 2010.
    """

    def predict(self, features: Array) -> Array:
        """The residual patches; see `PatchMethod.predict`."""
        chosen, weights = pursue(features, self.atoms, ATOMS)
        return np.einsum("nk,nkp->np", weights, self.patches[chosen])
