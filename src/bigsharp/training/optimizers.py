"""The optimizers that a recipe can name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bigsharp.training.recipe import Recipe


class Muon(torch.optim.Optimizer):
    """Momentum whose every update is made orthogonal, for the weights of convolutions.

    PyTorch's own takes matrices alone. Here a kernel of shape (out, in, h, w) counts as an
    (out, in·h·w) matrix, and the layers of one shape are treated together: a deep network of equal
    layers then costs a handful of products of stacks, however deep it is.

    Parameters
    ----------
    parameters : iterable of Parameter, shape (out, in, h, w)
    lr : float
        Length of a step: an update has singular values near 1 before it.
    momentum : float
    weight_decay : float
        Decoupled: a step shortens every weight by this share of `lr`.
    centered : bool
        Take the mean over each filter's weights out of its gradient. Luma is positive, and so are
        the features that ReLU makes of it: without this every step moves a filter's answer to
        plain grey, until it is negative for all pictures and the filter is dead.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/

    H. Yong et al., "Gradient centralization: a new optimization technique for deep neural
    networks", ECCV 2020, equation 1.
    """

    #: The quintic that drives all singular values towards 1 in five rounds (the post's).
    POLYNOMIAL = (3.4445, -4.7750, 2.0315)
    ROUNDS = 5

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        centered: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults | {"centered": centered})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            alike = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._move(weights, group)

    def _move(self, weights: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One step for weights of one shape, with Nesterov's look ahead."""
        lr, momentum = group["lr"], group["momentum"]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        memory = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(memory, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, memory, momentum)
        matrices = torch.stack([a.flatten(1) for a in ahead])
        if group["centered"]:
            matrices = matrices - matrices.mean(2, keepdim=True)
        updates = orthogonalize(matrices)
        rows, columns = updates.shape[1:]
        length = lr * max(1.0, rows / columns) ** 0.5
        shaped = [u.view(w.shape) for u, w in zip(updates, weights, strict=True)]
        torch._foreach_mul_(list[Tensor](weights), 1 - lr * group["weight_decay"])
        torch._foreach_add_(list[Tensor](weights), shaped, alpha=-length)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Bring the singular values of each of (N, rows, columns) matrices near 1 (0.7 … 1.2)."""
    a, b, c = Muon.POLYNOMIAL
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    # The memory of a filter whose gradients have ended decays, and its products in turn become
    # denormal numbers, with which a CPU is slow: a step of VDSR took 0.4 s, not 0.25.
    x = F.hardshrink(x, 1e-7)
    for _ in range(Muon.ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def make_optimizers(recipe: Recipe, network: nn.Module) -> list[torch.optim.Optimizer]:
    """The recipe's optimizers, all the network's parameters shared out among them.

    Under "muon" the biases, and kernels with a single output, are left to Adam.
    """
    parameters = list(network.parameters())
    if recipe.optimizer == "sgd":
        decay = recipe.weight_decay
        return [torch.optim.SGD(parameters, recipe.lr, recipe.momentum, weight_decay=decay)]
    if recipe.optimizer == "adam":
        return [torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay)]
    kernels = [p for p in parameters if p.ndim == 4 and len(p) > 1]
    chosen = set(map(id, kernels))
    others = [p for p in parameters if id(p) not in chosen]
    return [
        Muon(kernels, recipe.lr, recipe.momentum, recipe.weight_decay, recipe.centered),
        torch.optim.AdamW(others, recipe.lr_adam, weight_decay=recipe.weight_decay),
    ]
