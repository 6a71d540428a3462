"""From a checkpoint to a file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.weights import file
from bigsharp.weights.onnx import to_onnx

#: What writes a network, by the name of the file.
WRITERS = {file.SUFFIX: file.to_bytes, ".onnx": to_onnx}


def export(checkpoint: str | Path, output: str | Path) -> None:
    """Write a checkpoint's network as an .onnx or a .safetensors file, by the name of the output.

    Raises
    ------
    BigsharpError
        The checkpoint cannot be read, the output is named otherwise or cannot be written.
    """
    suffix = Path(output).suffix.lower()
    if suffix not in WRITERS:
        raise BigsharpError(
            f"{output}: the name of an exported network ends in .onnx or {file.SUFFIX}"
        )
    write_bytes(output, WRITERS[suffix](networks.read(checkpoint)))
