"""Files from strangers: weights and recipes that are not what they should be, drawn from a seed.

``python tests/strangers.py FOLDER some`` uses those that must be refused as their words say, a few
by the command line and the others through the library, in bounded memory, and prints what came of
it: two lines of JSON a file, one before and one after. With ``all`` it gives all of them to the
command line.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import sys
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save
from torch import nn

import bigsharp
from bigsharp import cli, networks
from bigsharp.networks.export import export
from bigsharp.training.loop import Trainer
from bigsharp.training.recipe import Recipe, load_recipe
from bigsharp.weights import file
from bigsharp.weights.file import Packed
from bigsharp.weights.onnx import to_onnx

SEED = 14

#: Bytes beyond what is mapped before the first file.
MEMORY = 2 << 30


@dataclass(frozen=True)
class Stranger:
    """A file, and whether it must be refused; one that was changed by chance may still be good."""

    name: str
    content: bytes
    words: tuple[str, ...]
    refused: bool = True


# What a key may hold in place of what it should; DEEP and LONG are written as text.
DEEP, LONG = "@deep", "@long"
ODD: list[Any] = [
    None, True, -1, 0, 3, 10**9, 10**23, 1e308, float("nan"), float("inf"), "", "x", "x" * 10_000,
    [], {}, [None], [[1, 2]], {"a": {"b": 1}}, [0.5], [1e9], DEEP, LONG,
]  # fmt: skip

UPSCALE = ("upscale", "picture.png", "-o", "out.png", "--scale", "2", "-m", "FILE")
BY_TORCH = (*UPSCALE, "--engine", "torch")
EXPORT = ("export", "FILE", "-o", "out.onnx")
START = ("train", "tiny.toml", "--device", "cpu", "-o", "run", "-q", "--from", "FILE")
TRAIN = ("train", "FILE", "--device", "cpu", "-o", "run", "-q")


def draw(architecture: str, **options: Any) -> Packed:
    """A small network whose every weight counts."""
    torch.manual_seed(0)
    network = networks.build(architecture, **options)
    for values in network.parameters():
        nn.init.uniform_(values, -0.2, 0.3)
    return networks.pack(architecture, network.eval(), (2, 3))


VDSR = draw("vdsr", depth=3, features=8)
DRCN = draw("drcn", recursions=2, filters=8)
SRCNN = draw("srcnn", filters=(4, 3))


def plain(packed: Packed) -> dict[str, Any]:
    """What a file says of a network, to be changed."""
    return json.loads(json.dumps(file.about(packed)))


def changes(chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """What weights may say of themselves, none of it true."""
    paths = [
        ("architecture",), ("options",), ("scales",), ("graph",), ("scales", 0),
        ("graph", "layers"), ("graph", "outputs"), ("graph", "skip"), ("graph", "padding"),
        ("graph", "layers", 0), ("graph", "layers", 0, 0), ("graph", "layers", 1, 1),
        ("graph", "outputs", 0), ("graph", "outputs", 0, 0), ("graph", "outputs", 0, 1),
        ("graph", "outputs", 0, 2), ("options", "depth"), ("options", "features"),
        ("options", "residual"),
    ]  # fmt: skip
    for path in paths:
        for odd in [*chance.sample(ODD, 5), DEEP]:
            said = place = plain(VDSR)
            for key in path[:-1]:
                place = place[key]  # type: ignore[index]
            place[path[-1]] = odd  # type: ignore[index]
            yield f"{'-'.join(map(str, path))}-{str(odd)[:12]}", said
        said = plain(VDSR)
        if len(path) == 1:
            del said[path[0]]
            yield f"no-{path[0]}", said


def as_json(said: Any) -> str:
    text = json.dumps(said)
    text = text.replace(f'"{DEEP}"', "[" * 5000 + "]" * 5000)
    return text.replace(f'"{LONG}"', "[" + "1," * 100_000 + "1]")


def grown(said: Any) -> Any:
    """The same in Python's own lists; the long one is small in a pickle, and endless in print."""
    if said == DEEP:
        deep: list[Any] = []
        for _ in range(5000):
            deep = [deep]
        return deep
    if said == LONG:
        bomb: list[Any] = ["ha"]
        for _ in range(60):
            bomb = [bomb, bomb]
        return bomb
    if isinstance(said, dict):
        return {key: grown(value) for key, value in said.items()}
    return [grown(value) for value in said] if isinstance(said, list) else said


