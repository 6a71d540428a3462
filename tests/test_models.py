from pathlib import Path

import pytest
import torch

from bigsharp import networks
from bigsharp.errors import BigsharpError

SMALL = [
    ("srcnn", {"kernels": (9, 1, 5), "filters": (4, 3)}),
    ("srcnn", {"kernels": (9, 5, 5), "filters": (4, 3)}),
    ("vdsr", {"depth": 2, "features": 3}),
    ("vdsr", {"depth": 7, "features": 3}),
    ("vdsr", {"depth": 5, "features": 3, "residual": False}),
    ("drcn", {"recursions": 1, "filters": 3}),
    ("drcn", {"recursions": 6, "filters": 3}),
    ("drcn", {"recursions": 6, "filters": 3, "ensemble": False, "skip": False}),
    ("drcn", {"recursions": 6, "filters": 3, "ensemble": False}),
    ("drcn", {"recursions": 6, "filters": 3, "skip": False}),
]


@pytest.mark.parametrize(("architecture", "options"), SMALL)
def test_receptive_field_is_what_a_pixel_really_depends_on(architecture: str, options: dict):
    network = networks.build(architecture, **options).double()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.2)
    ilr = torch.ones(1, 1, 61, 61, dtype=torch.double, requires_grad=True)
    network(ilr)[0, 0, 30, 30].backward()
    rows = ilr.grad[0, 0].abs().sum(dim=1).nonzero()
    assert rows[-1] - rows[0] + 1 == network.receptive_field


@pytest.mark.parametrize(("architecture", "options"), SMALL)
def test_macs_are_those_that_are_done(architecture: str, options: dict):
    network = networks.build(architecture, **options)
    counted = 0

    def count(layer: torch.nn.Conv2d, _inputs: object, _output: object) -> None:
        nonlocal counted
        counted += layer.weight.numel()

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    result = network(torch.zeros(2, 1, 9, 13))
    assert result.shape == (2, 1, 9, 13)
    assert counted == network.macs_per_pixel


@pytest.mark.parametrize(
    ("architecture", "options", "field", "weights", "macs"),
    [
        ("srcnn", {"kernels": (9, 1, 5)}, 13, 8_032, 8_032),
        ("srcnn", {"kernels": (9, 5, 5)}, 17, 57_184, 57_184),
        ("vdsr", {}, 41, 664_704, 664_704),
        ("vdsr", {"depth": 5}, 11, 2 * 576 + 3 * 36_864, 2 * 576 + 3 * 36_864),
        ("drcn", {}, 41, 1_774_080, 592_128 + 16 * 589_824 + 16 * 592_128),
        (
            "drcn",
            {"ensemble": False, "skip": False},
            41,
            1_774_080,
            592_128 + 16 * 589_824 + 592_128,
        ),
    ],
)
def test_sizes_are_those_of_the_papers(
    architecture: str, options: dict, field: int, weights: int, macs: int
):
    network = networks.build(architecture, **options)
    assert network.receptive_field == field
    assert network.halo == field // 2
    assert network.weight_count == weights
    assert network.macs_per_pixel == macs
    biases = sum(p.numel() for name, p in network.named_parameters() if name.endswith("bias"))
    mixture = 16 if options == {} and architecture == "drcn" else 0
    assert network.parameter_count == weights + biases + mixture


def test_an_untrained_residual_vdsr_is_bicubic():
    ilr = torch.rand(1, 1, 12, 10)
    assert torch.equal(networks.build("vdsr", depth=5, features=4)(ilr), ilr)
    assert not torch.allclose(networks.build("vdsr", depth=5, features=4, residual=False)(ilr), ilr)


def test_drcn_output_is_the_weighted_mean_of_its_predictions():
    network = networks.build("drcn", recursions=3, filters=4)
    with torch.no_grad():
        network.mixture.copy_(torch.tensor([1.0, 2.0, 5.0]))
    ilr = torch.rand(2, 1, 8, 9)
    predictions = network.predictions(ilr)
    assert predictions.shape == (3, 2, 1, 8, 9)
    expected = (predictions[0] + 2 * predictions[1] + 5 * predictions[2]) / 8
    assert torch.allclose(network(ilr), expected, atol=1e-6)


def test_drcn_recursion_starts_as_the_identity_and_shares_its_weights():
    network = networks.build("drcn", recursions=5, filters=6)
    states = network.features(torch.rand(1, 1, 8, 8))
    assert all(torch.allclose(state, states[0]) for state in states)
    fewer = networks.build("drcn", recursions=2, filters=6)
    assert fewer.weight_count == network.weight_count


def test_basic_drcn_is_the_last_recursion_without_the_input():
    network = networks.build("drcn", recursions=4, filters=3, ensemble=False, skip=False)
    ilr = torch.rand(1, 1, 7, 7)
    last = network.features(ilr)[-1]
    assert torch.equal(network(ilr), network.reconstruct(last, ilr))
    assert network.mixture is None
    with_skip = networks.build("drcn", recursions=4, filters=3, ensemble=False)
    with_skip.load_state_dict(network.state_dict())
    assert torch.allclose(with_skip(ilr) - network(ilr), ilr, atol=1e-6)


@pytest.mark.parametrize(("architecture", "options"), SMALL)
def test_a_checkpoint_builds_the_same_network_again(
    architecture: str, options: dict, tmp_path: Path
):
    network = networks.build(architecture, **options)
    (tmp_path / "a.pt").write_bytes(networks.to_checkpoint(networks.pack(architecture, network)))
    again = networks.load(tmp_path / "a.pt")
    ilr = torch.rand(1, 1, 20, 20)
    assert type(again) is type(network)
    assert torch.equal(again(ilr), network(ilr))


@pytest.mark.parametrize(
    ("architecture", "options", "words"),
    [
        ("resnet", {}, "no architecture is called 'resnet'"),
        ("vdsr", {"depth": 1}, "depth ≥ 2"),
        ("vdsr", {"width": 3}, "unexpected keyword"),
        ("drcn", {"recursions": 0}, "recursions ≥ 1"),
        ("srcnn", {"kernels": (9, 2, 5)}, "odd"),
        ("srcnn", {"filters": (0, 2)}, "filter counts"),
    ],
)
def test_impossible_networks_are_refused(architecture: str, options: dict, words: str):
    with pytest.raises(BigsharpError, match=words):
        networks.build(architecture, **options)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    torch.save({"a": 1}, tmp_path / "other.pt")
    for name in ("bad.pt", "other.pt"):
        with pytest.raises(BigsharpError, match="not a checkpoint"):
            networks.load(tmp_path / name)
    with pytest.raises(BigsharpError, match="no such file"):
        networks.load(tmp_path / "missing.pt")


def test_srcnn_starts_as_bicubic_or_as_its_paper_says() -> None:
    ilr = torch.rand(1, 1, 20, 22)
    for kernels in ((9, 1, 5), (9, 5, 5)):
        assert torch.equal(networks.build("srcnn", kernels=kernels)(ilr), ilr)
    gaussian = networks.build("srcnn", gaussian=True)
    assert float(gaussian.layers[0].weight.std()) == pytest.approx(0.001, rel=0.1)


def test_srcnn_continues_a_picture_by_its_border() -> None:
    network = networks.build("srcnn", filters=(4, 3), gaussian=True)
    for layer in network.layers:
        torch.nn.init.normal_(layer.weight, std=0.2)
    flat = network(torch.full((1, 1, 9, 30), 0.3))
    assert float((flat - flat[0, 0, 4, 15]).abs().max()) < 1e-6
