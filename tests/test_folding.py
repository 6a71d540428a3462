"""A VDSR's layers, made narrower and written into the one recursion of a DRCN."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from bigsharp import networks
from bigsharp.engines import open_engine
from bigsharp.errors import BigsharpError
from bigsharp.networks.drcn import DRCN
from bigsharp.networks.export import WRITERS
from bigsharp.networks.vdsr import VDSR
from bigsharp.training.folding import Layout, folded
from bigsharp.training.loop import Trainer
from bigsharp.training.narrowing import narrow
from bigsharp.training.recipe import Recipe


def deep(depth: int, features: int, seed: int = 0) -> VDSR:
    """A VDSR whose answers neither fade nor grow from layer to layer."""
    torch.manual_seed(seed)
    network = VDSR(depth, features)
    for layer in network.layers:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, std=0.1)
    return network


@given(recursions=st.integers(1, 300), filters=st.integers(1, 600))
def test_no_step_of_the_way_is_made_twice(recursions: int, filters: int) -> None:
    layout = Layout(recursions, filters)
    steps = list(pairwise(layout.route))
    assert len(steps) == len(set(steps)) == recursions
    assert max(layout.route) < layout.blocks <= recursions
    # The blocks lie below the clock.
    assert layout.width == 0 or layout.blocks * layout.width <= layout.clock(0)
    assert layout.clock(recursions - 1) == filters - 1


def test_256_filters_hold_sixteen_layers_of_60() -> None:
    layout = Layout(16, 256)
    assert (layout.blocks, layout.width) == (4, 60)


@given(recursions=st.integers(1, 10), features=st.integers(1, 5), seed=st.integers(0, 99))
@torch.no_grad()
def test_the_recursion_computes_what_the_layers_did(
    recursions: int, features: int, seed: int
) -> None:
    vdsr = deep(recursions + 4, features, seed)
    drcn = DRCN(recursions, Layout(recursions, 0).blocks * features + recursions)
    networks.copy_weights(folded(networks.pack("vdsr", vdsr), drcn), drcn, "vdsr")
    ilr = torch.rand(2, 1, 9, 11)
    torch.testing.assert_close(drcn(ilr), vdsr(ilr), rtol=1e-4, atol=1e-4)


def test_every_engine_computes_it(tmp_path: Path) -> None:
    vdsr, drcn = deep(20, 8), DRCN(16, 48)
    networks.copy_weights(folded(networks.pack("vdsr", vdsr), drcn), drcn, "vdsr")
    plane = np.random.default_rng(0).random((40, 50), np.float32)
    with torch.inference_mode():
        expected = vdsr(torch.from_numpy(plane)[None, None])[0, 0].numpy()
    packed = networks.pack("drcn", drcn)
    for suffix, write in WRITERS.items():
        (tmp_path / f"drcn{suffix}").write_bytes(write(packed))
    for name in ("native", "onnx", "torch"):
        suffix = ".onnx" if name == "onnx" else ".safetensors"
        restored = open_engine(tmp_path / f"drcn{suffix}", name).restore(plane)
        np.testing.assert_allclose(restored, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("vdsr", "drcn"),
    [
        (deep(20, 9), DRCN(16, 51)),  # four blocks of 8, and a clock
        (deep(19, 8), DRCN(16, 48)),
        (deep(20, 8), DRCN(16, 48, skip=False)),
        (deep(5, 8), DRCN(1, 4)),
        (deep(2, 8), DRCN(1, 16)),
    ],
)
def test_what_has_no_room_is_refused(vdsr: VDSR, drcn: DRCN) -> None:
    with pytest.raises(BigsharpError, match="starts from a VDSR of"):
        folded(networks.pack("vdsr", vdsr), drcn)


@torch.no_grad()
def test_constant_filters_are_made_good_by_the_next_bias() -> None:
    network, ilr = deep(5, 8), torch.rand(1, 1, 24, 24)
    network.layers[1].weight[:2] = 0
    network.layers[1].bias[:2] = 1
    for layer in network.layers[2:3]:
        layer.weight[:2] = 0
        layer.bias[:2] = -1
    before = network(ilr)
    narrow(network, 6, ilr)
    inside = (..., slice(5, -5), slice(5, -5))
    torch.testing.assert_close(network(ilr)[inside], before[inside], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_network_that_is_narrow_enough_is_left_alone() -> None:
    network, ilr = deep(5, 8), torch.rand(1, 1, 24, 24)
    before = network(ilr)
    narrow(network, 9, ilr)
    assert torch.equal(network(ilr), before)


def test_a_drcn_begins_where_a_narrowed_vdsr_ended(tmp_path: Path) -> None:
    """No filter comes back in training, and the DRCN scores the same."""
    random = np.random.default_rng(0)
    for number in range(4):
        values = random.integers(0, 256, (40, 44), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    thin = Recipe(
        name="thin", architecture="vdsr", options={"depth": 8, "features": 16}, narrow=6,
        data=(str(tmp_path),), holdout=1, scales=(2,), patch=16, batch=4, steps=20,
        optimizer="muon", centered=True, weight_decay=0.1, ema=0.5, recycle_every=5,
        validate_every=10, validation_crop=36,
    )  # fmt: skip
    first = Trainer(thin, tmp_path / "thin")
    first.train()
    state = networks.read(tmp_path / "thin/last.pt").state
    living = [(state[f"layers.{n}.weight"] != 0).any(axis=(1, 2, 3)).sum() for n in range(7)]
    assert living[1:-1] == [6] * 5
    options = {"recursions": 4, "filters": 16}
    drcn = replace(thin, name="drcn", architecture="drcn", options=options, narrow=0)
    start = str(tmp_path / "thin/best.pt")
    second = Trainer(drcn, tmp_path / "drcn", start=start)
    second.train()
    best = max(row["psnr_x2"] for row in first.log.rows)
    assert second.log.rows[0]["psnr_x2"] == pytest.approx(best, abs=1e-3)
    small = replace(drcn, options={"recursions": 4, "filters": 15})
    with pytest.raises(BigsharpError, match=r"best.pt: a DRCN of 4 recursions and 15 filters"):
        Trainer(small, tmp_path / "small", start=start)
    assert not (tmp_path / "small").exists()


def test_other_networks_are_not_narrowed() -> None:
    with pytest.raises(BigsharpError, match="narrow goes with vdsr"):
        Recipe(name="wide", architecture="drcn", narrow=6)
