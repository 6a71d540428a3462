"""PyTorch: the engine for GPUs, and for checkpoints as training writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bigsharp import networks
from bigsharp.engines.check import require_same
from bigsharp.image.arrays import Array
from bigsharp.weights.file import Task

#: Numbers of 16 bits, in which convolutions can be computed. Not bf16: with it VDSR's results are
#: within 59 dB of those of fp32.
PRECISIONS = {"fp16": torch.float16}

_CPU = torch.device("cpu")


class TorchEngine:
    """Run a checkpoint, by default in full fp32.

    Parameters
    ----------
    path : str or path
        Released weights or a checkpoint of `bigsharp train`.
    device : {"cpu", "cuda", "mps"}
    threads : int
        On the CPU, for the whole process; 0 leaves it as it is.
    precision : {"", "fp16"}
        Of the convolutions; what they give is added in fp32.

    Raises
    ------
    BigsharpError
        The file is missing, or is no checkpoint; with this device and precision the network gives
        another picture than in fp32 on the CPU.
    """

    def __init__(
        self, path: str | Path, device: str = "cpu", threads: int = 0, precision: str = ""
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.name = "torch" if device in ("cpu", "cuda") else f"torch:{device}"
        if precision:
            self.name = f"torch:{device}:{precision}"
        self.device, self.dtype = torch.device(device), PRECISIONS.get(precision)
        packed = networks.read(path)
        self.scales: Sequence[float] = packed.scales
        self.task: Task = packed.task
        self.network = networks.unpack(packed, path).to(
            self.device,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        self.halo = self.network.halo
        self.parameters: int | None = self.network.parameter_count
        if device != "cpu" or precision:
            exact = networks.unpack(packed, path)
            require_same(self.name, self.restore, lambda ilr: _restore(exact, ilr))

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same."""
        return _restore(self.network, ilr, self.device, self.dtype)


@torch.inference_mode()
def _restore(
    network: torch.nn.Module,
    ilr: Array,
    device: torch.device = _CPU,
    dtype: torch.dtype | None = None,
) -> Array:
    given = torch.from_numpy(np.ascontiguousarray(ilr))[None, None].to(device)
    # cuDNN's default, TF32, would differ from tile to tile by more than rounding.
    with (
        torch.backends.cudnn.flags(allow_tf32=False),
        torch.autocast(device.type, dtype, enabled=dtype is not None),
    ):
        return network(given)[0, 0].float().cpu().numpy()
