"""Pictures of a test set that a training set holds as well, whole or in part, at another size.

A network scored on what it was trained on scores too well. Every picture, made small and
band-passed, is looked for in every other one by normalised cross-correlation, at a ladder of
relative sizes and mirrored, too; what stands out is looked at again, larger and more finely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.io.read import read

#: The longer side of the picture searched, in pixels, at the first and at the second look.
_COARSE, _FINE = 40, 120

#: The longer side of the picture looked for, in pixels of the first look: two fifths of the
#: other's, or more. A pixel more or less, and the two no longer correlate.
_SIDES = range(16, _COARSE + 2)

#: Correlations above these are looked at again, and are reported.
_CANDIDATE, _COPY = 0.55, 0.75

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Copy:
    """Two pictures that show the same.

    Attributes
    ----------
    part, whole : Path
        The one that shows all or a part of what the other shows.
    size : float
        The longer side of what they share, in the whole, as a share of the whole's.
    likeness : float
        Their correlation, at most 1.
    mirrored : bool
    """

    part: Path
    whole: Path
    size: float
    likeness: float
    mirrored: bool

    def __str__(self) -> str:
        how = "shows" if self.size > 0.97 else f"shows {self.size:.0%} of"
        mirrored = ", mirrored" if self.mirrored else ""
        return f"{self.part} {how} {self.whole}{mirrored} (likeness {self.likeness:.2f})"


def find_copies(
    tests: Sequence[Path], trainings: Sequence[Path], progress: Progress = lambda done, all: None
) -> list[Copy]:
    """Every pair of a test and a training picture that show the same, the most alike first.

    One must show at least two fifths of the other, along its longer side. Where each shows only
    a part of the other, nothing is found.

    Parameters
    ----------
    tests, trainings : sequence of Path
    progress : callable
        Called with the number of pictures looked for, and of all of them.

    Raises
    ------
    BigsharpError
        A picture cannot be read.
    """
    shown = {path: _Shown(path) for path in dict.fromkeys([*tests, *trainings])}
    found: dict[frozenset[Path], Copy] = {}
    done, total = 0, len(tests) + len(trainings)
    for parts, wholes in ((tests, trainings), (trainings, tests)):
        searched = _Searched([shown[path].at(_COARSE) for path in wholes], _COARSE)
        for part in parts:
            for number, side, mirrored in _candidates(shown[part], searched):
                copy = _look_again(part, wholes[number], shown, side, mirrored)
                pair = frozenset((part, wholes[number]))
                if copy and (pair not in found or found[pair].likeness < copy.likeness):
                    found[pair] = copy
            done += 1
            progress(done, total)
    return sorted(found.values(), key=lambda copy: -copy.likeness)


class _Shown:
    """A picture's luma, reduced once to what the finest look needs.

    Attributes
    ----------
    side : int
        The longer side that it is best looked at.
    """

    def __init__(self, path: Path) -> None:
        luma = read(path).luma()
        if min(luma.shape) < 16:
            raise BigsharpError(f"{path}: too small to be looked for")
        self._image = Image.fromarray((255 * luma).astype(np.float32))
        # At two thirds of its size, JPEG's noise no longer outvotes what it shows.
        self.side = min(_FINE, 2 * max(self._image.size) // 3)
        self._image.thumbnail((_FINE, _FINE), Image.Resampling.LANCZOS)

    def at(self, longer_side: int, mirrored: bool = False) -> Array:
        """Its edges, float32, where the longer side has so many pixels."""
        factor = longer_side / max(self._image.size)
        width, height = (max(6, round(side * factor)) for side in self._image.size)
        values = np.asarray(self._image.resize((width, height), Image.Resampling.LANCZOS))
        edges = (
            4 * values[1:-1, 1:-1] - values[:-2, 1:-1] - values[2:, 1:-1]
            - values[1:-1, :-2] - values[1:-1, 2:]
        )  # fmt: skip
        # A few hard edges would outvote everything else.
        edges = edges.clip(-60, 60)
        return edges[:, ::-1] if mirrored else edges


class _Searched:
    """Pictures to be searched, as their Fourier transforms.

    Parameters
    ----------
    images : list of ndarray
    side : int
        None is larger.
    """

    def __init__(self, images: list[Array], side: int) -> None:
        self.side = side
        self.sizes = np.array([image.shape for image in images])
        self.values = np.stack([self._transform(image) for image in images])
        self.squares = np.stack([self._transform(image**2) for image in images])

    def _transform(self, image: Array) -> Array:
        return np.fft.rfft2(image.astype(np.float32), (self.side, self.side))

    def correlate(self, template: Array) -> Array:
        """The highest correlation with each picture, over all places where the template fits."""
        # Its rim sees what lies beside it in the other picture.
        rim = [max(1, round(0.08 * side)) for side in template.shape]
        template = template[rim[0] : -rim[0], rim[1] : -rim[1]]
        template = template - template.mean()
        energy = float(np.square(template).sum())
        # What has no edges is like everything.
        if energy < 4.0 * template.size:
            return np.zeros(len(self.sizes))
        back = (self.side, self.side)
        product = np.fft.irfft2(self.values * self._transform(template).conj(), back)
        window = self._transform(np.ones_like(template)).conj()
        under = np.fft.irfft2(self.squares * window, back)
        correlation = product / np.sqrt(energy * np.maximum(under, 0.05 * energy))
        room = self.sizes - template.shape
        rows, columns = (np.arange(self.side) <= room[:, axis, None] for axis in (0, 1))
        fits = rows[:, :, None] & columns[:, None, :]
        return np.where(fits, correlation, 0).max(axis=(1, 2))


def _candidates(part: _Shown, searched: _Searched) -> Iterator[tuple[int, int, bool]]:
    """The pictures that may show it: which, at how many pixels, mirrored or not."""
    for mirrored in (False, True):
        likeness = np.array([searched.correlate(part.at(side, mirrored)) for side in _SIDES])
        for number in np.flatnonzero(likeness.max(axis=0) > _CANDIDATE):
            yield int(number), _SIDES[likeness[:, number].argmax()], mirrored


def _look_again(
    part: Path, whole: Path, shown: dict[Path, _Shown], side: int, mirrored: bool
) -> Copy | None:
    """The pair at a finer scale; None where they are not the same."""
    finer = min(shown[whole].side, shown[part].side * _COARSE // side) / _COARSE
    size = round(max(1, finer) * _COARSE)
    searched = _Searched([shown[whole].at(size)], size)
    sides = range(size * (side - 1) // _COARSE - 1, size * (side + 1) // _COARSE + 2)
    likeness = [float(searched.correlate(shown[part].at(s, mirrored))[0]) for s in sides]
    best = int(np.argmax(likeness))
    if likeness[best] < _COPY:
        return None
    return Copy(part, whole, sides[best] / size, likeness[best], mirrored)
