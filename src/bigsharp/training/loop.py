"""The training loop: recipe in, checkpoints out.

A run is a folder: ``best.pt`` (highest validation PSNR), ``last.pt`` and the files beside it (all
that is needed to go on), ``log.csv`` and ``tensorboard/``. Nothing but the step, the validations so
far and what these hold decides how training goes on, so a resumed run gives the weights that the
uninterrupted one would have given.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bigsharp import errors, networks
from bigsharp.errors import BigsharpError
from bigsharp.networks.network import Network
from bigsharp.networks.vdsr import VDSR
from bigsharp.training import checkpoint, images, patches
from bigsharp.training.distributed import Peers
from bigsharp.training.log import RunLog, Validation
from bigsharp.training.losses import Supervision
from bigsharp.training.narrowing import narrow
from bigsharp.training.optimizers import make_optimizers
from bigsharp.training.recipe import Recipe
from bigsharp.training.recycling import recycle
from bigsharp.training.schedules import alpha, loss_name, rate_factor, recursions, supervised
from bigsharp.training.spoiling import make_spoiling
from bigsharp.training.start import initial_weights
from bigsharp.training.teacher import Teacher
from bigsharp.training.validation import ValidationSet
from bigsharp.weights.file import MALFORMED

#: Steps between two looks at the loss; each look makes the device wait for the host.
REPORT_EVERY = 10

#: A loss beyond this, a pixel of luma in [0, 1], is past coming back.
HOPELESS = 1e3

NO_MEMORY = "not enough memory; use smaller patches or batches"

_AUTOCAST = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Diverged(BigsharpError):
    """The loss is no longer a number of use."""


@dataclass(frozen=True)
class Status:
    """What a progress bar shows.

    Attributes
    ----------
    step, steps : int
    loss : float
        Of the latest step looked at.
    psnr : dict of str to float
        Latest validation PSNR in dB, as in `Validation`; empty before the first.
    images_per_second : float
        Patches trained on, since this process began.
    """

    step: int
    steps: int
    loss: float
    psnr: dict[str, float]
    images_per_second: float

    def __str__(self) -> str:
        psnr = " ".join(f"{name} {value:.2f}" for name, value in self.psnr.items())
        return (
            f"loss {self.loss:.5f}  validation {psnr or '-'} dB  "
            f"{self.images_per_second:.0f} images/s"
        )


class Trainer:
    """One run of one recipe; its folder is kept from other processes until training ends.

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
        Go on from the folder's last checkpoint.
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
        already, or, with `resume`, none of this recipe, or another process trains in it; `start` is
        another network, or given with `resume`.
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
        if start and resume:
            why = "`start` begins a new run and `resume` goes on with one; give either"
            raise BigsharpError(why)
        self.recipe, self.folder, self.start = recipe, folder, start
        self.device = torch.device(device)
        self.peers = peers or Peers()
        if recipe.batch % self.peers.world:
            raise BigsharpError(
                f"recipe {recipe.name}: a batch of {recipe.batch} cannot be shared out evenly "
                f"among {self.peers.world} processes"
            )
        self.step, self.seconds = 0, 0.0
        self.stop = False
        self.log = RunLog(folder if self.peers.is_first else None)
        if self.peers.is_first:
            checkpoint.check(folder, resume)
        self._load_data(root)
        self._build(compiled)
        # Last: what is refused leaves no folder.
        self._lock = checkpoint.claim(folder, resume) if self.peers.is_first else None
        try:
            if resume:
                self._resume()
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _load_data(self, root: str | Path | None) -> None:
        recipe = self.recipe
        spoiling = make_spoiling(recipe, self.device)
        smallest = recipe.patch + spoiling.phases - 1
        found, self.skipped = images.load_images(recipe.data, smallest, root)
        training, held_out = images.hold_out(found, recipe.holdout, recipe.validation_crop)
        self.sampler = patches.PatchSampler(
            images.zoom_out(training, recipe.zooms, smallest),
            spoiling,
            recipe.patch,
            self.device,
            recipe.seed,
            slice(self.peers.rank, None, self.peers.world),
            recipe.places == "residual",
        )
        self.validation = [
            ValidationSet.make(
                held_out, recipe.degradation, *strength, recipe.validation_crop, self.device
            )
            for strength in recipe.validated
        ]

    def _build(self, compiled: bool) -> None:
        """Network, its moving average, loss and optimizers."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        self.network: Network = networks.build(recipe.architecture, **recipe.options)
        check_memory(recipe, self.network, self.device, self.peers.world)
        self.teacher = Teacher(recipe, self.device)
        if self.start:
            given = initial_weights(self.start, self.network, recipe.seed)
            networks.copy_weights(given, self.network, self.start)
        # channels_last: 1.17 times the steps a second on a 2-core CPU (VDSR, 16 patches of 41).
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.narrow and isinstance(self.network, VDSR):
            narrow(self.network, recipe.narrow, torch.cat([v.spoiled for v in self.validation]))
        self.average = moving_average(self.network, recipe.ema) if recipe.ema else None
        self.optimizers = make_optimizers(recipe, self.network)
        for group in self._groups():
            group["initial_lr"] = group["lr"]
        autocast = recipe.autocast if self.device.type == "cuda" else "none"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=autocast == "fp16")
        self.supervision: nn.Module = Supervision(self.network, recipe.rim, _AUTOCAST[autocast])
        if compiled:
            self.supervision.compile()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    @property
    def released(self) -> Network:
        """The network that is validated and saved: the moving average where there is one."""
        return self.average.module if self.average is not None else self.network  # type: ignore[return-value]

    @property
    def rate_factor(self) -> float:
        """What the learning rates are multiplied by in the coming step."""
        return rate_factor(self.recipe, self.step, self.log.means)

    @property
    def rate(self) -> float:
        """The learning rate of the coming step."""
        return self.recipe.lr * self.rate_factor

    @property
    def finished(self) -> bool:
        """Whether the last step is done, or the rate has fallen below its end."""
        ended = self.step >= self.recipe.warmup and self.rate < self.recipe.lr_end
        return ended or self.step >= self.recipe.steps

    def train(
        self, report: Callable[[Status], None] = lambda status: None, seconds: float = math.inf
    ) -> None:
        """Train to the recipe's end, until `stop` is set, or for so many seconds.

        Raises
        ------
        BigsharpError
            The loss is no longer a number of use, or memory does not suffice; the last checkpoint
            stays as it was.
        """
        try:
            self._train(report, seconds)
        except RuntimeError as error:
            # PyTorch's, of a CPU or a GPU.
            if "memory" not in str(error):
                raise
            name = self.recipe.name
            raise BigsharpError(f"recipe {name}: {NO_MEMORY}") from None
        finally:
            self._unlock()

    def _train(self, report: Callable[[Status], None], limit: float) -> None:
        recipe = self.recipe
        self.log.open()
        first, before = self.step, self.seconds
        began = time.monotonic() - before
        if self.start and not self.log.validations:
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
                now = Status(self.step, recipe.steps, self._checked(loss), self.log.psnr, speed)
                report(now)
            ending = self.stop or self.seconds - before >= limit
            # Asking the others costs a message, so several processes stop at a look alone.
            if (looked or self.peers.world == 1) and self.peers.any(ending):
                if not validated:
                    self._checked(loss)
                    self._save_last()
                break

    def _recycle(self) -> None:
        """Start filters that have died anew, in the first half, every so many steps."""
        every = self.recipe.recycle_every
        if every and self.step % every == 0 and self.step < self.recipe.steps / 2:
            shown = [batch for held_out in self.validation for batch in held_out.batches]
            recycle(self.network, self.released, shown, self.step + self.recipe.seed)

    def _grown(self) -> int:
        """How many predictions the coming step has to choose from."""
        count = recursions(self.recipe, self.step, self.network.prediction_count)
        if self.step in (0, *self.recipe.grow) and self.recipe.grow:
            for network in {self.network, self.released}:
                network.limit(count)
        return count

    def _one_step(self) -> Tensor:
        recipe, factor = self.recipe, self.rate_factor
        rate = recipe.lr * factor
        for group in self._groups():
            group["lr"] = group["initial_lr"] * factor
        grown = self._grown()
        self._recycle()
        ilr, hr = self.sampler.batch(recipe.batch)
        ilr = ilr.contiguous(memory_format=torch.channels_last)
        loss = self.supervision(
            ilr,
            self.teacher.target(ilr, hr, self.step),
            torch.full((), alpha(recipe, self.step), device=self.device),
            loss_name(recipe, self.step),
            supervised(recipe, self.step, grown),
        )
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
        return loss.detach()

    def _checked(self, loss: Tensor) -> float:
        value = self.peers.mean(loss)
        summed = "euclidean" in (self.recipe.loss, self.recipe.final_loss)
        if not value < HOPELESS * (self.recipe.patch**2 if summed else 1):
            raise self._diverged()
        return value

    def _diverged(self) -> Diverged:
        kept = f"{self.folder} keeps the last checkpoint"
        return Diverged(
            f"training diverged before step {self.step}; lower lr (now {self.recipe.lr:g}), "
            f"lengthen warmup or set clip in the recipe; "
            f"{kept if self.log.validations else 'no checkpoint yet'}"
        )

    def _validate(self, loss: float | None) -> None:
        """Measure every strength on the held-out images, log it, and write the checkpoints.

        A run killed before ``last.pt`` is written does this validation again.
        """
        measured = self._measure(loss) if self.peers.is_first else None
        validation, pictures = self.peers.share(measured)
        if math.isnan(validation.mean):
            raise self._diverged()
        is_best = validation.mean > max(self.log.means, default=-math.inf)
        self.log.add(validation)
        if is_best and self.peers.is_first:
            self._check_finite()
            checkpoint.write_best(self.folder, self.released, self.recipe, self._state())
        self._save_last()
        self.log.show(pictures)

    def _measure(self, loss: float | None) -> tuple[Validation, dict[str, Tensor]]:
        """All strengths, and the first held-out image at each: input, output, HR."""
        psnr, pictures = {}, {}
        self.released.eval()
        for held_out in self.validation:
            restored = held_out.restore(self.released)
            psnr[held_out.name] = held_out.psnr(restored)
            shown = (held_out.spoiled[0].clip(0, 1), restored[0].clip(0, 1), held_out.hr[0])
            pictures[held_out.name] = torch.cat(shown, dim=2).cpu()
        self.released.train()
        return Validation(self.step, round(self.seconds, 1), self.rate, loss, psnr), pictures

    def _check_finite(self) -> None:
        if not all(bool(p.isfinite().all()) for p in self.network.parameters()):
            raise self._diverged()

    def _state(self) -> dict[str, Any]:
        """What a checkpoint says of the run, in plain values."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "start": self.start,
            "device": self.device.type,
            "images": self.sampler.digest,
            "log": self.log.rows,
        }

    def _save_last(self) -> None:
        """Write the checkpoint to go on from; never one that has diverged."""
        if not self.peers.is_first:
            return
        self._check_finite()
        run = self._state() | {
            "averaged": int(self.average.n_averaged) if self.average is not None else 0,
            "scaler": self.scaler.state_dict(),
            "sampler": self.sampler.generator.get_state(),
        }
        parts = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        checkpoint.write_last(self.folder, self.released, self.recipe, run, parts)

    def _resume(self) -> None:
        """Go on from the last checkpoint."""
        same = {"device": self.device.type, "images": self.sampler.digest}
        run = checkpoint.read_last(self.folder, self.recipe, **same)
        try:
            self._take(run)
        except (RuntimeError, *MALFORMED) as error:
            path = self.folder / checkpoint.LAST
            raise BigsharpError(f"{path}: damaged; no run can go on from it ({error})") from None

    def _take(self, run: dict[str, Any]) -> None:
        """Become what a checkpoint says."""
        self.network.load_state_dict(run["network"])
        if self.average is not None:
            self.average.module.load_state_dict(run["state"])
            self.average.n_averaged.fill_(run["averaged"])
        for optimizer, state in zip(self.optimizers, run["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.scaler.load_state_dict(run["scaler"])
        self.sampler.generator.set_state(run["sampler"])
        self.step, self.seconds, self.start = run["step"], run["seconds"], run["start"]
        self.log = RunLog(self.log.folder, map(Validation.from_row, run["log"]))


def check_memory(recipe: Recipe, network: Network, device: torch.device, world: int = 1) -> None:
    """See that a device can hold what the layers give of a batch, which the gradients need.

    Raises
    ------
    BigsharpError
        It has less memory; a system that is asked for it all the same may end any process.
    """
    # Along the longest path: of a DRCN's reconstructions a step may supervise few.
    channels = [0]
    for name, read in network.graph.layers:
        channels.append(channels[read] + network.get_parameter(f"{name}.bias").numel())
    cuda = device.type == "cuda"
    size = _AUTOCAST[recipe.autocast if cuda else "none"].itemsize
    needed = recipe.batch // world * recipe.patch**2 * max(channels) * size
    if needed > (found := memory_of(device)):
        raise BigsharpError(
            f"recipe {recipe.name}: batches of {recipe.batch} patches of {recipe.patch} need "
            f"{needed / 1e9:.1f} GB and more, and there are {found / 1e9:.1f}; use smaller ones"
        )


def memory_of(device: torch.device) -> float:
    """Bytes that a device has; infinite where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return math.inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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
        raise errors.unknown("device", name, ("auto", "cpu", "cuda"))
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise BigsharpError("PyTorch finds no CUDA GPU here; use `device` cpu")
    return "cuda" if found and name != "cpu" else "cpu"
