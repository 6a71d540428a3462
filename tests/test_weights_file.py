"""What a weights file says of its network is all that an engine needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from bigsharp import networks
from bigsharp.engines import open_engine
from bigsharp.errors import BigsharpError
from bigsharp.restoration.models import open_model
from bigsharp.weights import file
from bigsharp.weights.file import Graph
from bigsharp.weights.onnx import to_onnx

NETWORKS = {
    "vdsr": {"depth": 4, "features": 5},
    "plain": {"depth": 3, "features": 5, "residual": False},
    "srcnn": {"filters": (5, 4)},
    "drcn": {"recursions": 3, "filters": 5},
    "basic": {"recursions": 3, "filters": 5, "ensemble": False, "skip": False},
}


def draw(name: str) -> tuple[str, networks.network.Network]:
    """A network whose every weight counts."""
    architecture = {"plain": "vdsr", "basic": "drcn"}.get(name, name)
    torch.manual_seed(0)
    network = networks.build(architecture, **NETWORKS[name])
    for values in network.parameters():
        nn.init.uniform_(values, -0.2, 0.3)
    return architecture, network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_onnx_model_made_of_it_is_the_network(name: str, tmp_path: Path) -> None:
    architecture, network = draw(name)
    path = tmp_path / "a.safetensors"
    path.write_bytes(file.to_bytes(networks.pack(architecture, network, (2, 3.5))))
    packed = file.read(path)
    assert packed.scales == (2, 3.5)
    assert packed.halo == network.halo
    assert packed.parameter_count == network.parameter_count
    model = to_onnx(packed)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    session = onnxruntime.InferenceSession(model)
    for height, width in ((17, 23), (1, 1), (2, 40)):
        ilr = torch.rand(1, 1, height, width)
        with torch.no_grad():
            expected = network(ilr).numpy()
        (restored,) = session.run(None, {"ilr": ilr.numpy()})
        assert np.abs(restored - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [["layers.0", 1]]},
        {"layers": [["layers.0", -1]]},
        {"layers": "all"},
        {"outputs": []},
        {"outputs": [["layers.3", 9, 1.0]]},
        {"outputs": [["layers.3", 3, float("nan")]]},
        {"padding": "mirror"},
    ],
)
def test_a_graph_that_cannot_be_is_no_weights_file(tmp_path: Path, change: dict) -> None:
    architecture, network = draw("vdsr")
    packed = networks.pack(architecture, network)
    good = {"layers": packed.graph.layers, "outputs": packed.graph.outputs, "skip": True}
    assert Graph.from_dict(good | {"padding": "zeros"}) == packed.graph
    with pytest.raises((TypeError, ValueError)):
        Graph.from_dict(good | {"padding": "zeros"} | change)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(file.to_bytes(packed).replace(b"zeros", b"mirro"))
    with pytest.raises(BigsharpError, match=r"bad\.safetensors: not a weights file"):
        file.read(path)


def test_every_kind_of_file_says_what_its_network_is_for(tmp_path: Path) -> None:
    architecture, network = draw("vdsr")
    packed = networks.pack(architecture, network, (1,), "denoise")
    for suffix, content in {
        ".safetensors": file.to_bytes(packed),
        ".onnx": to_onnx(packed),
        ".pt": networks.to_checkpoint(packed),
    }.items():
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        opened = open_engine(path)
        assert (opened.task, tuple(opened.scales)) == ("denoise", (1,))
        assert open_model(str(path)).task == "denoise"
    path = tmp_path / "b.safetensors"
    path.write_bytes(file.to_bytes(replace(packed, task="dance")))
    with pytest.raises(BigsharpError, match="not a weights file"):
        file.read(path)
