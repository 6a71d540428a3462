"""The training loop: recipe in, checkpoints out.

A run is a folder: ``best.pt`` (highest validation PSNR), ``last.pt`` (everything needed to go on)
and ``log.csv``. Because the sampler's state is in ``last.pt``, a resumed run gives the weights
that the uninterrupted one would have given.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bigsharp import models
from bigsharp.errors import BigsharpError
from bigsharp.files import write_bytes
from bigsharp.models.network import Network
from bigsharp.training.patches import PatchSampler, ValidationSet, load_images
from bigsharp.training.recipe import Recipe

#: The checkpoints of a run.
LAST, BEST = "last.pt", "best.pt"

LOSSES: dict[str, Callable[..., torch.Tensor]] = {"l1": F.l1_loss, "mse": F.mse_loss}

#: Steps between two looks at the loss; each look makes the device wait for the host.
REPORT_EVERY = 10


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


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of step `step`, counted from 0."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    if recipe.schedule == "cosine":
        done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * done))
    if recipe.schedule == "step":
        return recipe.lr * 0.1 ** (step // recipe.step_every)
    return recipe.lr


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

    Raises
    ------
    BigsharpError
        The image sets are not there; the folder holds a run already, or, with `resume`, none of
        this recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        root: str | Path | None = None,
        device: str = "cpu",
        resume: bool = False,
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.device = torch.device(device)
        self._prepare_folder(resume)
        training, held_out = load_images(recipe.data, recipe.holdout, recipe.validation_crop, root)
        self.sampler = PatchSampler(training, recipe.scales, recipe.patch, self.device, recipe.seed)
        self.validation = [
            ValidationSet.make(held_out, scale, recipe.validation_crop, self.device)
            for scale in recipe.scales
        ]
        torch.manual_seed(recipe.seed)
        self.network: Network = models.build(recipe.architecture, **recipe.options)
        # channels_last: 1.17 times the steps a second on a 2-core CPU (VDSR, 16 patches of 41).
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(recipe, self.network)
        self.step = 0
        #: Set it, from a signal handler say, to end after the current step with a checkpoint.
        self.stop = False
        self.log: list[dict[str, Any]] = []
        if resume:
            self._resume()

    def _prepare_folder(self, resume: bool) -> None:
        """Make the run's folder; an earlier run in it is never written over."""
        if not resume and (self.folder / LAST).exists():
            raise BigsharpError(
                f"{self.folder}: holds a run already; go on with --resume, "
                "or name another folder with -o"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BigsharpError(f"{self.folder}: cannot be made ({error.strerror})") from None

    @property
    def psnr(self) -> dict[float, float]:
        """The latest validation, a scale each."""
        return {s: self.log[-1][f"psnr_x{s:g}"] for s in self.recipe.scales} if self.log else {}

    def train(self, report: Callable[[Status], None] = lambda status: None) -> None:
        """Train to the recipe's last step, or until `stop` is set.

        Raises
        ------
        BigsharpError
            The loss is no longer a finite number; the last checkpoint stays as it was.
        """
        recipe = self.recipe
        began, first = time.monotonic(), self.step
        while self.step < recipe.steps:
            loss = self._one_step()
            done = self.step == recipe.steps
            if self.step % REPORT_EVERY == 0 or done:
                value = self._checked(loss)
                rate = recipe.batch * (self.step - first) / (time.monotonic() - began)
                report(Status(self.step, recipe.steps, value, self.psnr, rate))
            if self.step % recipe.validate_every == 0 or done:
                self._validate(self._checked(loss))
            elif self.stop:
                self._checked(loss)
                self.save(LAST)
            if self.stop:
                break

    def _one_step(self) -> torch.Tensor:
        rate = learning_rate(self.recipe, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        ilr, hr = self.sampler.batch(self.recipe.batch)
        ilr = ilr.contiguous(memory_format=torch.channels_last)
        loss = LOSSES[self.recipe.loss](self.network(ilr), hr)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip and rate > 0:
            nn.utils.clip_grad_value_(self.network.parameters(), self.recipe.clip / rate)
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    def _checked(self, loss: torch.Tensor) -> float:
        value = float(loss)
        if not math.isfinite(value):
            raise self._diverged()
        return value

    def _diverged(self) -> BigsharpError:
        return BigsharpError(
            f"training diverged before step {self.step}; lower lr (now {self.recipe.lr:g}) "
            f"or set clip; {self.folder} keeps the last checkpoint"
        )

    def _validate(self, loss: float) -> None:
        """Measure every scale on the held-out images, log it, and write the checkpoints.

        ``last.pt`` comes last: a run killed before it does this validation again.
        """
        row: dict[str, Any] = {
            "step": self.step,
            "lr": learning_rate(self.recipe, self.step - 1),
            "loss": loss,
        }
        self.network.eval()
        with torch.inference_mode():
            for held_out in self.validation:
                restored = torch.cat([self.network(x) for x in torch.split(held_out.ilr, 4)])
                row[f"psnr_x{held_out.scale:g}"] = held_out.psnr(restored)
        self.network.train()
        if math.isnan(mean_psnr(row)):
            raise self._diverged()
        best = max((mean_psnr(entry) for entry in self.log), default=-math.inf)
        self.log.append(row)
        if mean_psnr(row) > best:
            self.save(BEST)
        self._write_log()
        self.save(LAST)

    def _write_log(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.log[0])
        writer.writeheader()
        writer.writerows(self.log)
        write_bytes(self.folder / "log.csv", text.getvalue().encode())

    def save(self, name: str) -> None:
        """Write a checkpoint, whole or not at all; never one that has diverged."""
        if not all(bool(p.isfinite().all()) for p in self.network.parameters()):
            raise self._diverged()
        recipe = self.recipe
        content = models.pack(recipe.architecture, self.network, recipe.scales) | {
            "recipe": recipe.as_dict(),
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.generator.get_state(),
            "device": self.device.type,
            "images": self.sampler.digest,
            "log": self.log,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_bytes(self.folder / name, buffer.getvalue())

    def _resume(self) -> None:
        """Go on from ``last.pt``."""
        path = self.folder / LAST
        content = models.read_checkpoint(path)
        if content.get("recipe") != self.recipe.as_dict():
            raise BigsharpError(
                f"{path}: written under other settings than recipe {self.recipe.name}; "
                "resume with the same recipe and steps, or train into another folder"
            )
        for key, now in (("device", self.device.type), ("images", self.sampler.digest)):
            if content.get(key) != now:
                raise BigsharpError(
                    f"{path}: the {key} trained on then and now differ, so the run cannot go on as "
                    "it would have; train into another folder"
                )
        self.network.load_state_dict(content["state"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.sampler.generator.set_state(content["sampler"])
        self.step, self.log = content["step"], content["log"]


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


def make_optimizer(recipe: Recipe, network: Network) -> torch.optim.Optimizer:
    """The recipe's optimizer over all of the network's parameters."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