#: What must be refused of a network's arrays.
STATES: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
    "nan": lambda s: s["layers.0.weight"].fill(np.nan),
    "inf": lambda s: s["layers.1.bias"].fill(np.inf),
    "missing": lambda s: s.pop("layers.1.weight"),
    "none": lambda s: s.clear(),
    "double": lambda s: s.update({"layers.0.bias": s["layers.0.bias"].astype(np.float64)}),
    "half": lambda s: s.update({"layers.0.bias": s["layers.0.bias"].astype(np.float16)}),
    "whole": lambda s: s.update({"layers.0.bias": s["layers.0.bias"].astype(np.int64)}),
    "flat": lambda s: s.update({"layers.0.weight": s["layers.0.weight"].ravel()}),
    "scalar": lambda s: s.update({"layers.0.weight": np.array(1, np.float32)}),
    "narrow": lambda s: s.update({"layers.1.weight": s["layers.1.weight"][:, :3].copy()}),
    "even": lambda s: s.update({"layers.1.weight": np.zeros((8, 8, 2, 2), np.float32)}),
    "huge": lambda s: s.update({"layers.1.weight": np.zeros((8, 8, 99, 99), np.float32)}),
    "oblong": lambda s: s.update({"layers.1.weight": np.zeros((8, 8, 3, 5), np.float32)}),
    "empty": lambda s: s.update({"layers.0.weight": np.zeros((0, 1, 3, 3), np.float32)}),
    "long-bias": lambda s: s.update({"layers.0.bias": np.zeros(9, np.float32)}),
    "colour": lambda s: s.update(
        {"layers.2.weight": np.zeros((3, 8, 3, 3), np.float32), "layers.2.bias": np.zeros(3, "f4")}
    ),
    "wide": lambda s: s.update(
        {
            "layers.0.weight": np.zeros((600, 1, 3, 3), np.float32),
            "layers.0.bias": np.zeros(600, np.float32),
            "layers.1.weight": np.zeros((8, 600, 3, 3), np.float32),
        }
    ),
}


def noise(content: bytes, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """The file with some bytes changed, cut off, doubled or taken out."""
    for number in range(count):
        data = bytearray(content)
        at = chance.randrange(len(data))
        # Most of a file is weights; what is said of them lies at one of its ends.
        if chance.random() < 0.7:
            at = chance.choice([1, -1]) * chance.randrange(min(900, len(data))) % len(data)
        match number % 4:
            case 0:
                del data[at:]
            case 1:
                data[at] = chance.randrange(256)
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 30))
            case 3:
                del data[at : at + chance.randrange(1, 30)]
        yield f"noise-{number}", bytes(data)


