"""Training of the methods that are not networks; needs no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bigsharp import limits
from bigsharp.classic.train import Settings, smallest_side, train
from bigsharp.errors import BigsharpError
from bigsharp.io.files import check_path, write_bytes
from bigsharp.training.images import load_images, refuse_test_sets
from bigsharp.weights import file

#: What the papers train on.
DATA = ("T91",)

SCALES = (2.0, 3.0, 4.0)


def train_method(
    name: str,
    folder: Path,
    *,
    data: Sequence[str] = DATA,
    scales: Sequence[float] = SCALES,
    settings: Settings,
    root: str | Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Learn a method from image sets, and write a weights file for each scale.

    Parameters
    ----------
    name : str
        A key of `bigsharp.classic.METHODS`.
    folder : Path
        Of the files: NAME-x2.safetensors …
    data : sequence of str
        Image sets by name, or folders.
    scales : sequence of float
        Whole numbers of at least 2.
    settings : Settings
    root : path, optional
        The folder of the image sets.
    report : callable
        Called with a line for each picture left out, and for each thing begun.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    BigsharpError
        A scale is no whole number; a set is missing, a test set, or too small; a file cannot be
        written.
    """
    refuse_test_sets(data)
    if not all(2 <= scale <= limits.LARGEST_SCALE and scale == int(scale) for scale in scales):
        given = ", ".join(f"{scale:g}" for scale in scales)
        raise BigsharpError(
            f"{name} learns whole scales of at least 2, not {given}; at most {limits.LARGEST_SCALE}"
        )
    written = {int(scale): folder / f"{name}-x{scale:g}{file.SUFFIX}" for scale in scales}
    for path in written.values():
        check_path(path)
    for scale, path in written.items():
        images, skipped = load_images(data, smallest_side(scale), root)
        for line in skipped:
            report(f"skipped {line}")
        write_bytes(path, file.to_bytes(train(name, scale, images, settings, report)))
    return list(written.values())
