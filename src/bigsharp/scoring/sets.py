"""Image sets: where they are, and where they are published."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bigsharp import errors
from bigsharp.errors import BigsharpError

#: The environment variable that names the folder holding the image sets.
VARIABLE = "BIGSHARP_DATA"

EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class ImageSet:
    """A published set of images.

    Attributes
    ----------
    name : str
        Also the name of its folder.
    images : int
        How many there are.
    use : {"train", "test"}
        Nothing is ever trained, validated or chosen on a test set.
    source : str
        Where it is published.
    leaks : dict of str to str
        Images, by their names without extension, that show what a test set shows, and what that
        is: nothing is trained on them. `bigsharp.scoring.leaks` finds such.
    shown : tuple of str
        Those, without extension, in which methods are seen to differ: stripes, façades, text.
    """

    name: str
    images: int
    use: str
    source: str
    leaks: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()


_BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/"
_HUANG = "https://github.com/jbhuang0604/SelfExSR"

SETS = {
    entry.name: entry
    for entry in (
        ImageSet("T91", 91, "train", "Yang et al. 2010, http://www.ifp.illinois.edu/~jyang29/"),
        ImageSet(
            "BSDS200",
            200,
            "train",
            f"BSDS300, images/train, {_BERKELEY}",
            {"302003": "Set5's woman is a reduced copy of it"},
        ),
        ImageSet("BSDS200-test", 200, "train", f"BSDS500, images/test, {_BERKELEY}"),
        ImageSet(
            "Set5", 5, "test", f"Bevilacqua et al. 2012, in {_HUANG}", shown=("butterfly", "bird")
        ),
        ImageSet("Set14", 14, "test", f"Zeyde et al. 2010, in {_HUANG}", shown=("zebra", "ppt3")),
        ImageSet(
            "B100", 100, "test", f"BSDS300, images/test, {_BERKELEY}", shown=("253027", "86000")
        ),
        ImageSet(
            "Urban100",
            100,
            "test",
            f"Huang et al. 2015, full-size HR images of {_HUANG}",
            shown=("img_005", "img_092"),
        ),
        ImageSet("BSD68", 68, "test", "Roth and Black 2009, grey images out of B100"),
        ImageSet("classic5", 5, "test", "Foi et al. 2007, grey images for JPEG deblocking"),
    )
}


def find_root(root: str | Path | None = None) -> Path:
    """The folder that holds the image sets: `root`, or what ``BIGSHARP_DATA`` names.

    Raises
    ------
    BigsharpError
        Neither is given, or it is no folder.
    """
    given = root or os.environ.get(VARIABLE)
    if not given:
        raise BigsharpError(
            f"no image sets: set {VARIABLE}, or `root`, to the folder that holds them "
            "(`bigsharp data` lists them)"
        )
    path = Path(given)
    if not path.is_dir():
        raise BigsharpError(f"{path}: not a folder; {VARIABLE} or `root` should name one")
    return path


def images_in(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    )


def find_images(name: str, root: str | Path | None = None) -> list[Path]:
    """The images of a set known by name, or of any folder given as a path.

    Raises
    ------
    BigsharpError
        There is no such set or folder, it holds no image, or a known set is not whole.
    """
    if name in SETS:
        folder = find_root(root) / name
        paths = images_in(folder)
        if not paths:
            raise BigsharpError(f"{folder}: {name} is not there; it is {SETS[name].source}")
        if len(paths) != SETS[name].images:
            raise BigsharpError(
                f"{folder}: {name} has {SETS[name].images} images, here are {len(paths)}; "
                "a mean over others would not be comparable"
            )
        return paths
    if not Path(name).is_dir():
        given = root or os.environ.get(VARIABLE)
        there = [known for known in SETS if given and images_in(Path(given) / known)]
        otherwise = f", or give a folder (of the sets, here are {', '.join(there) or 'none'})"
        raise errors.unknown("image set", name, SETS, otherwise)
    paths = images_in(Path(name))
    if not paths:
        raise BigsharpError(f"{name}: no picture in this folder")
    return paths


def choose(names: Sequence[str], use: str, root: str | Path | None = None) -> list[Path]:
    """The images of sets and folders; of none given, those of every known set for `use`.

    Raises
    ------
    BigsharpError
        As `find_images`, or none is there.
    """
    if not names:
        base = find_root(root)
        names = [e.name for e in SETS.values() if e.use == use and images_in(base / e.name)]
        if not names:
            raise BigsharpError(f"{base}: no {use} set is there (`bigsharp data` lists them)")
    return [path for name in names for path in find_images(name, root)]


def usable_for_training(name: str, root: str | Path | None = None) -> tuple[list[Path], list[str]]:
    """The images of a set or folder, and a line for each that a test set shows as well.

    Raises
    ------
    BigsharpError
        As `find_images`.
    """
    leaks = SETS[name].leaks if name in SETS else {}
    paths = find_images(name, root)
    left_out = [f"{path}: {leaks[path.stem]}" for path in paths if path.stem in leaks]
    return [path for path in paths if path.stem not in leaks], left_out


def survey(root: str | Path | None = None) -> list[str]:
    """One line for each known set: what it is for, whether it is there, where it is published."""
    base = find_root(root) if root or os.environ.get(VARIABLE) else None
    lines = [f"image sets in {base}" if base else f"set {VARIABLE} to the folder of the sets", ""]
    for entry in SETS.values():
        found = len(images_in(base / entry.name)) if base else 0
        state = "missing"
        if found:
            state = "there" if found == entry.images else f"{found} of {entry.images}"
        lines.append(f"{entry.name:13} {entry.images:4} {entry.use:6} {state:11} {entry.source}")
    return lines
