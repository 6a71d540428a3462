"""Optimizers, schedules and losses: what a step of training is made of."""

import pytest
import torch
from torch import nn

from bigsharp import networks
from bigsharp.training.losses import LOSSES, Supervision
from bigsharp.training.optimizers import Muon, make_optimizers, orthogonalize
from bigsharp.training.recipe import Recipe
from bigsharp.training.schedules import alpha, plateaus, rate_factor


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_orthogonalize_brings_the_singular_values_near_1_and_keeps_the_directions(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    # 100 between the largest and the smallest singular value.
    u, _, v = torch.linalg.svd(torch.randn(3, *shape), full_matrices=False)
    matrices = u @ torch.diag(torch.logspace(0, -2, min(shape))) @ v
    found = orthogonalize(matrices)
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    assert float((found - u @ v).abs().max()) < 0.4
    # Each matrix by itself, whatever its size.
    assert torch.allclose(orthogonalize(1000 * matrices[:1]), found[:1], atol=1e-4)


def test_muon_treats_layers_of_one_shape_as_it_treats_each_alone() -> None:
    def run(shared: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        convs = [nn.Conv2d(i, o, 3) for i, o in ((4, 6), (4, 6), (6, 4))]
        kernels = [conv.weight for conv in convs]
        groups = [kernels] if shared else [[kernel] for kernel in kernels]
        optimizers = [Muon(group, 0.1, 0.9) for group in groups]
        for _ in range(3):
            for kernel in kernels:
                kernel.grad = torch.randn_like(kernel)
            for optimizer in optimizers:
                optimizer.step()
        return [kernel.detach() for kernel in kernels]

    for together, alone in zip(run(True), run(False), strict=True):
        assert torch.allclose(together, alone, atol=1e-5)


def test_a_step_of_muon_is_as_long_as_its_rate() -> None:
    kernel = nn.Parameter(torch.zeros(8, 4, 3, 3))
    kernel.grad = torch.randn_like(kernel)
    Muon([kernel], 0.1).step()
    values = torch.linalg.svdvals(kernel.detach().flatten(1))
    assert 0.05 < float(values.min()) <= float(values.max()) < 0.13


def test_muon_centered_leaves_each_filter_s_sum_alone() -> None:
    kernel = nn.Parameter(torch.randn(8, 4, 3, 3))
    before = kernel.detach().clone()
    kernel.grad = torch.rand_like(kernel) + 1  # as of positive features: mostly its mean
    Muon([kernel], 0.1, centered=True).step()
    moved = kernel.detach() - before
    assert float(moved.flatten(1).norm(dim=1).min()) > 0.05
    assert float(moved.sum((1, 2, 3)).abs().max()) < 1e-4


def test_the_decay_of_muon_is_a_share_of_its_rate() -> None:
    kernel = nn.Parameter(torch.ones(8, 4, 3, 3))
    kernel.grad = torch.zeros_like(kernel)
    Muon([kernel], 0.1, weight_decay=0.2).step()
    assert torch.allclose(kernel.detach(), torch.full_like(kernel, 0.98))


def test_muon_leaves_biases_and_single_outputs_to_adam() -> None:
    network = networks.build("drcn", recursions=3, filters=4)
    recipe = Recipe("a", "drcn", optimizer="muon", lr=0.02, lr_adam=1e-3, momentum=0.95)
    muon, adam = make_optimizers(recipe, network)
    of_muon, of_adam = ({id(p) for g in o.param_groups for p in g["params"]} for o in (muon, adam))
    assert of_muon == {id(c.weight) for c in network.modules()
                       if isinstance(c, nn.Conv2d) and c.out_channels > 1}  # fmt: skip
    assert of_muon | of_adam == set(map(id, network.parameters()))
    assert not of_muon & of_adam
    assert (muon.param_groups[0]["lr"], adam.param_groups[0]["lr"]) == (0.02, 1e-3)


def test_rates() -> None:
    cosine = Recipe("a", "vdsr", steps=110, warmup=10)
    assert rate_factor(cosine, 0) == pytest.approx(0.1)
    assert rate_factor(cosine, 10) == pytest.approx(1)
    assert rate_factor(cosine, 60) == pytest.approx(0.5)
    assert rate_factor(cosine, 109) < 0.001
    step = Recipe("a", "vdsr", steps=9960, schedule="step", step_every=2490)
    rates = [rate_factor(step, k) for k in (0, 2489, 2490, 4980, 9959)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01, 0.001])
    assert rate_factor(Recipe("a", "vdsr", schedule="constant"), 9999) == 1


def test_a_plateau_is_patience_validations_without_a_better_one() -> None:
    recipe = Recipe("a", "vdsr", schedule="plateau", patience=2)
    scores = [30, 31, 30.5, 30.9, 30.9, 31.5, 31.2, 31.4, 31.3, 31.1]
    expected = [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
    rates = [rate_factor(recipe, 99, scores[:k]) for k in range(len(scores) + 1)]
    assert rates == pytest.approx(expected)
    assert plateaus([1, 2, 3, 4], 1) == 0


def test_alpha_falls_from_1_to_0() -> None:
    recipe = Recipe("a", "drcn", alpha_steps=100)
    assert [alpha(recipe, k) for k in (0, 25, 100, 500)] == [1, 0.75, 0, 0]
    assert alpha(Recipe("a", "drcn"), 0) == 0


def test_losses() -> None:
    difference = torch.tensor([3.0, -4.0])
    assert float(LOSSES["l1"](difference, difference)) == 3.5
    assert float(LOSSES["mse"](difference, difference)) == 12.5
    assert float(LOSSES["charbonnier"](difference, difference)) == pytest.approx(3.5, abs=1e-6)
    assert float(LOSSES["charbonnier"](torch.zeros(5), difference)) == pytest.approx(1e-3)


def test_the_relative_loss_is_each_patch_s_share_of_what_the_input_lacked() -> None:
    before = torch.stack([torch.full((1, 4, 4), 0.2), torch.full((1, 4, 4), 0.01)])
    assert float(LOSSES["relative"](before / 2, before)) == pytest.approx(0.25)
    left = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)])
    assert float(LOSSES["relative"](left, before)) == pytest.approx((0.25 + 1) / 2)
    # The predictions of a DRCN before its patches; where nothing was lacking it stays a number.
    assert float(LOSSES["relative"](left.expand(3, 2, 1, 4, 4), before)) == pytest.approx(0.625)
    grey = torch.full((1, 1, 4, 4), 1 / 255)
    assert float(LOSSES["relative"](grey, torch.zeros(1, 1, 4, 4))) == pytest.approx(1)


