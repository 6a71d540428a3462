"""From a PyTorch checkpoint to a file that runs without PyTorch."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from bigsharp import networks
from bigsharp.engines.onnx import PARAMETERS, RECEPTIVE_FIELD, SCALES
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.networks.network import Network
from bigsharp.weights import file


def to_onnx(network: Network, scales: Sequence[float] = ()) -> bytes:
    """The network as an ONNX model for pictures of any size.

    Input ``ilr`` and output ``restored`` are float32, (1, 1, height, width). The receptive
    field, the scales that the network was trained on and the number of its parameters are written
    into the model's metadata, where the engine finds them.

    Raises
    ------
    BigsharpError
        The exporter's libraries are not installed.
    """
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise BigsharpError(
            "export needs onnx and onnxscript, the extra 'train': pip install 'bigsharp[train]'"
        )
    with _quiet():
        program = torch.onnx.export(
            network.eval().cpu(),
            (torch.zeros(1, 1, 64, 96),),
            input_names=["ilr"],
            output_names=["restored"],
            dynamic_shapes={"ilr": {2: "height", 3: "width"}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # The exporter notes the source line of each node, with the paths of this machine.
    for entry in (*model.graph.node, *model.graph.value_info):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    model.metadata_props.add(key=RECEPTIVE_FIELD, value=str(network.receptive_field))
    model.metadata_props.add(key=SCALES, value=",".join(f"{scale:g}" for scale in scales))
    model.metadata_props.add(key=PARAMETERS, value=str(network.parameter_count))
    return model.SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about libraries that are not needed off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def to_safetensors(network: Network, architecture: str, scales: Sequence[float] = ()) -> bytes:
    """The network as a .safetensors file, which the native engine and PyTorch run."""
    return file.to_bytes(networks.as_packed(networks.pack(architecture, network, scales)))


def export(checkpoint: str | Path, output: str | Path) -> None:
    """Write a checkpoint's network as an .onnx or a .safetensors file, by the name of the output.

    Raises
    ------
    BigsharpError
        The checkpoint cannot be read, the output is named otherwise or cannot be written.
    """
    suffix = Path(output).suffix.lower()
    if suffix not in (".onnx", file.SUFFIX):
        raise BigsharpError(
            f"{output}: the name of an exported network ends in .onnx or {file.SUFFIX}"
        )
    content = networks.read_checkpoint(checkpoint)
    network = networks.unpack(content, checkpoint)
    if suffix == ".onnx":
        write_bytes(output, to_onnx(network, content["scales"]))
    else:
        write_bytes(output, to_safetensors(network, content["architecture"], content["scales"]))