def safetensors(chance: random.Random) -> Iterator[Stranger]:
    def pack(said: Any, state: dict[str, np.ndarray] | None = None) -> bytes:
        about = said if isinstance(said, str) else as_json(said)
        return save(dict(VDSR.state) if state is None else state, {"bigsharp": about})

    for name, said in changes(chance):
        yield Stranger(name, pack(said), chance.choice([BY_TORCH, UPSCALE]), refused=False)
    for name, change in STATES.items():
        state = {key: values.copy() for key, values in VDSR.state.items()}
        change(state)
        yield Stranger(name, pack(plain(VDSR), state), chance.choice([UPSCALE, BY_TORCH, EXPORT]))
    for options in (
        [1], "x", None, {"depth": 10**6}, {"features": 10**9}, {"depth": 3, "features": [8]},
        {"depth": 1e6}, {"depth": 10**23}, {"architecture": "vdsr"}, {"self": 1}, {"width": 3},
    ):  # fmt: skip
        said = plain(VDSR) | {"options": options}
        yield Stranger(f"options-{str(options)[:20]}", pack(said), BY_TORCH)
    many = plain(VDSR)
    many["graph"]["layers"] = [["layers.0", 0]] + [["layers.1", n] for n in range(1, 10**5)]
    yield Stranger("many-layers", pack(many), UPSCALE)
    yield Stranger("scale-inf", pack(plain(VDSR) | {"scales": [float("inf")]}), UPSCALE)
    yield Stranger("scale-1e9", pack(plain(VDSR) | {"scales": [1e9]}), UPSCALE)
    for text in ("", "{}", "[]", "null", "[" * 10**5, '{"architecture": "vdsr"}', "1" * 5000):
        yield Stranger(f"said-{text[:9]}", pack(text), UPSCALE)
    yield Stranger("bf16", pack(plain(VDSR)).replace(b'"F32"', b'"I32"'), UPSCALE)
    yield Stranger("no-metadata", save(dict(VDSR.state)), UPSCALE)
    header = b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    yield Stranger("claims", len(header).to_bytes(8, "little") + header, UPSCALE)
    yield Stranger("header", (1 << 60).to_bytes(8, "little") + header, UPSCALE)
    yield from classic_methods()
    for name, content in noise(pack(plain(VDSR)), chance, 24):
        yield Stranger(name, content, UPSCALE, refused=False)


def classic_methods() -> Iterator[Stranger]:
    """Methods that are not networks."""
    unit = np.eye(40, 6, dtype=np.float32) + np.eye(40, 6, -6, dtype=np.float32)
    features = np.ones((81, 6), np.float32)
    coupled = {"features": features, "atoms": unit, "patches": np.zeros((40, 36), np.float32)}
    aplus = {
        "features": features,
        "anchors": unit,
        "regressors": np.zeros((40, 6, 5), np.float32),
        "basis": np.zeros((5, 36), np.float32),
    }
    rfl = {
        "features": features,
        "roots": np.zeros(1, np.int32),
        "pairs": np.array([[0, 1], [4, 2]], np.int32),
        "thresholds": np.zeros(2, np.float32),
        "children": np.array([[-1, 1], [-3, -2]], np.int32),
        "shares": np.ones((3, 4), np.int8),
        "shared": np.zeros((4, 6, 5), np.float32),
        "basis": np.zeros((5, 36), np.float32),
    }
    methods = {"aplus": aplus, "sparse": coupled, "neighbours": coupled, "rfl": rfl}
    for method, good in methods.items():

        def pack(state: dict[str, np.ndarray], scale: Any = 2, architecture: str = method) -> bytes:
            said = {"architecture": architecture, "options": {"scale": scale}, "scales": [2]}
            return save(state, {"bigsharp": as_json(said)})

        for scale in (1, 10**6, 2.0, "2", None, [2], True, DEEP):
            yield Stranger(f"{method}-scale-{str(scale)[:9]}", pack(good, scale), UPSCALE)
        for key, values in good.items():
            for name, change in (
                ("short", values[:-1]), ("none", values[:0]), ("flat", values.reshape(1, -1)),
                ("thick", values[None]), ("nan", values * np.nan),
                ("other", values.astype(np.float32 if values.dtype.kind == "i" else np.int32)),
            ):  # fmt: skip
                state = good | {key: np.ascontiguousarray(change)}
                yield Stranger(f"{method}-{key}-{name}", pack(state), UPSCALE)
            yield Stranger(
                f"{method}-no-{key}", pack({k: v for k, v in good.items() if k != key}), UPSCALE
            )
            large = good | {key: values + np.float32(3e38)}
            yield Stranger(f"{method}-{key}-large", pack(large), UPSCALE, refused=False)
        yield Stranger(f"{method}-other", pack(good, architecture="vdsr"), UPSCALE)
        yield Stranger(f"{method}-good", pack(good), UPSCALE, refused=False)
    for key, number in (
        ("roots", 2), ("roots", -4), ("pairs", 6), ("pairs", -1), ("children", 0), ("children", 2),
        ("children", -4),
    ):  # fmt: skip
        astray = rfl[key].copy()
        astray.flat[-1] = number
        yield Stranger(f"rfl-{key}-{number}", pack(rfl | {key: astray}), UPSCALE)
    few = {key: values[:5] if key != "features" else values for key, values in coupled.items()}
    yield Stranger("few-neighbours", pack(few), UPSCALE)