@torch.no_grad()
def test_recursive_supervision_is_the_paper_s() -> None:
    """DRCN, equations 7 and 8, written out."""
    torch.manual_seed(0)
    network = networks.build("drcn", recursions=3, filters=4)
    nn.init.normal_(network.reconstruction[1].weight, std=0.1)
    ilr, hr = torch.rand(2, 2, 1, 8, 9)
    recursions = [network.reconstruct(state, ilr) for state in network.features(ilr)]
    each = sum(float((hr - r).square().mean()) for r in recursions) / 3
    output = float((hr - network(ilr)).square().mean())
    supervision = Supervision(network)
    for weight in (1.0, 0.3, 0.0):
        expected = weight * each + (1 - weight) * output
        assert float(supervision(ilr, hr, torch.tensor(weight), "mse")) == pytest.approx(
            expected, 1e-5
        )


def test_a_network_of_one_prediction_has_one_loss_whatever_alpha() -> None:
    network = networks.build("drcn", recursions=3, filters=4, ensemble=False, skip=False)
    ilr, hr = torch.rand(2, 2, 1, 8, 9)
    expected = float((hr - network(ilr)).abs().mean())
    for weight in (1.0, 0.3):
        loss = Supervision(network)(ilr, hr, torch.tensor(weight), "l1")
        assert float(loss) == pytest.approx(expected)


def test_a_filter_that_gets_no_gradient_any_more_does_not_move() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(2, 8, 30)
    matrices[:, 3] *= 1e-30
    moved = orthogonalize(matrices)
    assert torch.all(moved[:, 3] == 0)
    others = [row for row in range(8) if row != 3]
    assert torch.allclose(moved[:, others], orthogonalize(matrices[:, others]), atol=1e-4)


def test_the_rim_of_a_patch_is_not_in_the_loss() -> None:
    network = networks.build("vdsr", depth=2, features=2)
    ilr, hr = torch.rand(2, 2, 1, 8, 9)
    inner = ((network(ilr) - hr)[..., 2:-2, 2:-2]).abs().mean()
    loss = Supervision(network, rim=2)(ilr, hr, torch.tensor(0.0), "l1")
    assert torch.allclose(loss, inner)
