"""Weights in a safetensors file, which is read without PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array

SUFFIX = ".safetensors"

#: The metadata entry that says what the weights are of.
_ABOUT = "bigsharp"

PADDINGS = ("zeros", "edge")


@dataclass(frozen=True)
class Graph:
    """How the convolutions of a network follow one another: all that an engine needs to know.

    Attributes
    ----------
    layers : tuple of (str, int)
        Convolutions with a ReLU behind each: the name of its weights, and what it reads: 0 is the
        ILR, k the result of the k-th layer.
    outputs : tuple of (str, int, float)
        Convolutions to luma, without ReLU: weights, what it reads, and its share in the result.
    skip : bool
        Whether the ILR is added to each output.
    padding : {"zeros", "edge"}
        What continues a layer's input beyond the border of the picture.
    """

    layers: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int, float], ...]
    skip: bool
    padding: str = "zeros"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Graph:
        """What `asdict` gave, out of JSON.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is no such thing.
        """
        layers = tuple((str(name), int(read)) for name, read in values["layers"])
        outputs = tuple((str(name), int(of), float(s)) for name, of, s in values["outputs"])
        reads = [read for _, read in layers]
        if not all(0 <= read <= number for number, read in enumerate(reads)):
            raise ValueError("a layer reads none that comes before it")
        if not all(0 <= read <= len(layers) for _, read, _ in outputs):
            raise ValueError("an output reads no layer")
        if not outputs or not all(math.isfinite(share) for *_, share in outputs):
            raise ValueError("the outputs have no shares")
        if values["padding"] not in PADDINGS:
            raise ValueError(f"no padding is called {values['padding']!r}")
        return cls(layers, outputs, bool(values["skip"]), values["padding"])


@dataclass(frozen=True)
class Packed:
    """Everything that builds or runs a network again.

    Attributes
    ----------
    architecture : {"srcnn", "vdsr", "drcn"}
    options : dict
        The arguments of that network's class.
    scales : sequence of float
        What it was trained on.
    graph : Graph
    state : dict of str to ndarray of float32
        Its weights, by PyTorch's names and in PyTorch's order.
    """

    architecture: str
    options: Mapping[str, Any]
    scales: tuple[float, ...]
    graph: Graph
    state: Mapping[str, Array]

    def layer(self, name: str) -> tuple[Array, Array]:
        """Weight, (outputs, inputs, side, side), and bias, (outputs,), of a convolution."""
        return self.state[f"{name}.weight"], self.state[f"{name}.bias"]

    @classmethod
    def from_about(cls, about: Mapping[str, Any], state: Mapping[str, Array]) -> Packed:
        """A network from what `about` says of it, and its weights.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is no such thing.
        """
        graph, scales = Graph.from_dict(about["graph"]), tuple(map(float, about["scales"]))
        return cls(about["architecture"], about["options"], scales, graph, state)

    @property
    def halo(self) -> int:
        """The radius of the receptive field: half of the kernels along the longest path."""
        reach = [0]
        for name, read in self.graph.layers:
            reach.append(reach[read] + self._radius(name))
        return max(reach[read] + self._radius(name) for name, read, _ in self.graph.outputs)

    def _radius(self, name: str) -> int:
        return self.layer(name)[0].shape[-1] // 2

    @property
    def parameter_count(self) -> int:
        """Trained values, biases included."""
        return sum(values.size for values in self.state.values())


@dataclass(frozen=True)
class Learned:
    """What a method that is no network has learned.

    Attributes
    ----------
    architecture : str
        A key of `bigsharp.classic.METHODS`.
    options : dict
        Arguments of its class that are plain values.
    scales : sequence of float
    state : dict of str to ndarray of float32 or float16
        Its arrays, by the names of its class's arguments.
    """

    architecture: str
    options: Mapping[str, Any]
    scales: tuple[float, ...]
    state: Mapping[str, Array]


def about(packed: Packed | Learned) -> dict[str, Any]:
    """Everything but the arrays, in plain values."""
    values = {
        "architecture": packed.architecture,
        "options": dict(packed.options),
        "scales": packed.scales,
    }
    return values | ({"graph": asdict(packed.graph)} if isinstance(packed, Packed) else {})


def to_bytes(packed: Packed | Learned) -> bytes:
    """The content of a weights file."""
    from safetensors.numpy import save

    # Safetensors writes an array's memory as it lies.
    state = {name: np.ascontiguousarray(values) for name, values in packed.state.items()}
    return save(state, {_ABOUT: json.dumps(about(packed))})


def read(path: str | Path) -> Packed:
    """Read a network's weights file.

    Raises
    ------
    BigsharpError
        It is missing, or something else.
    """
    with _reading(path) as (said, state):
        return Packed.from_about(said, state())


def read_learned(path: str | Path) -> Learned:
    """Read the weights file of a method that is no network; as `read`."""
    with _reading(path) as (said, state):
        scales = tuple(map(float, said["scales"]))
        return Learned(said["architecture"], said["options"], scales, state())


def architecture(path: str | Path) -> str:
    """What a weights file is of; as `read`, but of the arrays nothing is read."""
    with _reading(path) as (said, _):
        return str(said["architecture"])


@contextmanager
def _reading(path: str | Path) -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Array]]]]:
    """What a file says that it is, and what reads its arrays."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            said = json.loads(file.metadata()[_ABOUT])
            yield said, lambda: {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise BigsharpError(f"{path}: no such file") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError):
        raise BigsharpError(f"{path}: not a weights file written by bigsharp") from None
