"""A network's weights as an ONNX model, which runs in ONNX Runtime and elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bigsharp import errors, limits
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights.file import MALFORMED, Graph, Packed

#: Metadata entries: the receptive field in pixels, the scales trained on, separated by commas, the
#: number of trained values, and the task.
RECEPTIVE_FIELD = "bigsharp.receptive_field"
SCALES = "bigsharp.scales"
PARAMETERS = "bigsharp.parameters"
TASK = "bigsharp.task"

#: Input and output of a model that takes whole pictures; see `weights.onnx_picture`.
PICTURE, ENLARGED = "picture", "enlarged"

#: The name of an input or output, and its shape, with names for sides of any length.
Plane = tuple[str, tuple[int | str, ...]]

#: Of the standard: from 2019 on, read by every ONNX Runtime that we take.
_OPSET, _IR_VERSION = 11, 6

# What ONNX's messages (onnx.proto) have in our models: names by the numbers of their fields.
_MODEL = {1: "ir", 2: "producer", 7: "graph", 8: "opset", 14: "about"}
_OPSET_ID = {1: "domain", 2: "version"}
_ENTRY = {1: "key", 2: "value"}
_GRAPH = {1: "nodes", 2: "name", 5: "constants", 11: "inputs", 12: "outputs"}
_NODE = {1: "inputs", 2: "outputs", 4: "kind", 5: "options"}
_OPTION = {1: "name", 4: "text", 8: "numbers", 20: "type"}
_CONSTANT = {1: "shape", 2: "type", 8: "name", 9: "values"}
_IMAGE = {1: "name", 2: "type"}
_TYPE, _PLANE, _SHAPE, _SIDE = {1: "plane"}, {1: "type", 2: "shape"}, {1: "sides"}, {1: "n", 2: "n"}

# Types of numbers, by ONNX's codes.
_FLOAT, _INT64 = 1, 7
_NUMBERS = {_FLOAT: "<f4", _INT64: "<i8"}


def to_onnx(packed: Packed) -> bytes:
    """The network as an ONNX model for pictures of any size.

    Input ``ilr`` and output ``restored`` are float32, (1, 1, height, width).

    Raises
    ------
    BigsharpError
        The library is not installed.
    """
    nodes = Nodes()
    nodes.add_network(packed, "ilr", "restored")
    image = (1, 1, "height", "width")
    return to_model(packed, nodes, ("ilr", image), ("restored", image))


def to_model(packed: Packed, nodes: Nodes, begin: Plane, end: Plane) -> bytes:
    """A model of `nodes`, from one plane to another, that says what `packed` is."""
    if find_spec("onnx") is None:
        raise BigsharpError(errors.install("export to ONNX needs", "onnx", "train"))
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(kind, i, o, **options) for kind, i, o, options in nodes.nodes],
        packed.architecture,
        [helper.make_tensor_value_info(begin[0], TensorProto.FLOAT, begin[1])],
        [helper.make_tensor_value_info(end[0], TensorProto.FLOAT, end[1])],
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
        TASK: packed.task,
    }
    helper.set_model_props(model, about)
    return model.SerializeToString()


class Nodes:
    """Nodes of an ONNX model, one after another, and the constants that they read."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self.constants: dict[str, Array] = {}

    def add(self, kind: str, inputs: list[str], output: str = "", **options: Any) -> str:
        """Add a node; returns the name of what it gives."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append((kind, inputs, [output], options))
        return output

    def constant(self, name: str, values: Array) -> str:
        """Add a constant; returns its name."""
        self.constants[name] = values
        return name

    def pad(self, x: str, radius: int) -> str:
        """Repeat the outermost pixels."""
        widths = np.array([0, 0, radius, radius] * 2, np.int64)
        return self.add("Pad", [x, self.constant(f"pads_{radius}", widths)], mode="edge")

    def add_network(self, packed: Packed, ilr: str, restored: str) -> None:
        """Add a network from a plane to a plane, by their names."""
        results = [ilr]
        for name, read in packed.graph.layers:
            results.append(self.add("Relu", [self._convolve(packed, name, results[read])]))
        parts = []
        for name, read, share in packed.graph.outputs:
            part = self._convolve(packed, name, results[read])
            if packed.graph.skip:
                part = self.add("Add", [ilr, part])
            parts.append(part if share == 1 else self.add("Mul", [part, self._share(share)]))
        self.add("Sum", parts, restored)

    def _convolve(self, packed: Packed, name: str, x: str) -> str:
        weight, bias = packed.layer(name)
        radius = weight.shape[-1] // 2
        inputs = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        if packed.graph.padding == "edge":
            x, radius = self.pad(x, radius), 0
        return self.add("Conv", [x, *inputs], pads=[radius] * 4)

    def _share(self, share: float) -> str:
        return self.constant(f"share_{len(self.nodes)}", np.array(share, np.float32))


def read(path: str | Path) -> tuple[bytes, Packed, int]:
    """Read an ONNX model that `to_onnx` built, without ONNX's library.

    ONNX can express loops, allocations and files elsewhere. Nothing but our own layers is let
    through to what runs the model.

    Returns
    -------
    content : bytes
    packed : Packed
        The network; its options are not known.
    parameters : int
        Trained values; those that only led to others count too.

    Raises
    ------
    BigsharpError
        The file is missing, or is something else.
    """
    try:
        content = Path(path).read_bytes()
        return content, *_from_onnx(memoryview(content))
    except FileNotFoundError:
        raise BigsharpError(f"{path}: no such file") from None
    except BigsharpError as error:
        raise BigsharpError(f"{path}: {error}") from None
    except (OSError, *MALFORMED):
        raise BigsharpError(f"{path}: not a network exported by bigsharp") from None


def _from_onnx(content: memoryview) -> tuple[Packed, int]:
    model = _message(content, _MODEL)
    (graph,) = (_message(part, _GRAPH) for part in model["graph"])
    (opset,) = (_message(part, _OPSET_ID) for part in model["opset"])
    entries = (_message(part, _ENTRY) for part in model["about"])
    about = {_text(entry["key"]): _text(entry["value"]) for entry in entries}
    if _text(_message(graph["inputs"][0], _IMAGE)["name"]) == PICTURE:
        raise BigsharpError("it enlarges pictures, for other programs; give the network itself")
    images = [_image(part) for part in graph["inputs"] + graph["outputs"]]
    if opset != {"domain": [b""], "version": [_OPSET]} or images != ["ilr", "restored"]:
        raise ValueError("it is of another kind")
    constants = dict(map(_constant, graph["constants"]))
    if len(constants) < len(graph["constants"]):
        raise ValueError("two constants have one name")
    nodes = _Layers(constants)
    for part in graph["nodes"]:
        nodes.take(_message(part, _NODE))
    described = {
        "architecture": _text(graph["name"]),
        "options": {},
        "scales": [float(scale) for scale in about[SCALES].split(",") if scale],
        "graph": asdict(nodes.graph()),
        "task": about.get(TASK, "upscale"),
    }
    state = {name: v for name, v in constants.items() if name.endswith((".weight", ".bias"))}
    packed = Packed.from_about(described, state)
    return packed, int(about.get(PARAMETERS, packed.parameter_count))


class _Layers:
    """The nodes of a model, taken one after another, as layers and outputs: `Nodes` read back."""

    def __init__(self, constants: Mapping[str, Array]) -> None:
        self.constants = constants
        self.layers: list[tuple[str, int]] = []
        self.outputs: list[tuple[str, int, float]] = []
        self.paddings: set[str] = set()
        self.skips: set[bool] = set()
        # What a name stands for: a layer by its number; that and how far it is padded; weights and
        # what they read; the same as part of the output, with whether the ILR is added and a share.
        self.features = {"ilr": 0}
        self.padded: dict[str, tuple[int, int]] = {}
        self.convolved: dict[str, tuple[str, int]] = {}
        self.parts: dict[str, tuple[str, int, bool, float]] = {}

    def graph(self) -> Graph:
        """The network, when all nodes are taken."""
        if self.padded or self.convolved or self.parts:
            raise ValueError("a node has no use")
        (padding,), (skip,) = self.paddings, self.skips
        return Graph(tuple(self.layers), tuple(self.outputs), skip, padding)

    def take(self, node: dict[str, list[Any]]) -> None:
        """Add a node; a ValueError or KeyError where ours are others."""
        kind, inputs = _text(node["kind"]), [str(name, "utf-8") for name in node["inputs"]]
        output = _text(node["outputs"])
        options = [_message(part, _OPTION) for part in node["options"]]
        if [_text(o["name"]) for o in options] != {"Conv": ["pads"], "Pad": ["mode"]}.get(kind, []):
            raise ValueError("a node has other options")
        match kind, inputs:
            case "Pad", [x, widths] if options[0]["text"] == [b"edge"]:
                self.padded[output] = self.features[x], self._radius(widths)
            case "Conv", [x, weight, bias]:
                self.convolved[output] = self._convolution(x, weight, bias, options[0]["numbers"])
            case "Relu", [x]:
                self.layers.append(self.convolved.pop(x))
                self.features[output] = len(self.layers)
            case "Add", ["ilr", x]:
                self.parts[output] = *self.convolved.pop(x), True, 1.0
            case "Mul", [x, share]:
                name, read, skip, _ = self._part(x)
                self.parts[output] = name, read, skip, self._factor(share)
            case "Sum", _ if output == "restored":
                for name, read, skip, factor in map(self._part, inputs):
                    self.skips.add(skip)
                    self.outputs.append((name, read, factor))
            case _:
                raise ValueError("no node of ours")

    def _part(self, name: str) -> tuple[str, int, bool, float]:
        if name in self.parts:
            return self.parts.pop(name)
        return *self.convolved.pop(name), False, 1.0

    def _convolution(self, x: str, weight: str, bias: str, pads: list[int]) -> tuple[str, int]:
        name, radius = weight.removesuffix(".weight"), self.constants[weight].shape[-1] // 2
        self.paddings.add("edge" if x in self.padded else "zeros")
        read, around = self.padded.pop(x) if x in self.padded else (self.features[x], 0)
        if bias != f"{name}.bias" or around not in (0, radius) or pads != [radius - around] * 4:
            raise ValueError("a convolution does not keep the size")
        return name, read

    def _factor(self, share: str) -> float:
        if self.constants[share].shape:
            raise ValueError("a share is no number")
        return float(self.constants[share])

    def _radius(self, widths: str) -> int:
        values = self.constants[widths].tolist()
        if values != [0, 0, values[2], values[2]] * 2 or not 0 <= values[2] <= limits.KERNEL // 2:
            raise ValueError("pads are others")
        return values[2]


def _image(content: memoryview) -> str:
    """The name of an input or output; a ValueError where it is no plane of any size."""
    image = _message(content, _IMAGE)
    (kind,) = (_message(part, _TYPE) for part in image["type"])
    (plane,) = (_message(part, _PLANE) for part in kind["plane"])
    (shape,) = (_message(part, _SHAPE) for part in plane["shape"])
    sides = [_message(part, _SIDE)["n"] for part in shape["sides"]]
    if plane["type"] != [_FLOAT] or sides != [[1], [1], [b"height"], [b"width"]]:
        raise ValueError("it is no plane")
    return _text(image["name"])


def _constant(content: memoryview) -> tuple[str, Array]:
    constant = _message(content, _CONSTANT)
    (kind,), (values,) = constant["type"], constant["values"]
    array = np.frombuffer(values, _NUMBERS[kind]).reshape(constant["shape"])
    return _text(constant["name"]), array


def _text(values: list[Any]) -> str:
    """The text of a field that is there once."""
    (value,) = values
    return str(value, "utf-8")


def _message(content: memoryview, names: Mapping[int, str]) -> dict[str, list[Any]]:
    """The fields of a Protocol Buffers message by their names: numbers and bytes, in order.

    Raises
    ------
    IndexError, KeyError, TypeError, ValueError
        It is no message, or has other fields.

    References
    ----------
    https://protobuf.dev/programming-guides/encoding
    """
    found: dict[str, list[Any]] = {name: [] for name in names.values()}
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        value, at = _varint(content, at)
        if key & 7 not in (0, 2):
            raise ValueError("no field of ours has this type")
        found[names[key >> 3]].append(value if key & 7 == 0 else content[at : at + value])
        at += value if key & 7 == 2 else 0
    if at != len(content):
        raise ValueError("the last field is cut short")
    return found


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where the next field begins."""
    value = shift = 0
    while True:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number has more than 64 bits")