def checkpoints(chance: random.Random) -> Iterator[Stranger]:
    good = {name: torch.from_numpy(values) for name, values in VDSR.state.items()}

    def pack(said: Any, state: Any = good, **how: Any) -> bytes:
        buffer = io.BytesIO()
        sys.setrecursionlimit(50_000)  # for the deep ones
        torch.save(said | {"state": state} if isinstance(said, dict) else said, buffer, **how)
        sys.setrecursionlimit(1000)
        return buffer.getvalue()

    for name, said in changes(chance):
        words = chance.choice([BY_TORCH, UPSCALE, START])
        yield Stranger(name, pack(grown(said)), words, refused=False)
    said, first = plain(VDSR), good["layers.0.weight"]
    for name, change in STATES.items():
        state = {key: values.copy() for key, values in VDSR.state.items()}
        change(state)
        tensors = {key: torch.from_numpy(values) for key, values in state.items()}
        words = chance.choice([BY_TORCH, UPSCALE, EXPORT, START])
        yield Stranger(name, pack(said, tensors), words)
    tensors = {
        "bf16": first.bfloat16(), "complex": first.to(torch.complex64), "bool": first > 0,
        "sparse": first.to_sparse(), "meta": first.to("meta"), "csr": first[0, 0].to_sparse_csr(),
        "quantised": torch.quantize_per_tensor(first, 0.1, 0, torch.qint8),
        "repeated": torch.zeros(1).expand(10**6, 10**6), "none": None, "text": "x", "list": [1.0],
        "nested": torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(3, 3)]),
        "vast-meta": torch.empty(10**6, 10**6, device="meta"), "number": 3.0,
        "vast-sparse": torch.sparse_coo_tensor(torch.zeros(2, 0), torch.zeros(0), (10**9, 10**9)),
        "loop": {}, "dict": {"a": first}, "unsigned": first.byte(), "half": first.half(),
    }  # fmt: skip
    for name, tensor in tensors.items():
        words = chance.choice([BY_TORCH, UPSCALE, EXPORT, START])
        yield Stranger(f"tensor-{name}", pack(said, good | {"layers.0.weight": tensor}), words)
    for name, state in (
        ("list", list(good.values())), ("none", None), ("text", "state"), ("number", 3),
        ("tensor", first), ("deep", grown(DEEP)), ("bomb", grown(LONG)), ("keys", {3: first}),
        ("shared", {f"{n}": torch.zeros(1000, 1000)[:] for n in range(1)} | {
            f"s{n}": view for n, view in enumerate([torch.zeros(1000, 1000)] * 1000)}),
    ):  # fmt: skip
        yield Stranger(f"state-{name}", pack(said, state), chance.choice([UPSCALE, START]))
    for name, whole in (("list", [1, 2]), ("tensor", first), ("none", None), ("net", {"a": first})):
        content = pack(whole) if name != "net" else pack({"a": first})
        yield Stranger(f"whole-{name}", content, UPSCALE)
    yield Stranger("legacy", pack(said, _use_new_zipfile_serialization=False), UPSCALE)
    yield Stranger("pickle", pickle.dumps(print), UPSCALE)
    yield Stranger("code", pack(said | {"run": print}), UPSCALE)
    yield Stranger("module", pack(said, nn.Linear(2, 2)), UPSCALE)
    yield Stranger("empty", b"", UPSCALE)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), buffer)
    yield Stranger("script", buffer.getvalue(), UPSCALE)
    yield from archives(pack(said))
    for name, content in noise(pack(said), chance, 24):
        yield Stranger(name, content, chance.choice([UPSCALE, BY_TORCH]), refused=False)


