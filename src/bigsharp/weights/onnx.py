"""A network's weights as an ONNX model, which runs in ONNX Runtime and elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.weights.file import Packed

#: Metadata entries: the receptive field in pixels, the scales trained on, separated by commas, and
#: the number of trained values.
RECEPTIVE_FIELD = "bigsharp.receptive_field"
SCALES = "bigsharp.scales"
PARAMETERS = "bigsharp.parameters"

#: Of the standard: from 2019 on, read by every ONNX Runtime that we take.
_OPSET, _IR_VERSION = 11, 6


def to_onnx(packed: Packed) -> bytes:
    """The network as an ONNX model for pictures of any size.

    Input ``ilr`` and output ``restored`` are float32, (1, 1, height, width).

    Raises
    ------
    BigsharpError
        The library is not installed.
    """
    if find_spec("onnx") is None:
        raise BigsharpError(errors.install("export to ONNX needs", "onnx", "train"))
    from onnx import TensorProto, helper, numpy_helper

    nodes = _Nodes(packed)
    image = (1, 1, "height", "width")
    graph = helper.make_graph(
        [helper.make_node(kind, i, o, **options) for kind, i, o, options in nodes.nodes],
        packed.architecture,
        [helper.make_tensor_value_info("ilr", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, image)],
        [numpy_helper.from_array(v, name) for name, v in nodes.constants.items()],
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(
        graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="bigsharp"
    )
    about = {
        RECEPTIVE_FIELD: str(2 * packed.halo + 1),
        SCALES: ",".join(f"{scale:g}" for scale in packed.scales),
        PARAMETERS: str(packed.parameter_count),
    }
    helper.set_model_props(model, about)
    return model.SerializeToString()


class _Nodes:
    """The nodes of a network, one after another, and the constants that they read."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self.constants: dict[str, Any] = {}
        results = ["ilr"]
        for name, read in packed.graph.layers:
            results.append(self._add("Relu", [self._convolve(name, results[read])]))
        parts = []
        for name, read, share in packed.graph.outputs:
            part = self._convolve(name, results[read])
            if packed.graph.skip:
                part = self._add("Add", ["ilr", part])
            parts.append(part if share == 1 else self._add("Mul", [part, self._share(share)]))
        self._add("Sum", parts, "restored")

    def _add(self, kind: str, inputs: list[str], output: str = "", **options: Any) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append((kind, inputs, [output], options))
        return output

    def _convolve(self, name: str, x: str) -> str:
        weight, bias = self.packed.layer(name)
        radius = weight.shape[-1] // 2
        self.constants |= {f"{name}.weight": weight, f"{name}.bias": bias}
        if self.packed.graph.padding == "edge":
            widths = f"pads_{radius}"
            self.constants[widths] = np.array([0, 0, radius, radius] * 2, np.int64)
            x, radius = self._add("Pad", [x, widths], mode="edge"), 0
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        return self._add("Conv", inputs, pads=[radius] * 4)

    def _share(self, share: float) -> str:
        name = f"share_{len(self.nodes)}"
        self.constants[name] = np.array(share, np.float32)
        return name
