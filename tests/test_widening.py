"""A narrower DRCN starts a wider one, which computes the same."""

import pytest
import torch
from torch import nn

from bigsharp import networks
from bigsharp.training.widening import widened


def narrow() -> networks.network.Network:
    torch.manual_seed(0)
    network = networks.build("drcn", recursions=3, filters=4)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize("filters", [4, 8, 16])
@torch.no_grad()
def test_the_wider_network_computes_the_same(filters: int) -> None:
    network, wide = narrow(), networks.build("drcn", recursions=3, filters=filters)
    content = widened(networks.pack("drcn", network), wide, seed=1)
    networks.copy_weights(content, wide, "narrow")
    ilr = torch.rand(2, 1, 12, 14)
    assert torch.allclose(wide(ilr), network(ilr), atol=1e-5)


def test_the_copies_of_a_filter_part_as_they_train() -> None:
    network, wide = narrow(), networks.build("drcn", recursions=3, filters=8)
    networks.copy_weights(widened(networks.pack("drcn", network), wide, seed=1), wide, "narrow")
    wide.predictions(torch.rand(2, 1, 12, 14)).square().sum().backward()
    for layer in (wide.embedding[1], wide.inference, wide.reconstruction[0]):
        one, other = layer.weight.grad[:4], layer.weight.grad[4:]
        assert float((one - other).abs().max()) > 0.01 * float(one.abs().max())


def test_what_is_no_narrower_drcn_is_left_alone() -> None:
    wide = networks.build("drcn", recursions=3, filters=6)
    content = networks.pack("drcn", narrow())
    assert widened(content, wide, seed=1).options == content.options
    vdsr = networks.pack("vdsr", networks.build("vdsr", depth=3, features=4))
    assert widened(vdsr, networks.build("vdsr", depth=3, features=8), seed=1) is vdsr
