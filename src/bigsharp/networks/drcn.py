"""DRCN: one convolution applied again and again, every recursion reconstructed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bigsharp import limits
from bigsharp.errors import BigsharpError
from bigsharp.networks.convolution import convolve_relu
from bigsharp.networks.network import Network, conv3x3
from bigsharp.weights.file import Graph


class DRCN(Network):
    """Deeply-recursive convolutional network.

    The advanced model reconstructs a prediction after every recursion and returns their learned
    weighted mean; the basic model (``ensemble=False, skip=False``) reconstructs the last alone.

    Parameters
    ----------
    recursions : int
        Applications of the shared inference convolution.
    filters : int
        Channels of the embedding, inference and reconstruction nets.
    ensemble : bool
        Predict after every recursion (recursive supervision) and average.
    skip : bool
        Add the input to each prediction (skip-connection).

    References
    ----------
    J. Kim, J. K. Lee, K. M. Lee, "Deeply-recursive convolutional network for image
    super-resolution", CVPR 2016, sections 3 and 4.
    """

    def __init__(
        self,
        recursions: int = 16,
        filters: int = 256,
        ensemble: bool = True,
        skip: bool = True,
    ) -> None:
        if not (1 <= recursions <= limits.LAYERS and 1 <= filters <= limits.CHANNELS):
            raise ValueError(
                f"DRCN needs recursions ≥ 1 and filters ≥ 1, at most {limits.LAYERS} and "
                f"{limits.CHANNELS}, not {recursions} and {filters}"
            )
        super().__init__(recursions=recursions, filters=filters, ensemble=ensemble, skip=skip)
        self.recursions = recursions
        self.ensemble = ensemble
        self.skip = skip
        self.embedding = nn.ModuleList([conv3x3(1, filters), conv3x3(filters, filters)])
        self.inference = conv3x3(filters, filters)
        self.reconstruction = nn.ModuleList([conv3x3(filters, filters), conv3x3(filters, 1)])
        # Section 4.1: the recursive convolution starts as the identity.
        nn.init.dirac_(self.inference.weight)
        if skip:
            # Start from bicubic, as VDSR does: 150 steps of a 64-filter DRCN reached 27.52 dB at ×3
            # on held-out images, and 27.24 dB from random weights.
            nn.init.zeros_(self.reconstruction[1].weight)  # type: ignore[arg-type]
        # Equation 6: the predictions' weights, here starting equal.
        self.mixture = nn.Parameter(torch.full((recursions,), 1 / recursions)) if ensemble else None

    @property
    def graph(self) -> Graph:
        """Two layers, the recursion again and again, and a reconstruction behind each that counts.

        A state of the recursion is read twice; the reconstructions stand behind all of them.

        Raises
        ------
        BigsharpError
            The weights of the predictions add up to 0.
        """
        layers = [("embedding.0", 0), ("embedding.1", 1)]
        layers += [("inference", number + 2) for number in range(self.recursions)]
        shares = [0.0] * (self.recursions - 1) + [1.0]
        if self.mixture is not None:
            total = float(self.mixture.detach().sum())
            if total == 0:
                raise BigsharpError("the weights of a DRCN's predictions add up to 0: damaged")
            shares = (self.mixture.detach() / total).tolist()
        outputs = []
        for number, share in enumerate(shares):
            if share:
                layers.append(("reconstruction.0", number + 3))
                outputs.append(("reconstruction.1", len(layers), share))
        return Graph(tuple(layers), tuple(outputs), self.skip)

    @property
    def receptive_field(self) -> int:
        """Every convolution on the longest path adds 2: two, the recursions, and two."""
        return 2 * (self.recursions + 4) + 1

    @property
    def pairs(self) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
        """Those outside the recursion, whose state two convolutions read."""
        return [tuple(self.embedding), tuple(self.reconstruction)]  # type: ignore[list-item]

    @property
    def prediction_count(self) -> int:
        """One a recursion, or, without ensemble, the last alone."""
        return self.recursions if self.ensemble else 1

    def features(self, ilr: Tensor, count: int | None = None) -> list[Tensor]:
        """The hidden states H₁ … H_count (equations 2 to 4), all by default, (N, filters, H, W)."""
        x = convolve_relu(self.embedding[:1], ilr)
        x = convolve_relu(self.embedding[1:], x)
        states = []
        for _ in range(self.recursions if count is None else count):
            x = convolve_relu([self.inference], x)
            states.append(x)
        return states

    def reconstruct(self, state: Tensor, ilr: Tensor) -> Tensor:
        """One prediction from one hidden state (equation 5), (N, 1, H, W)."""
        x = convolve_relu(self.reconstruction[:1], state)
        x = self.reconstruction[1](x)
        return ilr + x if self.skip else x

    def predictions(self, ilr: Tensor, chosen: Sequence[int] = ()) -> Tensor:
        """The predictions of the chosen recursions, (P, N, 1, H, W); no later one is applied."""
        if not self.ensemble:
            return self.reconstruct(self.features(ilr)[-1], ilr)[None]
        chosen = chosen or range(self.recursions)
        states = self.features(ilr, chosen[-1] + 1)
        return torch.stack([self.reconstruct(states[number], ilr) for number in chosen])

    def combine(self, predictions: Tensor, chosen: Sequence[int] = ()) -> Tensor:
        """The output: the predictions' weighted mean (equation 6), (N, 1, H, W)."""
        if self.mixture is None:
            return super().combine(predictions)
        weights: Tensor = self.mixture
        if 0 < len(chosen) < self.recursions:
            # Among a few, weights near or below zero could add up to nothing.
            weights = weights[list(chosen)].clamp(min=1e-3)
        return _mean(weights, predictions)

    @torch.no_grad()
    def limit(self, count: int) -> None:
        """Let only the first `count` recursions count in the output.

        The weights of the others are 0; one that was 0 before starts as the mean of those that
        count already.
        """
        if self.mixture is None:
            return
        counted = self.mixture[:count]
        counted[counted == 0] = self.mixture[self.mixture != 0].mean()
        self.mixture[count:] = 0

    def forward(self, ilr: Tensor) -> Tensor:
        """Restore `ilr`, (N, 1, H, W) → (N, 1, H, W); what has no weight is not reconstructed."""
        if self.mixture is None:
            return self.combine(self.predictions(ilr))
        counting = self.mixture.nonzero().flatten().tolist() or list(range(self.recursions))
        return _mean(self.mixture[counting], self.predictions(ilr, counting))


def _mean(weights: Tensor, predictions: Tensor) -> Tensor:
    """The weighted mean of (P, N, 1, H, W)."""
    return torch.einsum("p,pnchw->nchw", weights / weights.sum(), predictions)