def archives(content: bytes) -> Iterator[Stranger]:
    """The archive that a checkpoint is, taken apart."""

    def again(how: int, part: str, change: Callable[[bytes], bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", how) as new:
            for entry in old.infolist():
                data = old.read(entry)
                new.writestr(
                    entry.filename, change(data) if entry.filename.endswith(part) else data
                )
        return buffer.getvalue()

    stored, packed = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
    size = (1 << 60).to_bytes(8, "little")
    call = b"\x80\x02c__builtin__\nbytearray\n\x8a\x08" + size + b"\x85R."
    for name, how, part, change in (
        ("bomb", packed, "data.pkl", lambda data: data + bytes(200 << 20)),
        ("marks", stored, "data.pkl", lambda data: b"\x80\x02" + b"(" * 10**5),
        ("cut", stored, "data.pkl", lambda data: data[:-9]),
        ("allocates", stored, "data.pkl", lambda data: call),
        ("long", stored, "data.pkl", lambda data: data + bytes(9 << 20)),
        ("no-values", stored, "/data/0", lambda data: data[:2]),
    ):
        yield Stranger(f"archive-{name}", again(how, part, change), UPSCALE)


def models(chance: random.Random) -> Iterator[Stranger]:
    """ONNX models: ours with something changed, and others altogether."""
    for name, packed in (("vdsr", VDSR), ("drcn", DRCN), ("srcnn", SRCNN)):
        good = to_onnx(packed)
        for fault, change in FAULTS.items():
            model = onnx.load_from_string(good)
            change(model)
            yield Stranger(f"{name}-{fault}", model.SerializeToString(), UPSCALE)
        for number, content in noise(good, chance, 16):
            yield Stranger(f"{name}-{number}", content, UPSCALE, refused=False)
    for name, model in (("loop", endless()), ("vast", vast()), ("identity", identity())):
        yield Stranger(name, model.SerializeToString(), UPSCALE)


def _sides(value: Any, *sides: Any) -> None:
    del value.type.tensor_type.shape.dim[:]
    for side in sides:
        dim = value.type.tensor_type.shape.dim.add()
        if isinstance(side, int):
            dim.dim_value = side
        else:
            dim.dim_param = side


def _say(model: Any, key: str, value: str) -> None:
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value


def _elsewhere(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def _add(model: Any, kind: str, *inputs: str, **options: Any) -> None:
    model.graph.node.insert(1, helper.make_node(kind, inputs, ["new"], **options))


#: What may be changed in a model of ours.
FAULTS: dict[str, Callable[[Any], object]] = {
    "rank": lambda m: _sides(m.graph.input[0], 1, "height", "width"),
    "colour": lambda m: _sides(m.graph.input[0], 1, 3, "height", "width"),
    "fixed": lambda m: _sides(m.graph.input[0], 1, 1, 7, 7),
    "square": lambda m: _sides(m.graph.input[0], 1, 1, "n", "n"),
    "negative": lambda m: _sides(m.graph.input[0], 1, 1, -5, -5),
    "symbols": lambda m: _sides(m.graph.input[0], "a", "b", "", "height"),
    "type": lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE),
    "two-inputs": lambda m: m.graph.input.append(
        helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
    ),
    "no-input": lambda m: m.graph.ClearField("input"),
    "no-output": lambda m: m.graph.ClearField("output"),
    "two-outputs": lambda m: m.graph.output.append(m.graph.output[0]),
    "sequence": lambda m: m.graph.input[0].CopyFrom(
        helper.make_tensor_sequence_value_info("ilr", TensorProto.FLOAT, None)
    ),
    "renamed": lambda m: setattr(m.graph.input[0], "name", "x"),
    "no-graph": lambda m: m.ClearField("graph"),
    "no-nodes": lambda m: m.graph.ClearField("node"),
    "no-weights": lambda m: m.graph.ClearField("initializer"),
    "elsewhere": _elsewhere,
    "claims": lambda m: m.graph.initializer[0].dims.__setitem__(0, 10**9),
    "minus": lambda m: m.graph.initializer[0].dims.__setitem__(0, -1),
    "doubles": lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.DOUBLE),
    "nan": lambda m: setattr(
        m.graph.initializer[0], "raw_data", b"\xff" * len(m.graph.initializer[0].raw_data)
    ),
    "twice": lambda m: m.graph.initializer.append(m.graph.initializer[0]),
    "scales-inf": lambda m: _say(m, "bigsharp.scales", "inf"),
    "scales-nan": lambda m: _say(m, "bigsharp.scales", "nan,2"),
    "scales-1e9": lambda m: _say(m, "bigsharp.scales", "1e9"),
    "scales-text": lambda m: _say(m, "bigsharp.scales", "two"),
    "parameters": lambda m: _say(m, "bigsharp.parameters", "9" * 5000),
    "parameters-text": lambda m: _say(m, "bigsharp.parameters", "many"),
    "unsaid": lambda m: m.ClearField("metadata_props"),
    "opset": lambda m: setattr(m.opset_import[0], "version", 21),
    "domain": lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"),
    "training": lambda m: m.training_info.add(),
    "function": lambda m: m.functions.add(name="Conv", domain=""),
    "pads": lambda m: m.graph.node[-2].attribute.append(helper.make_attribute("pads", [10**6] * 4)),
    "strides": lambda m: m.graph.node[0].attribute.append(helper.make_attribute("strides", [9, 9])),
    "sigmoid": lambda m: _add(m, "Sigmoid", "ilr"),
    "identity": lambda m: _add(m, "Identity", "ilr"),
    "fill": lambda m: _add(m, "ConstantOfShape", m.graph.initializer[1].name),
    "resize": lambda m: _add(m, "Resize", "ilr", "", "ilr"),
    "cycle": lambda m: m.graph.node[0].input.__setitem__(0, m.graph.node[-1].output[0]),
    "unnamed": lambda m: m.graph.node[0].output.__setitem__(0, ""),
    "backwards": lambda m: m.graph.node.sort(key=lambda node: node.op_type == "Conv"),
    "dead": lambda m: m.graph.node.insert(
        1, helper.make_node("Conv", m.graph.node[0].input, ["dead"], pads=[1] * 4)
    ),
    "many": lambda m: [m.graph.node.insert(2, m.graph.node[1]) for _ in range(2000)],
}


def _described(graph: Any) -> Any:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    says = {"bigsharp.receptive_field": "9", "bigsharp.scales": "2", "bigsharp.parameters": "3"}
    helper.set_model_props(model, says)
    return model


def _plane(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, "height", "width"))


