"""What every network has: its receptive field, its weights counted, its cost counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from bigsharp.weights.file import Graph


class Network(nn.Module, ABC):
    """A network that restores ILR luma, shape (N, 1, H, W) in [0, 1], at the same size.

    Attributes
    ----------
    options : dict
        The arguments that build this network again; kept in every checkpoint.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    @property
    @abstractmethod
    def graph(self) -> Graph:
        """How its convolutions follow one another, for the engines."""

    @property
    @abstractmethod
    def receptive_field(self) -> int:
        """Width and height, in pixels, of the input that one output pixel depends on."""

    @property
    def halo(self) -> int:
        """Pixels that a tile needs around it: the receptive field's radius."""
        return self.receptive_field // 2

    @property
    def parameter_count(self) -> int:
        """Trained values, biases included."""
        return sum(p.numel() for p in self.parameters())

    @property
    def weight_count(self) -> int:
        """Filter weights, biases not counted (the number the papers give)."""
        return sum(conv.weight.numel() for conv in self.modules() if isinstance(conv, nn.Conv2d))

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-accumulates for one pixel of output (2 FLOP each), biases not counted.

        Shared weights count as often as they are applied.
        """
        graph = self.graph
        names = [name for name, *_ in (*graph.layers, *graph.outputs)]
        return sum(self.get_parameter(f"{name}.weight").numel() for name in names)

    @property
    @abstractmethod
    def pairs(self) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
        """Each convolution whose ReLU one other convolution alone reads, and that other."""

    @abstractmethod
    def forward(self, ilr: Tensor) -> Tensor:
        """Restore `ilr`; the output is not clipped."""

    @property
    def prediction_count(self) -> int:
        """How many predictions training can supervise."""
        return 1

    def predictions(self, ilr: Tensor, chosen: Sequence[int] = ()) -> Tensor:
        """What training supervises, (P, N, 1, H, W): here the output alone.

        Parameters
        ----------
        ilr : Tensor, shape (N, 1, H, W)
        chosen : sequence of int
            The P predictions to make, of `prediction_count`, in rising order; all by default.
        """
        return self.forward(ilr)[None]

    def combine(self, predictions: Tensor, chosen: Sequence[int] = ()) -> Tensor:
        """The output, (N, 1, H, W), from what `predictions` gave for the same choice."""
        return predictions[0]

    def limit(self, count: int) -> None:
        """Let only the first `count` predictions count in the output."""

    def __call__(self, ilr: Tensor) -> Tensor:
        """Run `forward`; here only because `nn.Module` leaves its call untyped."""
        return super().__call__(ilr)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3×3 convolution, zero-padded to keep the size, initialised for ReLU (He et al. 2015)."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
