"""What runs a network on a picture, and the choice of it."""

from __future__ import annotations

import ctypes.util
import importlib.util
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from bigsharp import weights
from bigsharp.arrays import Array
from bigsharp.errors import BigsharpError

ENGINES = ("auto", "onnx", "torch")

#: The model that needs no network.
BICUBIC = "bicubic"


class Engine(Protocol):
    """A network ready to run.

    Attributes
    ----------
    name : str
    halo : int
        The radius of the network's receptive field, in pixels.
    scales : sequence of float
        What the network was trained on; empty if that is not known.
    parameters : int, optional
        Trained values, where their number is known.
    """

    name: str
    halo: int
    scales: Sequence[float]
    parameters: int | None

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same; the output is not clipped."""
        ...


class Identity:
    """Bicubic: the ILR image is the result."""

    name = BICUBIC
    halo = 0
    scales: Sequence[float] = ()
    parameters: int | None = 0

    def restore(self, ilr: Array) -> Array:
        """Return `ilr` itself."""
        return ilr


class Family:
    """One network a scale.

    Parameters
    ----------
    members : sequence of Engine
        Each trained at one scale, or a few.
    """

    def __init__(self, members: Sequence[Engine]) -> None:
        self.members = members
        self.name = members[0].name
        self.parameters = members[0].parameters

    def at(self, scale: float) -> Engine:
        """The member for a scale: the one that was trained nearest to it, as a ratio."""
        return min(self.members, key=lambda m: min(abs(math.log(s / scale)) for s in m.scales))


def available_models() -> list[str]:
    """The names that ``model=`` understands: the released networks, and bicubic."""
    return [*sorted([*weights.names(), *weights.families()]), BICUBIC]


def open_engine(model: str | Path, engine: str = "auto", threads: int = 0) -> Engine | Family:
    """Make a model ready to run.

    Parameters
    ----------
    model : str or path
        A name of `available_models`, a checkpoint (.pt), or an exported network (.onnx).
    engine : {"auto", "onnx", "torch"}
        "auto" takes PyTorch where it finds a CUDA GPU, else ONNX Runtime.
    threads : int
        That a network runs on; 0 for one a core.

    Raises
    ------
    BigsharpError
        The model or the engine is unknown, or cannot run here.
    """
    if engine not in ENGINES:
        raise BigsharpError(f"no engine is called {engine!r}; there are {', '.join(ENGINES)}")
    model = str(model)
    if model == BICUBIC:
        return Identity()
    if members := weights.families().get(model):
        return Family([_open_network(member, engine, threads) for member in members])
    return _open_network(model, engine, threads)


def _open_network(model: str, engine: str, threads: int) -> Engine:
    extension = Path(model).suffix.lower()
    if extension not in (".pt", ".onnx"):
        if model not in weights.names():
            raise BigsharpError(_unknown(model))
        if engine == "auto":
            engine = "torch" if has_cuda() else "onnx"
        extension = ".pt" if engine == "torch" else ".onnx"
        model = str(weights.path(model, extension))
    elif engine == "auto":
        engine = "torch" if extension == ".pt" else "onnx"
    if (engine == "torch") != (extension == ".pt"):
        raise BigsharpError(
            f"{model}: engine {engine} runs {'.pt' if engine == 'torch' else '.onnx'} files; "
            "leave --engine out, or make an .onnx with `bigsharp export`"
        )
    if engine == "torch":
        from bigsharp.engines.torch import TorchEngine

        return TorchEngine(model, "cuda" if has_cuda() else "cpu", threads)
    from bigsharp.engines.onnx import OnnxEngine

    return OnnxEngine(model, threads)


def has_cuda() -> bool:
    """Whether PyTorch is installed and sees a CUDA GPU.

    PyTorch takes seconds to import; it is asked only where an NVIDIA driver is found.
    """
    driver = ctypes.util.find_library("cuda") or ctypes.util.find_library("nvcuda")
    if not driver or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _unknown(model: str) -> str:
    near = get_close_matches(model, available_models(), 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(available_models())}"
    return f"no model is called {model!r}; {hint}"
