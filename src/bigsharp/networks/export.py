"""From a checkpoint, or a released network, to a file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.weights import file
from bigsharp.weights.onnx import to_onnx
from bigsharp.weights.onnx_picture import to_picture_onnx

#: What writes a network, by the name of the file.
WRITERS = {file.SUFFIX: file.to_bytes, ".onnx": to_onnx}


def export(model: str | Path, output: str | Path, *, scale: int | None = None) -> None:
    """Write a network as an .onnx or a .safetensors file, by the name of the output.

    Parameters
    ----------
    model : str or path
        A checkpoint (.pt), a weights file (.safetensors), or a released network's name.
    output : str or path
    scale : int, optional
        Make an ONNX model that takes a whole RGB picture and enlarges it by this factor, instead of
        one that restores interpolated luma.

    Raises
    ------
    BigsharpError
        The network cannot be read, or was not trained for the scale; the output is named otherwise
        or cannot be written.
    """
    suffix = Path(output).suffix.lower()
    if suffix not in WRITERS:
        raise BigsharpError(
            f"{output}: the name of an exported network ends in .onnx or {file.SUFFIX}"
        )
    if scale is not None and suffix != ".onnx":
        raise BigsharpError(f"{output}: what takes whole pictures is an .onnx file")
    packed = networks.find(model)
    write_bytes(
        output, WRITERS[suffix](packed) if scale is None else to_picture_onnx(packed, scale)
    )
