"""A model that a network is trained towards, in the place of HR."""

from __future__ import annotations

import torch
from torch import Tensor

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.training.recipe import Recipe
from bigsharp.training.schedules import is_final


class Teacher:
    """What a network's output is to be: a better network's, and at the end HR.

    Most of what HR has beyond a small network's output, no network can know; drawn anew with every
    patch, it is noise in the gradient. What a better network knows of it is what there is to learn.

    Parameters
    ----------
    recipe : Recipe
        Of which `teacher` names the model, and `final_share` the steps at the end without it.
    device : torch.device

    Raises
    ------
    BigsharpError
        There is no such model, or it does something else.

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._recipe, self._network = recipe, None
        if not recipe.teacher:
            return
        packed = networks.find(recipe.teacher)
        if packed.task != recipe.task:
            raise BigsharpError(
                f"recipe {recipe.name}: its teacher, {recipe.teacher}, does {packed.task}, "
                f"and the recipe {recipe.task}"
            )
        network = networks.unpack(packed, recipe.teacher)
        # Not to be trained; but on a CPU the fast convolutions are those of training.
        self._network = network.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def target(self, ilr: Tensor, hr: Tensor, step: int) -> Tensor:
        """What the output for `ilr` is to be at step `step`, both (N, 1, H, W)."""
        if self._network is None or is_final(self._recipe, step):
            return hr
        return self._network(ilr).detach()