def endless() -> Any:
    """A model that loops."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["x"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            _plane("x"),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, ()), _plane("y")],
    )
    constants = [
        numpy_helper.from_array(np.array(1 << 62), "times"),
        numpy_helper.from_array(np.array(True), "go_in"),
    ]
    loop = helper.make_node("Loop", ["times", "go_in", "ilr"], ["restored"], body=body)
    graph = helper.make_graph([loop], "vdsr", [_plane("ilr")], [_plane("restored")], constants)
    return _described(graph)


def vast() -> Any:
    """A model that allocates a terabyte of constants before it runs."""
    shape = numpy_helper.from_array(np.array([1 << 38], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        helper.make_node("Add", ["ilr", "none"], ["restored"]),
    ]
    planes = [_plane("ilr")], [_plane("restored")]
    return _described(helper.make_graph(nodes, "vdsr", *planes, [shape]))


def identity() -> Any:
    """A model without a layer."""
    node = helper.make_node("Sum", ["ilr"], ["restored"])
    return _described(helper.make_graph([node], "vdsr", [_plane("ilr")], [_plane("restored")]))


TINY = """architecture = "vdsr"
options = { depth = 3, features = 8 }
data = ["photos"]
holdout = 1
scales = [2]
patch = 12
batch = 2
steps = 1
validate_every = 1
validation_crop = 20
"""

#: Values that a recipe may hold in place of what it should.
VALUES = (
    '"x"', '""', "-1", "0", "0.5", "1000000001", "9" * 23, "0x" + "f" * 9000, "1e308", "nan",
    "inf", "-inf", "true", "[]", "{}", "[[1]]", "[1e9]", "[0]", "[-2]", '[1, "a"]',
    "1979-05-27", '["a\\u0000"]', '"../../x"', "[" * 90 + "]" * 90, '["' + "a" * 5000 + '"]',
    "{ a = { b = 1 } }", "[" + "2," * 2000 + "]",
)  # fmt: skip


def recipes(chance: random.Random) -> Iterator[Stranger]:
    def changed(key: str, value: str) -> bytes:
        kept = [line for line in TINY.splitlines() if not line.startswith(f"{key} =")]
        return "\n".join([*kept, f"{key} = {value}"]).encode()

    for entry in fields(Recipe):
        for number, value in enumerate(chance.sample(VALUES, 6)):
            yield Stranger(f"{entry.name}-{number}", changed(entry.name, value), TRAIN, False)
    for key, value in (
        ("name", '"../../x"'), ("name", '"/tmp/x"'), ("name", '""'), ("name", '".."'),
        ("name", "3"), ("name", '"a\\u0000b"'), ("name", "{ a = 1 }"), ("name", '"a\\nb"'),
        ("name", '"' + "a" * 3000 + '"'), ("name", '"a\\\\..\\\\b"'), ("architecture", '["vdsr"]'),
        ("architecture", "{ a = 1 }"), ("architecture", '"resnet"'), ("options", '"x"'),
        ("options", "{ depth = 1000000 }"), ("options", "{ features = 1000000000 }"),
        ("options", "{ depth = { a = 1 } }"), ("options", "{ architecture = 'vdsr' }"),
        ("options", "{ depth = '3' }"), ("options", "{ depth = 3.5 }"),
        ("options", "{ x = [[1]] }"),
        ("batch", "1000000000"), ("batch", "60000"), ("patch", "100000"), ("patch", "0"),
        ("seed", "9" * 23), ("seed", "-1"), ("steps", "9" * 20), ("steps", "true"),
        ("zooms", "[1e-6]"), ("zooms", "[0.0]"), ("scales", "[1e9]"), ("scales", "[1000]"),
        ("scales", "[inf]"), ("scales", "[" + "2," * 2000 + "]"), ("scale_range", "[1.1, 1e6]"),
        ("lr", "9" * 400), ("lr", "inf"), ("lr", "nan"), ("exact", "0.9999999"),
        ("validation_crop", "1000000"), ("holdout", "9" * 23), ("grow", "[" + "1," * 9 + "]"),
        ("grow", f"[{10**30}]"), ("data", '["a\\u0000"]'), ("data", f'["{"a" * 5000}"]'),
        ("data", '["/proc"]'), ("data", "[]"), ("data", "[[]]"), ("loss", "[]"),
        ("loss", '"' + "l" * 10**5 + '"'), ("k" * 10**5, "1"), ("a" + ".a" * 2000, "1"),
        ("options" + ".a" * 2000, "1"), ('"a\\nb"', "1"), ("weight_decay", "1e999"),
        ("step_every", "-1"), ("rim", "6"), ("momentum", "-0.1"), ("ema", "2"),
    ):  # fmt: skip
        yield Stranger(f"{key[:20]}-{value[:20]}", changed(key, value), TRAIN)
    for name, text in (
        ("deep-list", "a = " + "[" * 5000), ("deep-table", "a = " + "{a=" * 5000), ("empty", ""),
        ("binary", "\x00\x01"), ("large", TINY + "#" * (2 << 20)), ("unclosed", 'a = "'),
        ("twice", TINY + "steps = 3"), ("digits", "steps = " + "9" * 5000), ("bom", "\ufeff"),
        ("many", "\n".join(f"k{n} = 1" for n in range(20_000))), ("arrays", "[[a]]\n" * 10_000),
    ):  # fmt: skip
        yield Stranger(name, text.encode(), TRAIN)
    yield Stranger("latin", TINY.encode() + b"# \xe9", TRAIN)
    for name, content in noise(TINY.encode(), chance, 24):
        # One that has lost its line of steps is good, and would train for hours.
        yield Stranger(name, content, (*TRAIN, "--steps", "1"), refused=False)


#: Kinds of files: the end of their names, and what draws them.
KINDS: dict[str, Callable[[random.Random], Iterator[Stranger]]] = {
    ".safetensors": safetensors,
    ".pt": checkpoints,
    ".onnx": models,
    ".toml": recipes,
}


def draw_files(kind: str) -> Iterator[Stranger]:
    """The same files each time."""
    return KINDS[kind](random.Random(f"{SEED} {kind}"))


def prepare(folder: Path) -> Path:
    """A folder within folders, with pictures and a recipe."""
    work = folder / "a" / "b"
    (work / "photos").mkdir(parents=True)
    random_values = np.random.default_rng(0)
    for name in ("photos/1", "photos/2", "photos/3", "picture"):
        values = random_values.integers(0, 256, (30, 28), dtype=np.uint8)
        Image.fromarray(values).save(work / f"{name}.png")
    (work / "tiny.toml").write_text(TINY)
    return work


def by_command(words: list[str]) -> None:
    """Run the command line here; a SystemExit."""
    sys.argv = ["bigsharp", *words]
    cli.main()


def by_library(words: list[str]) -> None:
    """The same through the library, which takes a tenth of the time."""
    match words:
        case ["upscale", picture, "-o", out, "--scale", scale, "-m", model, *engine]:
            engine = engine[-1] if engine else "auto"
            bigsharp.load(model, engine).upscale(picture, float(scale), output=out)
        case ["export", checkpoint, "-o", out]:
            export(checkpoint, out)
        case ["train", recipe, *_, "--from", start]:
            Trainer(load_recipe(recipe), Path("run"), start=start).train()
        case ["train", recipe, *_]:
            Trainer(load_recipe(recipe), Path("run")).train()
        case _:
            raise AssertionError(words)


def outcome(use: Callable[[list[str]], None], words: list[str]) -> tuple[int, str]:
    """The exit status that it has, or would have, and all that it says of errors."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            use(words)
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
        except bigsharp.BigsharpError as error:
            return 2, f"{said.getvalue()}bigsharp: {' '.join(str(error).split())}\n"
        except BaseException:
            return 1, f"{said.getvalue()}\n{traceback.format_exc()}"[-3000:]
    return 0, said.getvalue()


