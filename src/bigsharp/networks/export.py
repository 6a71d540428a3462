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


def export(
    model: str | Path, output: str | Path, *, rgb: bool = False, scale: int | None = None
) -> None:
    """Write a network as an .onnx or a .safetensors file, by the name of the output.

    Parameters
    ----------
    model : str or path
        A checkpoint (.pt), a weights file (.safetensors), or a released network's name.
    output : str or path
    rgb : bool
        Make an ONNX model that takes a whole RGB picture, instead of one that restores interpolated
        luma.
    scale : int, optional
        The factor by which that enlarges, unless it cleans.

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
    if scale is not None and not rgb:
        raise BigsharpError("`scale` goes with `rgb`: what restores luma does so at any scale")
    if rgb and suffix != ".onnx":
        raise BigsharpError(f"{output}: what takes whole pictures is an .onnx file")
    packed = networks.find(model)
    content = to_picture_onnx(packed, scale) if rgb else WRITERS[suffix](packed)
    write_bytes(output, content)
