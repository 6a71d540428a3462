"""Shared fixtures: pictures made here, a small network, and the image sets where they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from bigsharp import networks
from bigsharp.networks.export import export
from bigsharp.networks.network import Network
from programs import program

# How long an example takes says more of the machine than of the code.
settings.register_profile("bigsharp", deadline=None)
settings.load_profile("bigsharp")

# The networks here are tiny: threads would only wait for one another.
torch.set_num_threads(1)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def image_sets() -> Path:
    """The folder that BIGSHARP_DATA names; a test that needs it is skipped without."""
    root = os.environ.get("BIGSHARP_DATA")
    if not root:
        pytest.skip("BIGSHARP_DATA is not set")
    return Path(root).resolve()


@pytest.fixture(scope="session")
def command() -> Run:
    """Run the command line in a process of its own, or in those that `launcher` starts."""

    def run(
        *words: object, launcher: Sequence[str] = (), **options: object
    ) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *launcher, "-m", "bigsharp", *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=240, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def texture() -> np.ndarray:
    """A colour picture with edges, ramps and fine detail: uint8, 60 × 70."""
    y, x = np.mgrid[0:60, 0:70]
    rings = 127 + 120 * np.sin(np.hypot(y - 20, x - 30) ** 2 / 60)
    ramp = 3.5 * x
    bars = 255.0 * ((x // 5 + y // 7) % 2)
    return np.stack([rings, ramp, bars], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path, texture: np.ndarray) -> Path:
    """That picture as a PNG file."""
    path = tmp_path / "photo.png"
    Image.fromarray(texture).save(path)
    return path


@pytest.fixture(scope="session")
def network() -> Network:
    """A small VDSR whose residual is far from zero."""
    torch.manual_seed(1)
    network = networks.build("vdsr", depth=4, features=8)
    torch.nn.init.normal_(network.layers[-1].weight, std=0.1)
    return network.eval()


@pytest.fixture(scope="session")
def checkpoint(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a checkpoint, with its export beside it."""
    path = tmp_path_factory.mktemp("network") / "small.pt"
    path.write_bytes(networks.to_checkpoint(networks.pack("vdsr", network)))
    export(path, path.with_suffix(".onnx"))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; a test that needs it is skipped where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = program("chromium")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
