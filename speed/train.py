"""Training steps a second of a recipe, beside a plain PyTorch loop on the same network.

    python speed/train.py [RECIPE] [--compile] [--device cpu] [--steps 20] [--rounds 5]

The plain loop is what one would write first: eager, NCHW, float32, Adam, and a DataLoader that cuts
patches out of image pairs degraded beforehand. Rounds of both alternate; medians are printed, with
the rate of a large matrix product in the same number type. The pictures are noise. On a CPU, set
OMP_WAIT_POLICY=passive, as `bigsharp train` does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from bigsharp import networks
from bigsharp.image.resize import imresize
from bigsharp.training.loop import Status, Trainer, choose_device
from bigsharp.training.recipe import Recipe, load_recipe
from kept import arguments, show

IMAGES, SIDE = 24, 256
TYPES = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Pairs(Dataset):
    """(ILR, HR) patches at random places, flipped at random."""

    def __init__(self, images: list[np.ndarray], patch: int, scales: tuple[float, ...]) -> None:
        self.patch = patch
        self.pairs = []
        for number, hr in enumerate(images):
            scale = scales[number % len(scales)]
            ilr = imresize(imresize(hr / 255, 1 / scale), scale)[: len(hr), : len(hr)]
            pair = np.stack([ilr, hr / 255]).astype(np.float32)
            self.pairs.append(torch.from_numpy(pair))

    def __len__(self) -> int:
        """Without end, for this purpose."""
        return 10**7

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One patch of one image."""
        pair = self.pairs[index % len(self.pairs)]
        top, left = torch.randint(0, SIDE - self.patch + 1, (2,)).tolist()
        pair = pair[:, top : top + self.patch, left : left + self.patch]
        if torch.rand(()) < 0.5:
            pair = pair.flip(2)
        return pair[:1], pair[1:]


def plain_loop(recipe: Recipe, images: list[np.ndarray], device: str) -> Iterator[None]:
    """Train for ever, one step each time that a value is asked for."""
    # Not in training mode, in which the networks take the native engine's convolutions.
    network = networks.build(recipe.architecture, **recipe.options).to(device).eval()
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    pairs = Pairs(images, recipe.patch, recipe.scales)
    # On the CPU workers would take the cores from the convolutions.
    workers = 8 if device == "cuda" else 0
    loader = DataLoader(pairs, recipe.batch, num_workers=workers, pin_memory=device == "cuda")
    for ilr, hr in loader:
        ilr, hr = ilr.to(device, non_blocking=True), hr.to(device, non_blocking=True)
        optimizer.zero_grad()
        F.l1_loss(network(ilr), hr).backward()
        optimizer.step()
        yield


def time_plain(loop: Iterator[None], steps: int, device: str) -> float:
    """Seconds a step."""
    next(loop)
    wait(device)
    began = time.perf_counter()
    for _ in range(steps):
        next(loop)
    wait(device)
    return (time.perf_counter() - began) / steps


def time_trainer(trainer: Trainer, steps: int) -> float:
    """Seconds a step, between two looks of the loop at its loss."""
    looks: list[tuple[int, float]] = []

    def look(status: Status) -> None:
        looks.append((status.step, time.perf_counter()))
        trainer.stop = status.step - looks[0][0] >= steps

    trainer.stop = False
    trainer.train(look)
    (first, began), (last, ended) = looks[0], looks[-1]
    return (ended - began) / (last - first)


def matmul_rate(dtype: torch.dtype, device: str) -> float:
    """FLOP/s of a product of square matrices, the best of several."""
    side = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        wait(device)
        began = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def wait(device: str) -> None:
    """Let the device finish."""
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print one line a loop."""
    parser = arguments(__doc__)
    parser.add_argument("recipe", nargs="?", default="vdsr")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = choose_device(options.device)
    images = list(np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(pictures / f"{number:02}.png")
        recipe = replace(
            load_recipe(options.recipe), data=(str(pictures),), steps=10**7, validate_every=10**7
        )
        plain = plain_loop(recipe, images, device)
        loops: dict[str, Callable[[], float]] = {
            "plain PyTorch": partial(time_plain, plain, options.steps, device)
        }
        for compiled in (False, True)[: 1 + options.compile]:
            name = "bigsharp, --compile" if compiled else "bigsharp"
            trainer = Trainer(recipe, Path(folder) / name, device=device, compiled=compiled)
            loops[name] = partial(time_trainer, trainer, options.steps)
        report(recipe, trainer, loops, options, device)


def report(
    recipe: Recipe,
    trainer: Trainer,
    loops: dict[str, Callable[[], float]],
    options: argparse.Namespace,
    device: str,
) -> None:
    """Run the rounds and show the medians."""
    pixels = recipe.batch * recipe.patch**2
    # Forward, gradient of the input, gradient of the weights; 2 FLOP a multiply-accumulate.
    flop = 3 * 2 * trainer.network.macs_per_pixel * pixels
    mixed = TYPES[recipe.autocast if device == "cuda" else "none"]
    peak = matmul_rate(mixed, device)
    print(
        f"{recipe.name} on {device}: batch {recipe.batch} of {recipe.patch}×{recipe.patch}, ",
        end="",
    )
    print(f"{flop / 1e9:.0f} GFLOP a step; matrix product {peak / 1e9:.0f} GFLOP/s in {mixed}")
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(options.rounds + 1):
        for name, measure in loops.items():
            elapsed = measure()
            if number:  # the first round warms up
                seconds[name].append(elapsed)
    rows = []
    for name, measured in seconds.items():
        median = statistics.median(measured)
        rate = flop / median
        rows.append([name, f"{1 / median:.2f}", f"{rate / 1e9:.0f}", f"{rate / peak:.0%}"])
    head = ["loop", "steps/s", "GFLOP/s", "of the matrix product's rate"]
    show(f"train {recipe.name}", head, rows, options.keep)


if __name__ == "__main__":
    main()