def bound_memory() -> None:
    """Let no more be mapped than now and `MEMORY`, where the system can be told so."""
    if sys.platform == "linux":
        import resource

        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))


def main(folder: Path, everything: bool) -> None:
    torch.set_num_threads(1)
    work = prepare(folder)
    with contextlib.chdir(work):
        outcome(by_command, ["upscale", "picture.png", "-o", "out.png", "-q"])
        Path("out.png").unlink()
        bound_memory()
        for kind in KINDS:
            for number, stranger in enumerate(draw_files(kind)):
                if not (everything or stranger.refused):
                    continue
                path = Path(f"{number}{kind}")
                path.write_bytes(stranger.content)
                use = by_command if everything or number % 20 == 0 else by_library
                name = f"{stranger.name} {use.__name__}"
                print(json.dumps({"kind": kind, "name": name}), flush=True)
                before = set(folder.rglob("*"))
                began = time.monotonic()
                words = [str(path) if word == "FILE" else word for word in stranger.words]
                status, said = outcome(use, words)
                seconds = time.monotonic() - began
                new = sorted(set(folder.rglob("*")) - before, reverse=True)
                for made in new:
                    made.rmdir() if made.is_dir() else made.unlink()
                result = {"status": status, "said": said, "seconds": round(seconds, 3)}
                result["new"] = [os.path.relpath(made, work) for made in new]
                print(json.dumps(result | {"refused": stranger.refused}), flush=True)
                path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "all")
