"""ONNX Runtime: the portable engine, where the native one does not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from bigsharp.engines.check import require_same
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights.file import Task
from bigsharp.weights.onnx import read

#: What ONNX Runtime can run on where it is built for it: our names, and its own.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}


def usable() -> list[str]:
    """Those that are in the ONNX Runtime installed here."""
    there = onnxruntime.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in there]


class OnnxEngine:
    """Run an exported network.

    Parameters
    ----------
    path : str or path
        A file that `bigsharp export` wrote.
    threads : int
        0 for one a core.
    provider : str
        One of `usable`.

    Raises
    ------
    BigsharpError
        The file is missing, or is no such network; there is no such provider here, or with it the
        network gives another picture than on the CPU.
    """

    def __init__(self, path: str | Path, threads: int = 0, provider: str = "cpu") -> None:
        if provider not in usable():
            raise BigsharpError(
                f"ONNX Runtime has no {provider!r} here; it has {' and '.join(usable())}"
            )
        self.name = "onnx" if provider == "cpu" else f"onnx:{provider}"
        self.parameters: int | None
        content, packed, self.parameters = read(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        try:
            self.session = _session(content, options, provider)
        except Exception:
            raise BigsharpError(f"{path}: ONNX Runtime cannot run it on {provider}") from None
        if provider != "cpu":
            if self.session.get_providers()[0] != PROVIDERS[provider]:
                raise BigsharpError(f"ONNX Runtime cannot use {provider} here; it took another")
            exact = _session(content, options, "cpu")
            require_same(self.name, self.restore, lambda ilr: _restore(exact, ilr))
        self.halo = packed.halo
        self.scales: Sequence[float] = packed.scales
        self.task: Task = packed.task

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same."""
        return _restore(self.session, ilr)


def _session(
    content: bytes, options: onnxruntime.SessionOptions, provider: str
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, options, providers=[PROVIDERS[provider]])


def _restore(session: onnxruntime.InferenceSession, ilr: Array) -> Array:
    (output,) = session.run(None, {"ilr": ilr[None, None]})
    return np.asarray(output)[0, 0]
