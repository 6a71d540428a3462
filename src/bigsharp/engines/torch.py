"""PyTorch: the engine for GPUs, and for checkpoints as training writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bigsharp import networks
from bigsharp.image.arrays import Array


class TorchEngine:
    """Run a checkpoint, in full fp32.

    Parameters
    ----------
    path : str or path
        Released weights or a checkpoint of `bigsharp train`.
    device : str
        "cpu" or "cuda".
    threads : int
        On the CPU, for the whole process; 0 leaves it as it is.

    Raises
    ------
    BigsharpError
        The file is missing, or is no checkpoint.
    """

    name = "torch"

    def __init__(self, path: str | Path, device: str = "cpu", threads: int = 0) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device(device)
        packed = networks.read(path)
        self.scales: Sequence[float] = packed.scales
        self.network = networks.unpack(packed, path).to(
            self.device,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        self.halo = self.network.halo
        self.parameters: int | None = self.network.parameter_count

    @torch.inference_mode()
    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same."""
        given = torch.from_numpy(np.ascontiguousarray(ilr))[None, None].to(self.device)
        # cuDNN's default, TF32, would differ from tile to tile by more than rounding.
        with torch.backends.cudnn.flags(allow_tf32=False):
            return self.network(given)[0, 0].cpu().numpy()
