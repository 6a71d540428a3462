"""Filters that have died start anew, and the network computes what it did."""

import copy

import pytest
import torch
from torch import nn

from bigsharp import networks
from bigsharp.networks.network import Network
from bigsharp.training.recycling import recycle

NETWORKS = {
    "vdsr": {"depth": 4, "features": 8},
    "srcnn": {"filters": (8, 8)},
    "drcn": {"recursions": 2, "filters": 8},
}


def build(name: str) -> Network:
    """A network with two dead filters in every layer that can be recycled."""
    torch.manual_seed(0)
    network = networks.build(name, **NETWORKS[name])
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    for layer, _ in network.pairs:
        nn.init.constant_(layer.bias[:2], -100)
    return network


def pictures() -> torch.Tensor:
    return torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def output(network: Network) -> torch.Tensor:
    """What the network makes of the pictures, whose gradients are left in it."""
    network.zero_grad()
    network.predictions(pictures()).square().sum().backward()
    return network(pictures()).detach()


@pytest.mark.parametrize("name", NETWORKS)
def test_dead_filters_come_back_and_the_output_stays(name: str) -> None:
    network = build(name)
    before = output(network)
    # Without a gradient, no optimizer would ever move them.
    found = [layer.bias.grad == 0 for layer, _ in network.pairs]
    assert all(dead[:2].all() for dead in found)
    assert recycle(network, None, [pictures()], seed=0) == sum(int(dead.sum()) for dead in found)
    assert torch.allclose(output(network), before, atol=1e-5)
    # What reads them sees them now: its weights, 0 so far, have gradients.
    for (layer, reader), dead in zip(network.pairs, found, strict=True):
        assert float(layer.weight.detach()[dead].flatten(1).norm(dim=1).min()) > 0
        assert float(reader.weight.grad[:, dead].abs().amax()) > 0


def test_new_filters_answer_nothing_to_plain_pictures() -> None:
    network = build("srcnn")
    recycle(network, None, [pictures()], seed=0)
    grey = torch.full((1, 1, 24, 24), float(pictures().mean()))
    answers = network.layers[0](grey)[0, :, 12, 12]
    assert answers[:2].abs().tolist() == pytest.approx([0, 0], abs=1e-5)
    lengths = network.layers[0].weight.detach().flatten(1).norm(dim=1)
    assert lengths[:2].tolist() == pytest.approx([float(lengths[2:].median())] * 2)


def test_living_filters_are_left_alone() -> None:
    network = build("vdsr")
    for layer, _ in network.pairs:
        nn.init.constant_(layer.bias, 5)
    before = copy.deepcopy(network.state_dict())
    assert recycle(network, None, [pictures()], seed=0) == 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_filter_that_one_picture_wakes_lives() -> None:
    network = build("vdsr")
    shown = pictures()
    with torch.no_grad():
        layer = network.layers[0]
        layer.weight[2] = 0
        layer.weight[2, 0, 1, 1] = 1
        brightest = shown.amax(dim=(1, 2, 3))
        layer.bias[2] = -float(brightest.sort().values[-2:].mean())  # on in one picture alone
        kept = layer.weight[2].clone()
    recycle(network, None, torch.split(shown, 1), seed=0)
    assert torch.equal(layer.weight[2], kept)
    others = [part for part, value in zip(shown, brightest, strict=True) if value < brightest.max()]
    recycle(network, None, [torch.stack(others)], seed=0)
    assert not torch.equal(layer.weight[2], kept)


def test_the_moving_average_takes_the_new_filters_over() -> None:
    network = build("vdsr")
    average = copy.deepcopy(network)
    before = output(average)
    recycle(network, average, [pictures()], seed=0)
    assert torch.allclose(output(average), before, atol=1e-5)
    for layer, copied in zip(network.layers, average.layers, strict=True):
        assert torch.equal(layer.weight, copied.weight)


def test_a_layer_that_is_dead_as_a_whole_is_left_alone() -> None:
    network = build("vdsr")
    nn.init.constant_(network.layers[1].bias, -100)
    nn.init.constant_(network.layers[0].bias, 5)
    before = network.layers[1].weight.detach().clone()
    recycle(network, None, [pictures()], seed=0)
    assert torch.equal(network.layers[1].weight, before)
