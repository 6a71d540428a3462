"""What runs a network on a picture, and the choice of it."""

from __future__ import annotations

import ctypes.util
import importlib.util
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from bigsharp import errors, kernels, networks, weights
from bigsharp.engines import native
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights import file
from bigsharp.weights.file import Packed, Task

ENGINES = ("auto", "native", "onnx", "torch")

#: Those that a device can be named for.
_ON_DEVICES = ("onnx", "torch")

_log = logging.getLogger("bigsharp")

#: Files that hold a network, and the engines that run them.
FILES = {
    ".pt": ("native", "torch"),
    file.SUFFIX: ("native", "torch"),
    ".onnx": ("onnx",),
}


class Engine(Protocol):
    """A network ready to run.

    Attributes
    ----------
    name : str
    halo : int
        The radius of the network's receptive field, in pixels.
    scales : sequence of float
        What the network was trained on; empty if that is not known.
    task : {"upscale", "denoise", "deblock"}
    parameters : int, optional
        Trained values, where their number is known.
    """

    name: str
    halo: int
    scales: Sequence[float]
    task: Task
    parameters: int | None

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same; the output is not clipped."""
        ...


@runtime_checkable
class RowEngine(Engine, Protocol):
    """An engine that restores a picture as a stream of rows, and so needs no tiles.

    Attributes
    ----------
    widest : int
        Columns of a picture that it can take by rows.
    """

    widest: int

    def rows(self, bands: Iterable[Array]) -> Iterator[Array]:
        """Restore bands of rows, from the top; bands of other heights come, some rows late."""
        ...


def check_name(engine: str) -> tuple[str, str]:
    """An engine's name, and the device behind it, if there is one.

    Raises
    ------
    BigsharpError
        There is no such engine.
    """
    name, _, device = engine.partition(":")
    if name not in ENGINES or (device and name not in _ON_DEVICES):
        raise errors.unknown("engine", engine.strip(":"), ENGINES)
    return name, device


def open_engine(model: str | Path, engine: str = "auto", threads: int = 0) -> Engine:
    """Make a network ready to run.

    Parameters
    ----------
    model : str or path
        A released network's name, a checkpoint (.pt), or an exported network (.safetensors, .onnx).
    engine : str
        "auto" takes PyTorch where it finds a CUDA GPU; else the native engine, for the networks
        and on the machines that it runs; else ONNX Runtime. "native", "onnx" and "torch" are
        those; a device may follow, as in "onnx:coreml" (`onnx.PROVIDERS`) and "torch:mps", and for
        PyTorch numbers of 16 bits, as in "torch:cuda:fp16".
    threads : int
        That a network runs on; 0 for one a core.

    Raises
    ------
    BigsharpError
        The model or the engine is unknown, or cannot run here.
    """
    engine, device = check_name(engine)
    model = str(model)
    suffix = Path(model).suffix.lower()
    packed = None
    if suffix not in FILES:
        if engine == "auto":
            packed = file.read(weights.path(model, file.SUFFIX))
            engine = _choose(packed, "onnx")
        suffix = ".onnx" if engine == "onnx" else file.SUFFIX
        model = str(weights.path(model, suffix))
    if engine != "auto" and engine not in FILES[suffix]:
        runs = " and ".join(s for s, engines in FILES.items() if engine in engines)
        raise BigsharpError(
            f"{model}: engine {engine} runs {runs} files; leave `engine` out, or make another kind "
            "with `bigsharp export`"
        )
    if suffix == ".onnx":
        if importlib.util.find_spec("onnxruntime") is None:
            raise BigsharpError(
                "ONNX Runtime is not installed here (not every machine and Python has a build of "
                "it); give `engine` native, or torch"
            )
        from bigsharp.engines.onnx import OnnxEngine

        return OnnxEngine(model, threads, device or "cpu")
    if engine == "torch" or (engine == "auto" and has_cuda()):
        return _open_torch(model, threads, device)
    packed = packed or networks.read(model)
    if engine == "auto":
        engine = _choose(packed, "torch")
    if engine == "torch":
        return _open_torch(model, threads)
    try:
        return native.NativeEngine(packed, threads)
    except BigsharpError as error:
        raise BigsharpError(f"{model}: {error}") from None


def survey() -> dict[str, str]:
    """What each engine would run on here, or why it cannot, by the engine's name."""
    instructions = kernels.instructions()
    said = {
        "native": f"runs on {instructions}" if instructions else f"not here: {kernels.why_not()}",
        "onnx": "not here: ONNX Runtime is not installed",
        "torch": f"not here: {errors.install('it needs', 'PyTorch', 'train')}",
    }
    if importlib.util.find_spec("onnxruntime") is not None:
        from bigsharp.engines.onnx import PROVIDERS, usable

        there = usable()
        others = ", ".join(name for name in PROVIDERS if name not in there)
        said["onnx"] = f"runs on {' and '.join(there)}"
        said["onnx"] += f"; this build of ONNX Runtime has no {others}" if others else ""
    if importlib.util.find_spec("torch") is not None:
        said["torch"] = "; ".join(["runs on " + " and ".join(_torch_devices()), *_torch_lacks()])
    return said


def _torch_lacks() -> list[str]:
    """Why PyTorch, which is installed, does not run on a GPU."""
    import torch

    lacks = []
    if not has_cuda():
        built = "no GPU answers" if torch.version.cuda else "this build of PyTorch lacks it"
        lacks.append(f"not on cuda: {built}")
    if "mps" not in _torch_devices():
        mac = "this is no Mac" if sys.platform != "darwin" else "macOS or PyTorch lacks it"
        lacks.append(f"not on mps: {mac}")
    return lacks


def _open_torch(path: str, threads: int, device: str = "") -> Engine:
    networks.require_torch()
    from bigsharp.engines.torch import PRECISIONS, TorchEngine

    devices = _torch_devices()
    device, _, precision = device.partition(":")
    if device and device not in devices:
        raise BigsharpError(f"PyTorch has no {device!r} here; it has {' and '.join(devices)}")
    if precision and precision not in PRECISIONS:
        raise errors.unknown("precision", precision, PRECISIONS)
    return TorchEngine(path, device or devices[0], threads, precision)


def _torch_devices() -> list[str]:
    """What PyTorch, which is installed, can run on, the best first."""
    devices = ["cpu"]
    if sys.platform == "darwin":
        import torch

        devices = ["mps"] * torch.backends.mps.is_available() + devices
    return ["cuda"] * has_cuda() + devices


def _choose(packed: Packed, otherwise: str) -> str:
    """The engine for a network: on a GPU PyTorch, else ours, else `otherwise`."""
    if has_cuda():
        return "torch"
    if not native.can_run(packed):
        return otherwise
    if kernels.instructions() is None:
        _tell_once(f"{kernels.why_not()}; another and slower engine takes its place")
        return otherwise
    return "native"


@cache
def _tell_once(message: str) -> None:
    _log.warning(message)


def has_cuda() -> bool:
    """Whether PyTorch is installed and sees a CUDA GPU.

    PyTorch takes seconds to import; it is asked only where an NVIDIA driver is found.
    """
    driver = ctypes.util.find_library("cuda") or ctypes.util.find_library("nvcuda")
    if not driver or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()
