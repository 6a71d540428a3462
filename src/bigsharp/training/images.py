"""Training images: read, held out, made smaller; needs no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.image.resize import imresize, scaled_size
from bigsharp.io.read import read
from bigsharp.scoring import protocol
from bigsharp.scoring.sets import SETS, usable_for_training


def refuse_test_sets(data: Sequence[str]) -> None:
    """Nothing is trained on a test set.

    Raises
    ------
    BigsharpError
        One of the names, or the folder that one leads to, is a test set's.
    """
    for name in (Path(entry).resolve().name for entry in data):
        if name in SETS and SETS[name].use == "test":
            raise BigsharpError(f"{name} is a test set; nothing is trained on it")


def read_luma(path: Path) -> Array:
    """The reference luma of a picture file, uint8, shape (H, W)."""
    return protocol.reference(read(path)).astype(np.uint8)


def load_images(
    sets: Sequence[str], smallest: int, root: str | Path | None = None
) -> tuple[list[Array], list[str]]:
    """Read every image of the sets but those that a test set shows as well.

    Parameters
    ----------
    sets : sequence of str
        Image sets by name, or folders.
    smallest : int
        Images with a side shorter than this are left out.
    root : path, optional
        The folder of the image sets.

    Returns
    -------
    images : list of ndarray of uint8, shape (H, W)
    skipped : list of str
        One line for each file left out: its path, and why.

    Raises
    ------
    BigsharpError
        A set is not there, or none of the pictures can be trained on.
    """
    images, skipped = [], []
    paths = []
    for name in sets:
        usable, left_out = usable_for_training(name, root)
        paths += usable
        skipped += left_out
    for path in paths:
        try:
            image = read_luma(path)
        except BigsharpError as error:
            skipped.append(str(error))
            continue
        if min(image.shape) < smallest:
            height, width = image.shape
            skipped.append(f"{path}: {width}×{height}, smaller than a patch needs ({smallest})")
        else:
            images.append(image)
    if not images:
        raise BigsharpError(f"none of the {len(skipped)} pictures can be trained on; {skipped[0]}")
    return images, skipped


def hold_out(images: Sequence[Array], count: int, smallest: int) -> tuple[list[Array], list[Array]]:
    """Part images into those to train on and those to validate on.

    The held-out ones are spread evenly over the images that are large enough; the same list always
    gives the same ones.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (H, W)
    count : int
        To hold out, but no more than a fifth of the large ones, or one.
    smallest : int
        Pixels that both sides of a held-out image have at least.

    Returns
    -------
    training, held_out : list of ndarray of uint8, shape (H, W)
        The images themselves, in their order.

    Raises
    ------
    BigsharpError
        No image is that large, or none would be left to train on.
    """
    large = [i for i, image in enumerate(images) if min(image.shape) >= smallest]
    if not large or len(images) == 1:
        raise BigsharpError(
            f"{len(large)} of {len(images)} training images are {smallest} pixels or more on both "
            "sides; training needs one such to validate on, and another image"
        )
    count = min(count, max(1, len(large) // 5))
    chosen = {large[(2 * k + 1) * len(large) // (2 * count)] for k in range(count)}
    training = [image for i, image in enumerate(images) if i not in chosen]
    return training, [images[i] for i in sorted(chosen)]


def zoom_out(images: Sequence[Array], zooms: Sequence[float], smallest: int) -> list[Array]:
    """The images made smaller.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (H, W)
    zooms : sequence of float
        Each in (0, 1]; 1 is the image itself.
    smallest : int
        Pixels that a side must keep; what would be smaller is left out.

    Returns
    -------
    list of ndarray of uint8, shape (H, W)
        Zoom by zoom.

    Raises
    ------
    BigsharpError
        None does.
    """
    zoomed = [
        image if zoom == 1 else imresize(image, zoom)
        for zoom in zooms
        for image in images
        if scaled_size(min(image.shape), zoom) >= smallest
    ]
    if not zoomed:
        raise BigsharpError(f"at none of the zooms is an image {smallest} pixels on both sides")
    return zoomed
