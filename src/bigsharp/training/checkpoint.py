"""The files of a run: what a checkpoint holds, and whether a run may go on from it.

``best.pt`` and ``last.pt`` hold the network to be used (the moving average, where there is one).
Going on takes more: the trained weights themselves and the optimizers' memory, in two files beside
``last.pt``, so that each stays small. They are named for their step and written first; ``last.pt``
takes its place in one stroke, so a kill at any moment leaves a whole checkpoint.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.networks.network import Network
from bigsharp.training.log import Validation
from bigsharp.training.recipe import Recipe, from_dict
from bigsharp.weights.file import MALFORMED

#: The checkpoints of a run: everything needed to go on, and the highest validation PSNR.
LAST, BEST = "last.pt", "best.pt"

#: What lies in files of its own beside ``last.pt``: last-network-1500.pt, last-optimizers-1500.pt.
PARTS = ("network", "optimizers")


def check(folder: Path, resume: bool) -> None:
    """See that a folder holds a run to resume, or none where one begins.

    Raises
    ------
    BigsharpError
        It does not.
    """
    if resume and not (folder / LAST).exists():
        raise BigsharpError(f"{folder / LAST}: no such file")
    if not resume and (folder / LAST).exists():
        raise BigsharpError(
            f"{folder}: holds a run already; go on with `resume`, or name another `output`"
        )


def claim(folder: Path, resume: bool) -> FileLock:
    """Make a run's folder and keep other processes out of it; an earlier run is never written over.

    The claim ends when the lock is released, or with this process, however that ends.

    Raises
    ------
    BigsharpError
        Another process trains in the folder; it holds a run that is not to be resumed, or cannot be
        made.
    """
    check(folder, resume)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise BigsharpError(f"{folder}: another process trains in this folder") from None
    except OSError as error:
        raise BigsharpError(f"{folder}: cannot be made ({error.strerror or error})") from None
    return lock


def write_best(folder: Path, network: Network, recipe: Recipe, run: dict[str, Any]) -> None:
    """Write ``best.pt``, whole or not at all: `network`, and plain values that say what it is."""
    packed = networks.pack(recipe.architecture, network, recipe.trained_scales, recipe.task)
    content = networks.to_checkpoint(packed, recipe=recipe.as_dict(), **run)
    write_bytes(folder / BEST, content)


def write_last(
    folder: Path, network: Network, recipe: Recipe, run: dict[str, Any], parts: dict[str, Any]
) -> None:
    """Write the checkpoint that a run goes on from, whole or not at all.

    Parameters
    ----------
    folder : Path
    network : Network
        To be used.
    recipe : Recipe
    run : dict
        Plain values: the step, and what else is small.
    parts : dict
        What goes into files of its own, by the names in `PARTS`.
    """
    names = {part: f"last-{part}-{run['step']}.pt" for part in PARTS}
    for part, name in names.items():
        buffer = io.BytesIO()
        torch.save(parts[part], buffer)
        write_bytes(folder / name, buffer.getvalue())
    packed = networks.pack(recipe.architecture, network, recipe.trained_scales, recipe.task)
    content = networks.to_checkpoint(packed, recipe=recipe.as_dict(), parts=names, **run)
    write_bytes(folder / LAST, content)
    for path in folder.glob("last-*-*.pt"):
        if path.name not in names.values():
            path.unlink()


def read_run(path: Path) -> dict[str, Any]:
    """Read a checkpoint, and see that it says how far its run has come.

    Raises
    ------
    BigsharpError
        It is missing, or is no checkpoint of a run.
    """
    content = networks.read_checkpoint(path)
    try:
        rows = [Validation.from_row(row).as_row() for row in content["log"]]
        numbers = [content["step"], content["seconds"], *(v for row in rows for v in row.values())]
        names = {part: f"last-{part}-{content['step']}.pt" for part in PARTS}
        if content.get("parts", names) != names:
            raise ValueError("its parts lie elsewhere")
    except MALFORMED:
        numbers = [""]
    if not all(isinstance(number, int | float | None) for number in numbers):
        raise BigsharpError(f"{path}: not a checkpoint of a run of bigsharp")
    return content


def read_last(folder: Path, recipe: Recipe, **same: str) -> dict[str, Any]:
    """Read the checkpoint that a run goes on from, its parts included.

    Raises
    ------
    BigsharpError
        It is missing, or was written under another recipe, or one of `same` was another then.
    """
    path = folder / LAST
    content = read_run(path)
    if different := _difference(content.get("recipe"), recipe):
        raise BigsharpError(
            f"{path}: written under other settings than recipe {recipe.name} ({different}); "
            "resume with the same recipe and options, or train into another folder"
        )
    for key, now in same.items():
        if content.get(key) != now:
            raise BigsharpError(
                f"{path}: the {key} trained on then and now differ, so the run cannot go on as "
                "it would have; train into another folder"
            )
    return content | {part: _read_part(folder / name) for part, name in content["parts"].items()}


def _read_part(path: Path) -> Any:
    try:
        return networks.load_tensors(path)
    except Exception as error:
        raise BigsharpError(
            f"{path}: missing or damaged, and the run cannot go on without it ({error}); "
            f"a new run can start from {path.with_name(LAST)}"
        ) from None


def _difference(then: Any, recipe: Recipe) -> str:
    """The keys that differ; one that the older recipe did not know yet had its default."""
    if not isinstance(then, dict):
        return "it names no recipe"
    before, now = from_dict(then, recipe.name).as_dict(), recipe.as_dict()
    return ", ".join(key for key in now if before[key] != now[key])
