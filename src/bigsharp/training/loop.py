"""The training loop: recipe in, checkpoints out.

A run is a folder: ``best.pt`` (highest validation PSNR), ``last.pt`` (everything needed to go on),
``log.csv`` and ``tensorboard/``. Nothing but the step, the validations so far and what ``last.pt``
holds decides how training goes on, so a resumed run gives the weights that the uninterrupted one
would have given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bigsharp import models
from bigsharp.errors import BigsharpError
from bigsharp.models.network import Network
from bigsharp.training import checkpoint, patches
from bigsharp.training.checkpoint import BEST, LAST
from bigsharp.training.distributed import Peers
from bigsharp.training.log import RunLog
from bigsharp.training.losses import Supervision
from bigsharp.training.optimizers import make_optimizers
from bigsharp.training.recipe import Recipe
from bigsharp.training.recycling import recycle
from bigsharp.training.schedules import alpha, rate_factor
from bigsharp.training.validation import ValidationSet

#: Steps between two looks at the loss; each look makes the device wait for the host.
REPORT_EVERY = 10

#: A loss beyond this, of luma in [0, 1], is past coming back.
HOPELESS = 1e3

_AUTOCAST = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Status:
    """What a progress bar shows.

    Attributes
    ----------
    step, steps : int
    loss : float
        Of the latest step looked at.
    psnr : dict of float to float
        Latest validation PSNR in dB, a scale each; empty before the first.
    images_per_second : float
        Patches trained on, since this process began.
    """

    step: int
    steps: int
    loss: float
    psnr: dict[float, float]
    images_per_second: float

    def __str__(self) -> str:
        psnr = " ".join(f"x{scale:g} {value:.2f}" for scale, value in self.psnr.items())
        return (
            f"loss {self.loss:.5f}  validation {psnr or '-'} dB  "
            f"{self.images_per_second:.0f} images/s"
        )


class Trainer:
    """One run of one recipe.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Where the run is kept.
    root : path, optional
        The folder of the image sets; by default what ``BIGSHARP_DATA`` names.
    device : str
        "cpu", "cuda" …
    resume : bool
        Go on from the folder's ``last.pt``.
    start : str, optional
        A released model, or a .pt file, whose weights a new run starts from.
    compiled : bool
        Run the network through ``torch.compile``.
    peers : Peers
        The processes that share the run; each trains on its part of every batch.

    Attributes
    ----------
    skipped : list of str
        The training pictures left out, a line each.
    stop : bool
        Set it, from a signal handler say, to end after the current step with a checkpoint.

    Raises
    ------
    BigsharpError
        The image sets are not there, or too little of them can be used; the folder holds a run
        already, or, with `resume`, none of this recipe; `start` is another network.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        root: str | Path | None = None,
        device: str = "cpu",
        resume: bool = False,
        start: str | None = None,
        compiled: bool = False,
        peers: Peers | None = None,
    ) -> None:
        self.recipe, self.folder, self.start = recipe, folder, start
        self.device = torch.device(device)
        self.peers = peers or Peers()
        if recipe.batch % self.peers.world:
            raise BigsharpError(
                f"recipe {recipe.name}: a batch of {recipe.batch} cannot be shared out evenly "
                f"among {self.peers.world} processes"
            )
        if self.peers.is_first:
            checkpoint.prepare(folder, resume)
        self._load_data(root)
        self._build(compiled)
        self.step, self.seconds = 0, 0.0
        self.stop = False
        self.record: RunLog | None = None
        self.log: list[dict[str, Any]] = []
        if resume:
            self._resume()

    def _load_data(self, root: str | Path | None) -> None:
        recipe = self.recipe
        smallest = patches.smallest_side(recipe.patch, recipe.drawn_scales)
        images, self.skipped = patches.load_images(recipe.data, smallest, root)
        if not images:
            raise BigsharpError(
                f"none of the {len(self.skipped)} pictures can be trained on; {self.skipped[0]}"
            )
        training, held_out = patches.hold_out(images, recipe.holdout, recipe.validation_crop)
        self.sampler = patches.PatchSampler(
            patches.zoom_out(training, recipe.zooms, smallest),
            recipe.drawn_scales,
            recipe.patch,
            self.device,
            recipe.seed,
            slice(self.peers.rank, None, self.peers.world),
        )
        self.validation = [
            ValidationSet.make(held_out, scale, recipe.validation_crop, self.device)
            for scale in recipe.scales
        ]

    def _build(self, compiled: bool) -> None:
        """Network, its moving average, loss and optimizers."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        self.network: Network = models.build(recipe.architecture, **recipe.options)
        if self.start:
            models.copy_weights(checkpoint.initial_weights(self.start), self.network, self.start)
        # channels_last: 1.17 times the steps a second on a 2-core CPU (VDSR, 16 patches of 41).
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = moving_average(self.network, recipe.ema) if recipe.ema else None
        self.optimizers = make_optimizers(recipe, self.network)
        for group in self._groups():
            group["initial_lr"] = group["lr"]
        autocast = recipe.autocast if self.device.type == "cuda" else "none"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=autocast == "fp16")
        self.supervision: nn.Module = Supervision(self.network, recipe.loss, _AUTOCAST[autocast])
        if compiled:
            self.supervision.compile()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    @property
    def released(self) -> Network:
        """The network that is validated and saved: the moving average where there is one."""
        return self.average.module if self.average is not None else self.network  # type: ignore[return-value]

    @property
    def psnr(self) -> dict[float, float]:
        """The latest validation, a scale each."""
        return {s: self.log[-1][f"psnr_x{s:g}"] for s in self.recipe.scales} if self.log else {}

    @property
    def rate_factor(self) -> float:
        """What the learning rates are multiplied by in the coming step."""
        return rate_factor(self.recipe, self.step, [mean_psnr(row) for row in self.log])

    @property
    def rate(self) -> float:
        """The learning rate of the coming step."""
        return self.recipe.lr * self.rate_factor

    @property
    def finished(self) -> bool:
        """Whether the last step is done, or the rate has fallen below its end."""
        ended = self.step >= self.recipe.warmup and self.rate < self.recipe.lr_end
        return ended or self.step >= self.recipe.steps

    def train(self, report: Callable[[Status], None] = lambda status: None) -> None:
        """Train to the recipe's end, or until `stop` is set.

        Raises
        ------
        BigsharpError
            The loss is no longer a number of use; the last checkpoint stays as it was.
        """
        recipe = self.recipe
        self.record = RunLog(self.folder, self.log) if self.peers.is_first else None
        first, before = self.step, self.seconds
        began = time.monotonic() - before
        if self.start and not self.log:
            self._validate(None)
        while not self.finished:
            loss = self._one_step()
            self.seconds = time.monotonic() - began
            done = self.step == recipe.steps
            validated = self.step % recipe.validate_every == 0 or done
            if validated:
                self._validate(self._checked(loss))
            looked = self.step % REPORT_EVERY == 0 or done
            if looked:
                speed = recipe.batch * (self.step - first) / (self.seconds - before)
                report(Status(self.step, recipe.steps, self._checked(loss), self.psnr, speed))
            # Asking the others costs a message, so several processes stop at a look alone.
            if (looked or self.peers.world == 1) and self.peers.any(self.stop):
                if not validated:
                    self._checked(loss)
                    self.save(LAST)
                break

    @property
    def _recycles(self) -> bool:
        """Whether filters that have died are started anew after this step."""
        every = self.recipe.recycle_every
        return every > 0 and self.step % every == 0 and self.step <= self.recipe.steps // 2

    def _one_step(self) -> Tensor:
        recipe, factor = self.recipe, self.rate_factor
        rate = recipe.lr * factor
        for group in self._groups():
            group["lr"] = group["initial_lr"] * factor
        ilr, hr = self.sampler.batch(recipe.batch)
        weight = torch.full((), alpha(recipe, self.step), device=self.device)
        loss = self.supervision(ilr.contiguous(memory_format=torch.channels_last), hr, weight)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.peers.average([p.grad for p in self.network.parameters() if p.grad is not None])
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        if recipe.clip and rate > 0:
            nn.utils.clip_grad_value_(self.network.parameters(), recipe.clip / rate)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1
        if self._recycles:
            recycle(self.network, self.released, self.step + recipe.seed)
        return loss.detach()

    def _checked(self, loss: Tensor) -> float:
        value = self.peers.mean(loss)
        if not value < HOPELESS:
            raise self._diverged()
        return value

    def _diverged(self) -> BigsharpError:
        kept = f"{self.folder} keeps the last checkpoint" if self.log else "no checkpoint yet"
        return BigsharpError(
            f"training diverged before step {self.step}; lower lr (now {self.recipe.lr:g}), "
            f"lengthen warmup or set clip in the recipe; {kept}"
        )

    def _validate(self, loss: float | None) -> None:
        """Measure every scale on the held-out images, log it, and write the checkpoints.

        A run killed before ``last.pt`` is written does this validation again.
        """
        row, pictures = self.peers.share(self._measure(loss) if self.peers.is_first else None)
        if math.isnan(mean_psnr(row)):
            raise self._diverged()
        best = max((mean_psnr(entry) for entry in self.log), default=-math.inf)
        if self.record is None:
            self.log.append(row)
            return
        self.record.add(row)
        if mean_psnr(row) > best:
            self.save(BEST)
        self.save(LAST)
        self.record.show(row, pictures)

    def _measure(self, loss: float | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """One row of the log, and the first held-out image at every scale: ILR, output, HR."""
        row: dict[str, Any] = {"step": self.step, "seconds": round(self.seconds, 1)}
        row |= {"lr": self.rate, "loss": loss}
        pictures = {}
        self.released.eval()
        for held_out in self.validation:
            restored = held_out.restore(self.released)
            row[f"psnr_x{held_out.scale:g}"] = held_out.psnr(restored)
            shown = (held_out.ilr[0], restored[0].clip(0, 1), held_out.hr[0])
            pictures[f"x{held_out.scale:g}"] = torch.cat(shown, dim=2).cpu()
        self.released.train()
        return row, pictures

    def save(self, name: str) -> None:
        """Write a checkpoint, whole or not at all; never one that has diverged."""
        if not self.peers.is_first:
            return
        if not all(bool(p.isfinite().all()) for p in self.network.parameters()):
            raise self._diverged()
        run = {
            "step": self.step,
            "seconds": self.seconds,
            "start": self.start,
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "sampler": self.sampler.generator.get_state(),
            "device": self.device.type,
            "images": self.sampler.digest,
            "log": self.log,
        }
        checkpoint.write(self.folder / name, self.released, self.recipe, run)

    def _resume(self) -> None:
        """Go on from ``last.pt``."""
        same = {"device": self.device.type, "images": self.sampler.digest}
        run = checkpoint.read(self.folder / LAST, self.recipe, **same)
        self.network.load_state_dict(run["network"])
        if self.average is not None:
            self.average.load_state_dict(run["average"])
        for optimizer, state in zip(self.optimizers, run["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.scaler.load_state_dict(run["scaler"])
        self.sampler.generator.set_state(run["sampler"])
        self.step, self.seconds, self.start = run["step"], run["seconds"], run["start"]
        self.log = run["log"]


def moving_average(network: Network, decay: float) -> AveragedModel:
    """The exponential moving average of the weights; early on it forgets faster than `decay`."""

    def update(averaged: Any, current: Any, count: Any) -> None:
        keep = torch.clamp((1 + count) / (10 + count), max=decay)
        for mean, value in zip(averaged, current, strict=True):
            mean.lerp_(value, 1 - keep)

    return AveragedModel(network, multi_avg_fn=update)


def choose_device(name: str) -> str:
    """The PyTorch device for "auto" (CUDA where there is a GPU), "cpu" or "cuda".

    Raises
    ------
    BigsharpError
        The name is another, or there is no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise BigsharpError(f"no device is called {name!r}; there are auto, cpu, cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise BigsharpError("PyTorch finds no CUDA GPU here; use --device cpu")
    return "cuda" if found and name != "cpu" else "cpu"


def mean_psnr(row: dict[str, Any]) -> float:
    """Mean over the scales of one row of the log."""
    values = [value for key, value in row.items() if key.startswith("psnr_")]
    return sum(values) / len(values)
