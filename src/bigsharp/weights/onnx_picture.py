"""A network as an ONNX model that takes colour pictures, for programs that know nothing of luma.

Conversion to luma, interpolation and the way back are a few convolutions around the network.
"""

from __future__ import annotations

import numpy as np

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.image.color import INVERSE, MATRIX, OFFSET
from bigsharp.image.resize import AxisMap
from bigsharp.weights.file import Packed
from bigsharp.weights.onnx import ENLARGED, PICTURE, Nodes, to_model

#: Pixels to each side that an interpolated pixel depends on.
_RADIUS = 2


def to_picture_onnx(packed: Packed, scale: int) -> bytes:
    """A model that enlarges RGB pictures by a whole factor, as `bigsharp.upscale` restores luma.

    Input ``picture`` is float32 in [0, 1], (1, 3, height, width); output ``enlarged`` the same,
    clipped, `scale` times as high and wide.

    Raises
    ------
    BigsharpError
        The network was not trained for this scale, or the library is not installed.
    """
    if packed.scales and not min(packed.scales) <= scale <= max(packed.scales):
        trained = " to ".join(f"{s:g}" for s in sorted({min(packed.scales), max(packed.scales)}))
        raise BigsharpError(f"`scale` {scale}: the network was trained on {trained}")
    nodes = Nodes()
    _interpolate(nodes, _to(nodes, "luma", MATRIX[:1], OFFSET[:1]), "ilr", 1, scale)
    _interpolate(nodes, _to(nodes, "chroma", MATRIX[1:], OFFSET[1:]), "enlarged_chroma", 2, scale)
    nodes.add_network(packed, "ilr", "restored")
    ycbcr = nodes.add("Concat", ["restored", "enlarged_chroma"], axis=1)
    rgb = _convolve(nodes, ycbcr, "to_rgb", INVERSE, -INVERSE @ OFFSET)
    bounds = [nodes.constant(f"{v}", np.array(v, np.float32)) for v in (0, 1)]
    nodes.add("Clip", [rgb, *bounds], ENLARGED)
    sides = ("height", "width")
    large = tuple(f"{scale} {side}" for side in sides)
    return to_model(packed, nodes, (PICTURE, (1, 3, *sides)), (ENLARGED, (1, 3, *large)))


def _to(nodes: Nodes, name: str, matrix: Array, offset: Array) -> str:
    return _convolve(nodes, PICTURE, f"to_{name}", matrix, offset)


def _convolve(nodes: Nodes, x: str, name: str, matrix: Array, offset: Array) -> str:
    """Mix the channels of each pixel."""
    weight = nodes.constant(f"{name}_matrix", matrix[..., None, None].astype(np.float32))
    bias = nodes.constant(f"{name}_offset", offset.astype(np.float32))
    return nodes.add("Conv", [x, weight, bias])


def _interpolate(nodes: Nodes, x: str, output: str, channels: int, scale: int) -> None:
    """Enlarge by bicubic: each result pixel of a small one by its own kernel, then in their place.

    By a whole factor the weights repeat with every small pixel.
    """
    around = 2 * _RADIUS + 1
    axis = AxisMap.bicubic(around, around * scale, scale).matrix(around)
    axis = axis[_RADIUS * scale : (_RADIUS + 1) * scale]
    kernels = np.einsum("ai,bj->abij", axis, axis).reshape(scale**2, 1, around, around)
    weight = np.tile(kernels, (channels, 1, 1, 1)).astype(np.float32)
    inputs = [nodes.pad(x, _RADIUS), nodes.constant(f"{output}_kernels", weight)]
    phases = nodes.add("Conv", inputs, group=channels)
    nodes.add("DepthToSpace", [phases], output, blocksize=scale, mode="CRD")
