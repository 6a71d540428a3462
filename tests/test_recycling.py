"""Filters that have died start anew, and the network computes what it did."""

import copy

import pytest
import torch
from torch import nn

from bigsharp import networks
from bigsharp.networks.network import Network
from bigsharp.training.recycling import dead_filters, recycle

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


def gradients(network: Network) -> torch.Tensor:
    """The output for a batch, whose gradients are left in the network."""
    torch.manual_seed(1)
    network.zero_grad()
    ilr = torch.rand(2, 1, 12, 12)
    network.predictions(ilr).square().sum().backward()
    return network(ilr).detach()


@pytest.mark.parametrize("name", NETWORKS)
def test_dead_filters_come_back_and_the_output_stays(name: str) -> None:
    network = build(name)
    before = gradients(network)
    found = [dead_filters(layer).tolist() for layer, _ in network.pairs]
    assert all(dead[:2] == [True, True] for dead in found)
    assert recycle(network, None, seed=0) == sum(map(sum, found))
    assert torch.allclose(gradients(network), before, atol=1e-5)
    # What reads them sees them now: its weights, 0 so far, have gradients.
    for (layer, reader), dead in zip(network.pairs, found, strict=True):
        assert float(layer.weight.detach()[torch.tensor(dead)].abs().min()) > 0
        assert float(reader.weight.grad[:, torch.tensor(dead)].abs().amax()) > 0


def test_living_filters_are_left_alone() -> None:
    network = build("vdsr")
    for layer, _ in network.pairs:
        nn.init.constant_(layer.bias, 5)
    gradients(network)
    before = copy.deepcopy(network.state_dict())
    assert recycle(network, None, seed=0) == 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_moving_average_takes_the_new_filters_over() -> None:
    network = build("vdsr")
    average = copy.deepcopy(network)
    before = gradients(average)
    gradients(network)
    recycle(network, average, seed=0)
    assert torch.allclose(gradients(average), before, atol=1e-5)
    for layer, copied in zip(network.layers, average.layers, strict=True):
        assert torch.equal(layer.weight, copied.weight)


def test_a_layer_that_is_dead_as_a_whole_is_left_alone() -> None:
    network = build("vdsr")
    nn.init.constant_(network.layers[1].bias, -100)
    gradients(network)
    before = network.layers[1].weight.detach().clone()
    recycle(network, None, seed=0)
    assert torch.equal(network.layers[1].weight, before)
