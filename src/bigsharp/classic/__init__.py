"""Methods that are not networks: they learn from patches, and NumPy runs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np

from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from bigsharp.classic.patches import PatchMethod
    from bigsharp.weights.file import Learned

METHODS = {
    "sparse": ("bigsharp.classic.sparse", "SparseCoding"),
    "neighbours": ("bigsharp.classic.neighbours", "NeighbourEmbedding"),
    "aplus": ("bigsharp.classic.aplus", "APlus"),
    "rfl": ("bigsharp.classic.rfl", "RFL"),
}


def build(learned: Learned) -> PatchMethod:
    """A method with what it has learned.

    Raises
    ------
    BigsharpError
        The weights do not fit the method or one another.
    """
    module, name = METHODS[learned.architecture]
    try:
        method = getattr(importlib.import_module(module), name)(**learned.options, **learned.state)
        method.restore(np.zeros((1, 1), np.float32))
    except (IndexError, TypeError, ValueError) as error:
        raise BigsharpError(f"the weights are no {learned.architecture}'s ({error})") from None
    return method
