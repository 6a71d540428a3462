"""Several processes as one run: what ``torchrun`` starts, and what one alone does without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Peers:
    """One process among those of the run.

    Attributes
    ----------
    rank, world : int
        Its number from 0, and how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that validates, writes and speaks."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the processes."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return float(value) / self.world

    def average(self, gradients: list[Tensor]) -> None:
        """Replace gradients by their means over the processes, all in one message."""
        if self.world == 1:
            return
        message = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(message)
        message /= self.world
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, torch.split(message, sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        if self.world == 1:
            return flag
        value = torch.tensor(float(flag), device=self._device())
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return bool(value)

    def _device(self) -> str:
        return "cuda" if distributed.get_backend() == "nccl" else "cpu"


@contextmanager
def peers(device: str) -> Iterator[Peers]:
    """Join the processes that ``torchrun`` started with this one, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Peers()
        return
    # Imported later, as optimizers do, it keeps the process group for ever, and gloo's threads with
    # it: three of twelve runs then aborted at exit.
    import torch._dynamo

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Peers(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
