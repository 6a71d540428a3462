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

_SIDES = ("height", "width")


def to_picture_onnx(packed: Packed, scale: int | None = None) -> bytes:
    """A model that restores RGB pictures.

    It enlarges by a whole factor, as `bigsharp.upscale` restores luma; or cleans at the picture's
    own size, noise in red, green and blue, JPEG's damage in luma and chroma. Input ``picture`` is
    float32 in [0, 1], (1, 3, height, width); output ``enlarged`` the same, clipped, `scale` times
    as high and wide.

    Raises
    ------
    BigsharpError
        The network was not trained for this scale, or the library is not installed.
    """
    if packed.task != "upscale":
        if scale is not None:
            raise BigsharpError(f"`scale`: the network was trained to {packed.task}, at one size")
        return _to_cleaning_onnx(packed)
    if scale is None:
        raise BigsharpError("`rgb`: a network that enlarges needs a `scale`, such as 2")
    if packed.scales and not min(packed.scales) <= scale <= max(packed.scales):
        trained = " to ".join(f"{s:g}" for s in sorted({min(packed.scales), max(packed.scales)}))
        raise BigsharpError(f"`scale` {scale}: the network was trained on {trained}")
    nodes = Nodes()
    _interpolate(nodes, _to(nodes, "luma", MATRIX[:1], OFFSET[:1]), "ilr", 1, scale)
    _interpolate(nodes, _to(nodes, "chroma", MATRIX[1:], OFFSET[1:]), "enlarged_chroma", 2, scale)
    nodes.add_network(packed, "ilr", "restored")
    ycbcr = nodes.add("Concat", ["restored", "enlarged_chroma"], axis=1)
    _clip(nodes, _to_rgb(nodes, ycbcr))
    large = tuple(f"{scale} {side}" for side in _SIDES)
    return to_model(packed, nodes, (PICTURE, (1, 3, *_SIDES)), (ENLARGED, (1, 3, *large)))


def _to_cleaning_onnx(packed: Packed) -> bytes:
    """The network on each of three planes, which are to it as many pictures of one."""
    nodes = Nodes()
    in_rgb = packed.task == "denoise"
    planes = PICTURE if in_rgb else _to(nodes, "ycbcr", MATRIX, OFFSET)
    nodes.add_network(packed, nodes.add("Transpose", [planes], perm=[1, 0, 2, 3]), "restored")
    planes = nodes.add("Transpose", ["restored"], perm=[1, 0, 2, 3])
    _clip(nodes, planes if in_rgb else _to_rgb(nodes, planes))
    shape = (1, 3, *_SIDES)
    return to_model(packed, nodes, (PICTURE, shape), (ENLARGED, shape))


def _to(nodes: Nodes, name: str, matrix: Array, offset: Array) -> str:
    return _convolve(nodes, PICTURE, f"to_{name}", matrix, offset)


def _to_rgb(nodes: Nodes, ycbcr: str) -> str:
    return _convolve(nodes, ycbcr, "to_rgb", INVERSE, -INVERSE @ OFFSET)


def _clip(nodes: Nodes, rgb: str) -> None:
    bounds = [nodes.constant(f"{v}", np.array(v, np.float32)) for v in (0, 1)]
    nodes.add("Clip", [rgb, *bounds], ENLARGED)


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
