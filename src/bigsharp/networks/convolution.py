"""3 × 3 convolutions with ReLU that train fast on a CPU, by the native engine's kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from bigsharp import kernels
from bigsharp.image.arrays import Array


def convolve_relu(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """``relu(layer(x))`` for one convolution after another, (N, C, H, W) → (N, C', H, W).

    In training on a CPU, with as many channels out as in and a whole number of vectors of them, the
    native engine computes them and their gradients: by F(4 × 4, 3 × 3), which has about four times
    fewer products, and an image through all of them at a time. Elsewhere PyTorch does.
    """
    layers = list(layers)
    if layers and all(_is_for_native(layer, x) for layer in layers):
        values = [p for layer in layers for p in (layer.weight, layer.bias)]
        return _ConvolveRelu.apply(x, *values)  # type: ignore[no-untyped-call]
    for layer in layers:
        x = F.relu(layer(x), inplace=True)
    return x


def _is_for_native(layer: nn.Module, x: Tensor) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.training
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == layer.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and x.shape[1] == layer.in_channels == layer.out_channels
        and layer.kernel_size == (3, 3)
        and layer.padding == (1, 1)
        and layer.padding_mode == "zeros"
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.bias is not None
        and kernels.can_train(layer.in_channels)
    )


class _ConvolveRelu(torch.autograd.Function):
    """The same with its derivatives: each is a convolution, or a correlation, again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *values: Tensor) -> Tensor:
        weights, biases = values[::2], values[1::2]
        taps = [_taps(weight) for weight in weights]
        numbers = [bias.detach().numpy() for bias in biases]
        ctx.save_for_backward(*weights)
        ctx.chain = kernels.convolve(_pixels(x), taps, numbers, torch.get_num_threads())
        return torch.from_numpy(ctx.chain.output).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        taps = [_taps(weight) for weight in ctx.saved_tensors]
        to_x, to_taps, to_biases = ctx.chain.differentiate(
            _pixels(gradients[0]), taps, torch.get_num_threads()
        )
        result = [torch.from_numpy(to_x).permute(0, 3, 1, 2)]
        for to_weight, to_bias in zip(to_taps, to_biases, strict=True):
            result += [torch.from_numpy(to_weight).permute(3, 2, 0, 1), torch.from_numpy(to_bias)]
        return tuple(result)


def _taps(weight: Tensor) -> Array:
    """(outputs, inputs, 3, 3) as an array (3, 3, inputs, outputs)."""
    return weight.detach().permute(2, 3, 1, 0).contiguous().numpy()


def _pixels(x: Tensor) -> Array:
    """(N, C, H, W) as an array (N, H, W, C); a view, where the tensor is channels_last."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()
