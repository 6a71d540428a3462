"""ONNX Runtime: the portable engine, and the only one that the base install needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights.onnx import read


class OnnxEngine:
    """Run an exported network on the CPU.

    Parameters
    ----------
    path : str or path
        A file that `bigsharp export` wrote.
    threads : int
        0 for one a core.

    Raises
    ------
    BigsharpError
        The file is missing, or is no such network.
    """

    name = "onnx"

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        self.parameters: int | None
        content, packed, self.parameters = read(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception:
            raise BigsharpError(f"{path}: not a network exported by bigsharp") from None
        self.halo = packed.halo
        self.scales: Sequence[float] = packed.scales

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same."""
        (output,) = self.session.run(None, {"ilr": ilr[None, None]})
        return np.asarray(output)[0, 0]
