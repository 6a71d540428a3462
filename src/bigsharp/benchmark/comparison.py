"""Images to show: which, which part of each, and each as every method restores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bigsharp import errors
from bigsharp.benchmark.methods import Method
from bigsharp.benchmark.run import Result, make_case
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.scoring.protocol import Rules, Score, round_to_8bit
from bigsharp.scoring.sets import SETS


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, image: Array) -> Array:
        """That part of an image."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


#: By set: the images, and which part of each.
Images = dict[str, list[tuple[Path, Box | None]]]


def parse_crop(words: str) -> tuple[str, Box | None]:
    """An image's name, and the box of IMAGE:LEFT,TOP,WIDTH,HEIGHT.

    Raises
    ------
    BigsharpError
        It is not of that form.
    """
    name, colon, numbers = words.partition(":")
    if not colon:
        return name, None
    try:
        left, top, width, height = map(int, numbers.split(","))
    except ValueError:
        raise BigsharpError(f"`crop`: {words!r} is not IMAGE:LEFT,TOP,WIDTH,HEIGHT") from None
    return name, Box(left, top, width, height)


def choose_images(crops: Sequence[str], images: Mapping[str, Sequence[Path]]) -> Images:
    """The images to show, and which part of each.

    Parameters
    ----------
    crops : sequence of str
        As `parse_crop` takes them; by default those of a known set that are its `shown`, and the
        first image of a folder.
    images : mapping of str to sequence of path
        The sets, and all of their images.

    Raises
    ------
    BigsharpError
        An image is in no set.
    """
    if not crops:
        return {data: [(p, None) for p in _shown(data, paths)] for data, paths in images.items()}
    chosen: Images = {data: [] for data in images}
    for words in crops:
        name, box = parse_crop(words)
        found = [
            (data, path)
            for data, paths in images.items()
            for path in paths
            if name in (path.name, path.stem)
        ]
        if not found:
            names = [path.name for paths in images.values() for path in paths]
            raise errors.unknown("image", name, names, f" (`crop`, of {', '.join(images)})")
        for data, path in found:
            chosen[data].append((path, box))
    return chosen


def _shown(data: str, paths: Sequence[Path]) -> list[Path]:
    names = SETS[data].shown if data in SETS else ()
    return [path for path in paths if path.stem in names] or [paths[0]]


@dataclass(frozen=True)
class Comparison:
    """One image at one scale, as every method restores it.

    Attributes
    ----------
    name : str
    label : str
        What spoiled it, as a table has that.
    truth : ndarray of uint8, shape (H, W, 3)
    restored : dict of str to ndarray of uint8, shape (H, W, 3)
    scores : dict of str to Score
        Under the protocol of the table, which may be of luma alone.
    """

    name: str
    label: str
    truth: Array
    restored: Mapping[str, Array]
    scores: Mapping[str, Score]


def compare(
    results: Sequence[Result], path: Path, rules: Rules, methods: Mapping[str, Method]
) -> Comparison:
    """Restore one image in colour with every method of `results`, all of one set and scale."""
    first = results[0]
    case, hr = make_case(first.data, path, first.scale, replace(rules, colour="rgb"))
    scores = {
        result.method: Score(record.psnr, record.ssim)
        for result in results
        for record in result.records
        if record.image == path.name
    }
    restored = {name: _as_8bit(methods[name].restore(case)) for name in scores}
    return Comparison(path.name, first.label, _as_8bit(hr), restored, scores)


def telling_box(comparison: Comparison) -> Box:
    """The square, a sixth of the shorter side or 32 pixels, that the methods restore least alike.

    That is where the variance over the methods, summed over the square, is largest.
    """
    stack = np.stack([image.mean(axis=2) for image in comparison.restored.values()])
    spread = stack.var(axis=0)
    side = min(max(32, min(spread.shape) // 6), *spread.shape)
    sums = np.pad(spread.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(np.argmax(inside), inside.shape)
    return Box(int(left), int(top), side, side)


def _as_8bit(image: Array) -> Array:
    return round_to_8bit(image).astype(np.uint8)
