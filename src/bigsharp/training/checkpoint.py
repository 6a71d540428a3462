"""The files of a run: what a checkpoint holds, and whether a run may go on from it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from bigsharp import models
from bigsharp.errors import BigsharpError
from bigsharp.files import write_bytes
from bigsharp.models.network import Network
from bigsharp.training.recipe import Recipe

#: The checkpoints of a run: everything needed to go on, and the highest validation PSNR.
LAST, BEST = "last.pt", "best.pt"


def prepare(folder: Path, resume: bool) -> None:
    """Make a run's folder; an earlier run in it is never written over.

    Raises
    ------
    BigsharpError
        The folder holds a run that is not to be resumed, or cannot be made.
    """
    if not resume and (folder / LAST).exists():
        raise BigsharpError(
            f"{folder}: holds a run already; go on with --resume, or name another folder with -o"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BigsharpError(f"{folder}: cannot be made ({error.strerror})") from None


def write(path: Path, network: Network, recipe: Recipe, run: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all: `network` to be used, and `run` to go on from."""
    content = models.pack(recipe.architecture, network, recipe.trained_scales)
    buffer = io.BytesIO()
    torch.save(content | {"recipe": recipe.as_dict()} | run, buffer)
    write_bytes(path, buffer.getvalue())


def read(path: Path, recipe: Recipe, **same: str) -> dict[str, Any]:
    """Read the checkpoint that a run goes on from.

    Raises
    ------
    BigsharpError
        It is missing, or was written under another recipe, or one of `same` was another then.
    """
    content = models.read_checkpoint(path)
    if content.get("recipe") != recipe.as_dict():
        raise BigsharpError(
            f"{path}: written under other settings than recipe {recipe.name}"
            f"{_difference(content.get('recipe'), recipe)}; "
            "resume with the same recipe and options, or train into another folder"
        )
    for key, now in same.items():
        if content.get(key) != now:
            raise BigsharpError(
                f"{path}: the {key} trained on then and now differ, so the run cannot go on as "
                "it would have; train into another folder"
            )
    return content


def _difference(then: dict[str, Any] | None, recipe: Recipe) -> str:
    """Name the keys that differ."""
    now = recipe.as_dict()
    keys = [key for key in now if then is not None and then.get(key) != now[key]]
    return f" ({', '.join(keys)})" if keys else ""


def initial_weights(name: str) -> dict[str, Any]:
    """The checkpoint that a new run starts from: a released model, or a file.

    Raises
    ------
    BigsharpError
        There is no such model or file.
    """
    from bigsharp import weights
    from bigsharp.weightfile import SUFFIX

    is_file = name.endswith((".pt", SUFFIX))
    path = Path(name) if is_file else weights.path(name, SUFFIX)
    return models.read_checkpoint(path)
