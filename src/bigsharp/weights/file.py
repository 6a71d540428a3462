"""Weights in a safetensors file, which is read without PyTorch, and what any weights must be.

A weights file may come from a stranger, who gains nothing by it: what it says is checked here once,
whatever kind of file it came in, before anything is allocated or run by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from bigsharp import limits
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.limits import shown

SUFFIX = ".safetensors"

#: The metadata entry that says what the weights are of.
_ABOUT = "bigsharp"

PADDINGS = ("zeros", "edge")

#: What a network can be trained for.
Task = Literal["upscale", "denoise", "deblock"]

# A DRCN's recursions are read twice each, and two layers come before.
_MOST_STEPS = 2 * limits.LAYERS + 2

_LARGEST_FLOAT = float(np.finfo(np.float32).max)

#: What reading and checking such data raises where it is something else.
MALFORMED = (
    AttributeError, KeyError, IndexError, OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip


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
        layers = tuple((_text(name), _whole(read)) for name, read in values["layers"])
        outputs = tuple(
            (_text(name), _whole(of), _number(share)) for name, of, share in values["outputs"]
        )
        if max(len(layers), len(outputs)) > _MOST_STEPS:
            raise ValueError(f"it has more than {_MOST_STEPS} layers")
        reads = [read for _, read in layers]
        if not all(0 <= read <= number for number, read in enumerate(reads)):
            raise ValueError("a layer reads none that comes before it")
        if not all(0 <= read <= len(layers) for _, read, _ in outputs):
            raise ValueError("an output reads no layer")
        if not outputs:
            raise ValueError("it has no outputs")
        if values["padding"] not in PADDINGS:
            raise ValueError("its padding is unknown")
        if not isinstance(values["skip"], bool):
            raise ValueError("its skip is neither true nor false")
        return cls(layers, outputs, values["skip"], values["padding"])


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
    task : {"upscale", "denoise", "deblock"}
        What it was trained for; the latter two at the picture's own size.
    """

    architecture: str
    options: Mapping[str, Any]
    scales: tuple[float, ...]
    graph: Graph
    state: Mapping[str, Array]
    task: Task = "upscale"

    def layer(self, name: str) -> tuple[Array, Array]:
        """Weight, (outputs, inputs, side, side), and bias, (outputs,), of a convolution."""
        return self.state[f"{name}.weight"], self.state[f"{name}.bias"]

    @classmethod
    def from_about(cls, about: Mapping[str, Any], state: Mapping[str, Array]) -> Packed:
        """A network from what `about` says of it, and its weights.

        Raises
        ------
        BigsharpError
            The weights are damaged, or are not those of its layers.
        KeyError, TypeError, ValueError
            It is no such thing.
        """
        graph = Graph.from_dict(about["graph"])
        task = about.get("task", "upscale")
        if task not in get_args(Task):
            raise ValueError("its task is unknown")
        packed = cls(*_described(about), graph, _checked(state, "float32"), task)
        try:
            packed._check()
        except (KeyError, ValueError) as error:
            raise BigsharpError(f"the weights are no {packed.architecture}'s ({error})") from None
        return packed

    def _check(self) -> None:
        """See that every layer of the graph has weights, and reads the channels that it takes."""
        channels = [1]
        for name, read in self.graph.layers:
            channels.append(self._channels(name, channels[read]))
        for name, read, _ in self.graph.outputs:
            if self._channels(name, channels[read]) != 1:
                raise ValueError(f"{name} gives more than luma")

    def _channels(self, name: str, inputs: int) -> int:
        """What a convolution gives of so many channels."""
        weight, bias = self.layer(name)
        outputs, *rest = weight.shape or (0,)
        side = weight.shape[-1] if weight.ndim else 0
        if rest != [inputs, side, side] or bias.shape != (outputs,):
            raise ValueError(f"{name} is no convolution of {inputs} channels")
        if not (side % 2 == 1 and side <= limits.KERNEL and 1 <= outputs <= limits.CHANNELS):
            raise ValueError(f"{name} has {outputs} kernels of {side} × {side}")
        return outputs

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
    state : dict of str to ndarray of float32, float16, int32 or int8
        Its arrays, by the names of its class's arguments.
    """

    architecture: str
    options: Mapping[str, Any]
    scales: tuple[float, ...]
    state: Mapping[str, Array]

    @classmethod
    def from_about(cls, about: Mapping[str, Any], state: Mapping[str, Array]) -> Learned:
        """A method from what `about` says of it, and its arrays; as `Packed.from_about`."""
        return cls(*_described(about), _checked(state, "float16", "float32", "int8", "int32"))


def check_options(options: object) -> None:
    """See that a network's options are plain values: numbers, texts, or short lists of numbers.

    Raises
    ------
    ValueError
        They are not, and should not even be printed.
    """
    if not isinstance(options, dict) or len(options) > limits.LENGTH:
        raise ValueError("the options are no table of values by name")
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        plain = all(isinstance(entry, bool | int | float) for entry in values)
        if len(values) > limits.LENGTH or not (plain or isinstance(value, str)):
            raise ValueError(f"option {shown(name)} is no number, text or list of numbers")
        _text(name)
        _text(value if isinstance(value, str) else "")


def _described(about: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], tuple[float, ...]]:
    """What both kinds of weights say: architecture, options and scales."""
    check_options(about["options"])
    scales = tuple(map(_number, about["scales"]))
    known = all(1 <= scale <= limits.LARGEST_SCALE for scale in scales)
    if len(scales) > limits.LENGTH or not known:
        raise ValueError(f"scales are numbers from 1 to {limits.LARGEST_SCALE}")
    return _text(about["architecture"]), about["options"], scales


def _checked(state: Mapping[str, Array], *kinds: str) -> Mapping[str, Array]:
    """The same arrays, where they are of these types and hold numbers."""
    for name, values in state.items():
        if values.dtype.name not in kinds:
            raise BigsharpError(
                f"its weights {shown(name)} are {values.dtype}, not {' or '.join(kinds)}"
            )
        if not np.isfinite(values).all():
            raise BigsharpError("its weights are damaged: some are NaN or infinite")
    return state


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > limits.LENGTH or not value.isprintable():
        raise ValueError("a name is no short text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("the number of a layer is no whole number")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not abs(value) <= _LARGEST_FLOAT:
        raise ValueError("a scale or a share is no number")
    return float(value)


def about(packed: Packed | Learned) -> dict[str, Any]:
    """Everything but the arrays, in plain values."""
    values = {
        "architecture": packed.architecture,
        "options": dict(packed.options),
        "scales": packed.scales,
    }
    if isinstance(packed, Packed):
        values |= {"graph": asdict(packed.graph), "task": packed.task}
    return values


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
        if "graph" not in said:
            raise BigsharpError(f"its {_text(said['architecture'])} is no network")
        return Packed.from_about(said, state())


def read_learned(path: str | Path) -> Learned:
    """Read the weights file of a method that is no network; as `read`."""
    with _reading(path) as (said, state):
        return Learned.from_about(said, state())


def architecture(path: str | Path) -> str:
    """What a weights file is of; as `read`, but of the arrays nothing is read."""
    with _reading(path) as (said, _):
        return _text(said["architecture"])


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
    except BigsharpError as error:
        raise BigsharpError(f"{path}: {error}") from None
    except (SafetensorError, OSError, *MALFORMED):
        raise BigsharpError(f"{path}: not a weights file written by bigsharp") from None
