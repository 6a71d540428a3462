import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigsharp import kernels, networks
from bigsharp.networks.convolution import convolve_relu
from bigsharp.networks.network import Network

LANES = kernels._native.lanes()


def gradients(network: Network, ilr: torch.Tensor) -> list[torch.Tensor]:
    network.zero_grad()
    network.combine(network.predictions(ilr)).square().sum().backward()
    return [p.grad for p in network.parameters() if p.grad is not None]


@given(
    st.integers(1, 3), st.integers(1, 30), st.integers(1, 30), st.integers(1, 3),
    st.integers(1, 3), st.booleans(), st.integers(1, 4), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60)
def test_result_and_gradients_are_pytorch_s(
    images: int, height: int, width: int, vectors: int, depth: int, last: bool, threads: int,
    seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    channels = vectors * LANES
    layers = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(images, channels, height, width).to(memory_format=layout).requires_grad_()
    weights = torch.randn(images, channels, height, width)
    expected = exact_x = x.detach().double().requires_grad_()
    exact_layers = copy.deepcopy(layers).double()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        results = [convolve_relu(layers[:count], x) for count in range(1, depth + 1)]
        assert type(results[0].grad_fn).__name__ == "_ConvolveReluBackward"
        (results[-1] * weights).sum().backward()
    finally:
        torch.set_num_threads(before)
    # Where rounding decides a sign, ours counts: the gradient there is one or the other.
    for layer, result in zip(exact_layers, results, strict=True):
        expected = layer(expected) * (result.detach() > 0)
    (expected * weights.double()).sum().backward()
    pairs = [(results[-1], expected), (x.grad, exact_x.grad)]
    pairs += [
        (a.grad, b.grad)
        for a, b in zip(layers.parameters(), exact_layers.parameters(), strict=True)
    ]
    for ours, theirs in pairs:
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def nearest_to_zero(network: Network, ilr: torch.Tensor) -> float:
    """The smallest absolute value that any ReLU of the network is given."""
    found = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels > 1:
            layer.register_forward_hook(lambda *seen: found.append(float(seen[2].abs().min())))
    with torch.no_grad():
        network(ilr)
    return min(found)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("vdsr", {"depth": 5, "features": 2 * LANES}),
        ("drcn", {"recursions": 3, "filters": LANES}),
        ("vdsr", {"depth": 4, "features": LANES - 1}),  # runs in PyTorch
    ],
)
def test_a_network_s_gradients(architecture: str, options: dict) -> None:
    for seed in range(9):
        torch.manual_seed(seed)
        network = networks.build(architecture, **options).to(memory_format=torch.channels_last)
        for values in network.parameters():
            if values.abs().sum() == 0:
                nn.init.normal_(values, std=0.05)
        ilr = torch.rand(3, 1, 21, 30)
        # Where ReLU's input is zero but for rounding, either of two gradients is right.
        if nearest_to_zero(copy.deepcopy(network).double().eval(), ilr.double()) > 1e-6:
            break
    if architecture == "drcn":
        # Not a convolution's, and a difference of nearly equal sums: recursions that start as the
        # identity predict the same, so PyTorch's own float32 is off by up to 3e-5 of it, too.
        network.mixture.requires_grad_(False)
    ours = gradients(network.train(), ilr)
    theirs = gradients(copy.deepcopy(network).double(), ilr.double())
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


def test_the_same_run_gives_the_same_bits() -> None:
    torch.manual_seed(0)
    network = networks.build("vdsr", depth=4, features=LANES).train()
    nn.init.normal_(network.layers[-1].weight, std=0.1)
    ilr = torch.rand(5, 1, 20, 20)
    first = [g.clone() for g in gradients(network, ilr)]
    for one, other in zip(first, gradients(network, ilr), strict=True):
        assert torch.equal(one, other)


def test_pytorch_computes_what_is_not_training_or_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the native engine was asked")

    monkeypatch.setattr(kernels, "convolve", refuse)
    x = torch.rand(1, LANES, 8, 8)
    layer = nn.Conv2d(LANES, LANES, 3, padding=1)
    with pytest.raises(AssertionError, match="was asked"):
        convolve_relu([layer], x)
    with torch.no_grad():
        convolve_relu([layer], x)
    convolve_relu([copy.deepcopy(layer).eval()], x)
    convolve_relu([copy.deepcopy(layer).double()], x.double())
    convolve_relu([layer, nn.Conv2d(LANES, 2 * LANES, 3, padding=1)], x)
    for other in (
        {"kernel_size": 5, "padding": 2},
        {"padding": 0},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 1, "stride": 2},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "groups": 2},
        {"padding": 1, "bias": False},
    ):
        convolve_relu([nn.Conv2d(LANES, LANES, **{"kernel_size": 3} | other)], x)
    with torch.autocast("cpu", torch.bfloat16):
        convolve_relu([layer], x)
    monkeypatch.setattr(kernels, "_native", None)
    convolve_relu([layer], x)


def test_batches_of_the_wrong_shape() -> None:
    x = np.zeros((2, 5, 6, LANES), np.float32)
    taps, bias = np.zeros((3, 3, LANES, LANES), np.float32), np.zeros(LANES, np.float32)
    for wrong in (
        (x[..., :-1].copy(), [taps], [bias]),
        (x[:0], [taps], [bias]),
        (x, [taps[:2].copy()], [bias]),
        (x, [taps], [bias[:-1].copy()]),
        (x, [taps], []),
    ):
        with pytest.raises(ValueError, match=r"batch|weights"):
            kernels.convolve(*wrong, threads=1)
    chain = kernels.convolve(x, [taps], [bias], threads=9)
    for gradient, given_taps in ((x[:1].copy(), [taps]), (x, [taps[:2].copy()]), (x, [])):
        with pytest.raises(ValueError, match=r"batch|weights"):
            chain.differentiate(gradient, given_taps, threads=1)
    assert chain.output.shape == x.shape
    assert chain.differentiate(x, [taps], threads=9)[0].shape == x.shape
