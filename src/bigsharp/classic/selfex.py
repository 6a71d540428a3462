"""Self-examples: a picture restored by its own patches, which it shows again elsewhere, larger."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.image.resize import imresize
from bigsharp.image.tiles import even_parts

if TYPE_CHECKING:
    from bigsharp.classic._matching import Field, Pyramid, Rules, Surfaces


@dataclass(frozen=True)
class Settings:
    """What a method looks for, and how long.

    Attributes
    ----------
    affine : bool
        Examples may be turned and sheared, not only moved and scaled.
    planes : bool
        They may lie on planes in perspective, found by the picture's vanishing points.
    plane_weight : float
        Of −log of the probability that a patch, and its example, lie in a plane.
    steps : int
        From one size to twice it.
    shrunk : float
        How many times smaller the smallest picture is that examples are taken from.
    largest : float
        How many times as large as a patch its example may be.
    iterations, fewer, fewest : int
        Of the search in the first step; how many fewer in each one after; at least.
    sigma : float
        Of the Gaussian that weighs a patch's pixels.
    rounds : int
        Of back-projection, in each step.
    """

    affine: bool = True
    planes: bool = True
    plane_weight: float = 3e-4
    steps: int = 2
    shrunk: float = 8
    largest: float = 8
    iterations: int = 12
    fewer: int = 3
    fewest: int = 3
    sigma: float = 3
    rounds: int = 10


#: The methods by name.
METHODS = {"selfex": Settings(), "glasner": Settings(affine=False, planes=False)}

#: A picture whose shorter side has fewer pixels holds no examples: it is interpolated.
_SMALLEST = 8

# Squared, and of 5 taps, what back-projection spreads an error with.
_SPREAD = 1.0

# Pixels that are searched for between two reports of progress, which are also where it stops when
# it is told to: a second of one core.
_TOGETHER = 500_000

_ONE = threading.Lock()


def check() -> None:
    """See that what compiles the search is there.

    Raises
    ------
    BigsharpError
        Numba is not installed, or has no folder to keep what it compiles in.
    """
    try:
        from bigsharp.classic import _matching, _planes  # noqa: F401
    except ImportError:
        raise BigsharpError(errors.install("selfex and glasner need", "Numba", "selfex")) from None
    except RuntimeError:
        raise BigsharpError(
            "Numba has no folder to keep what it compiles in; set NUMBA_CACHE_DIR to one"
        ) from None


def restored(
    lr: Array, size: tuple[int, int], settings: Settings, threads: int = 0
) -> Iterator[tuple[float, Array]]:
    """Enlarge and restore a plane, in steps of 1.4 or so.

    In each step the picture is interpolated to the next size. Each 5 × 5 patch of that is sought,
    by PatchMatch, in coarser pictures that were blurred as much by shrinking and interpolating;
    there it is known what the patch looks like in sharp, which takes its place. Overlapping patches
    are averaged, and the result is made to shrink to the given plane by back-projection.

    Parameters
    ----------
    lr : ndarray of float32, shape (H, W)
        Luma in [0, 1]; of any size.
    size : (int, int)
        Height and width of the result, at least those of `lr`.
    settings : Settings
    threads : int
        0 for all cores. The result is the same with any number.

    Yields
    ------
    share : float
        Of the work that is done, rising to 1.
    picture : ndarray of float32, in [0, 1]
        As it is then; the last has the shape `size`.

    References
    ----------
    J.-B. Huang, A. Singh, N. Ahuja, "Single image super-resolution from transformed
    self-exemplars", CVPR 2015. With `affine` and `planes` off: D. Glasner, S. Bagon, M. Irani,
    "Super-resolution from a single image", ICCV 2009. Matching what was blurred: G. Freedman,
    R. Fattal, "Image and video upscaling from local self-examples", ACM Trans. Graphics 30(2),
    2011.
    """
    lr = np.ascontiguousarray(lr, np.float32)
    if min(lr.shape) < _SMALLEST:
        yield 1, back_projected(imresize(lr, size=size), lr, settings.rounds)
        return
    sizes, first, step = _sizes((lr.shape[0], lr.shape[1]), size, settings)
    search = _Search(
        _pyramid(lr, sizes, first, step), _surfaces(lr, settings), _rules(settings, step), threads
    )
    counts = _iterations(len(sizes) - 1 - first, settings)
    total = sum(n * math.prod(s) for n, s in zip(counts, sizes[first + 1 :], strict=True))
    done, current, field = 0, lr, None
    for level, count in enumerate(counts, first + 1):
        target = imresize(current, size=sizes[level])
        field = search.begin(field, target, level)
        for turn in range(count):
            for share in search.improve(field, target, level, turn):
                yield (done + share * target.size) / total, current
            done += target.size
        current = back_projected(search.vote(field, target, level), lr, settings.rounds)
        _fill(search.pyramid, level, current, sizes[level - 1])
    yield 1, current


@dataclass(frozen=True)
class _Search:
    """Examples of a picture's patches in the picture itself."""

    pyramid: Pyramid
    surfaces: Surfaces
    rules: Rules
    threads: int

    def begin(self, before: Field | None, target: Array, level: int) -> Field:
        """The field that a level's search begins with."""
        from bigsharp.classic import _matching

        field = _begun(before, self.pyramid, level, len(self.surfaces.lines))
        with self._alone():
            _matching.price(field, target, self.pyramid, level, self.surfaces, self.rules)
        return field

    def improve(self, field: Field, target: Array, level: int, turn: int) -> Iterator[float]:
        """One iteration, every other one from the far end; gives the share of it that is done."""
        import numba

        from bigsharp.classic import _matching

        before = field._replace(places=field.places.copy(), planes=field.planes.copy())
        searched = target, self.pyramid, level, self.surfaces, self.rules
        order = turn % 2 == 0, level * 64 + turn + 1
        strips = math.ceil((len(target) - 2 * _matching.RADIUS) / _matching.STRIP)
        together = _TOGETHER // (_matching.STRIP * target.shape[1])
        for some in even_parts(strips, max(together, numba.get_num_threads())):
            with self._alone():
                _matching.improve(field, before, *searched, *order, some.start, some.stop)
            yield some.stop / strips

    def vote(self, field: Field, target: Array, level: int) -> Array:
        """The picture that the examples make together."""
        from bigsharp.classic import _matching

        with self._alone():
            return _matching.vote(field, target, self.pyramid, level, self.surfaces, self.rules)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """With Numba's threads, which serve one caller at a time."""
        import numba

        with _ONE:
            before = numba.get_num_threads()
            numba.set_num_threads(min(self.threads or before, before))
            try:
                yield
            finally:
                numba.set_num_threads(before)


def back_projected(hr: Array, lr: Array, rounds: int) -> Array:
    """A picture changed so that it shrinks to `lr`.

    Parameters
    ----------
    hr : ndarray of float32, shape (H, W)
        Luma in [0, 1], or about.
    lr : ndarray of float32, shape (h, w)
        What it should shrink to, in [0, 1].
    rounds : int
        In each, what `hr` lacks is interpolated, blurred and added.

    Returns
    -------
    ndarray of float32, shape (H, W), in [0, 1]

    References
    ----------
    M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991.
    """
    taps = np.exp(-((np.arange(-2, 3) / _SPREAD) ** 2))
    taps = (taps / taps.sum()).astype(np.float32)
    height, width = hr.shape
    for _ in range(rounds):
        lacks = imresize(lr - imresize(hr, size=lr.shape), size=hr.shape)
        lacks = np.pad(lacks, 2, mode="edge")
        lacks = sum(tap * lacks[k : k + height] for k, tap in enumerate(taps))
        hr = np.clip(hr + sum(t * lacks[:, k : k + width] for k, t in enumerate(taps)), 0, 1)
    return hr


def _sizes(
    given: tuple[int, int], wanted: tuple[int, int], settings: Settings
) -> tuple[list[tuple[int, int]], int, float]:
    """The pictures' sizes, the given one's number among them, and the logarithm of their ratio."""
    growth = [math.log(to / n) for to, n in zip(wanted, given, strict=True)]
    steps = max(1, round(settings.steps * max(growth) / math.log(2)))
    step = max(growth) / steps
    smaller = int(math.log(min(settings.shrunk, min(given) / _SMALLEST)) / step)
    sizes = [
        (round(given[0] * math.exp(-step * k)), round(given[1] * math.exp(-step * k)))
        for k in range(smaller, -1, -1)
    ]
    for k in range(1, steps + 1):
        rows, columns = (
            round(n * math.exp(g * k / steps)) for n, g in zip(given, growth, strict=True)
        )
        sizes.append((rows, columns))
    return sizes, smaller, step


def _iterations(steps: int, settings: Settings) -> list[int]:
    return [max(settings.iterations - k * settings.fewer, settings.fewest) for k in range(steps)]


def _pyramid(lr: Array, sizes: list[tuple[int, int]], first: int, step: float) -> Pyramid:
    """The given picture at its own size and smaller ones; larger ones are empty yet."""
    from bigsharp.classic._matching import Pyramid

    shapes = np.array(sizes, np.int64)
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
    # Interpolation looks a row and a pixel ahead.
    flat = np.zeros((2, starts[-1] + shapes[-1, 1] + 1), np.float32)
    ratios = (shapes / np.array(lr.shape)).astype(np.float32)
    pyramid = Pyramid(flat[0], flat[1], starts, shapes, ratios, np.float32(step))
    for level in range(first + 1):
        coarser = (max(1, round(n * math.exp(-step))) for n in sizes[level])
        rows, columns = sizes[level - 1] if level else coarser
        _fill(pyramid, level, imresize(lr, size=sizes[level]), (rows, columns))
    return pyramid


def _fill(pyramid: Pyramid, level: int, picture: Array, coarser: tuple[int, int]) -> None:
    """Enter a level's picture, and what is left of it after the next coarser size."""
    part = slice(pyramid.starts[level], pyramid.starts[level + 1])
    pyramid.highs[part] = picture.ravel()
    pyramid.lows[part] = imresize(imresize(picture, size=coarser), size=picture.shape).ravel()


def _rules(settings: Settings, step: float) -> Rules:
    from bigsharp.classic._matching import RADIUS, Rules

    fall = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / settings.sigma) ** 2)
    weights = np.outer(fall, fall).ravel()
    # A level is a factor of exp(step); float32 must not take the nearest one for too near.
    least = np.float32(math.exp(step) * 0.999)
    most = np.float32(max(settings.largest, 2 * math.exp(step)))
    return Rules((weights / weights.sum()).astype(np.float32), settings.affine, least, most)


def _surfaces(lr: Array, settings: Settings) -> Surfaces:
    """The planes that examples may lie in: those found, or the one facing the viewer alone."""
    from bigsharp.classic._matching import Surfaces
    from bigsharp.classic._planes import find_surfaces

    if settings.planes:
        return find_surfaces(lr, settings.plane_weight)
    shares = np.ones((1, *lr.shape), np.float32)
    return Surfaces(np.array([[0, 0, 1]], np.float32), np.zeros_like(shares), shares)


def _begun(field: Field | None, pyramid: Pyramid, level: int, planes: int) -> Field:
    """Where the search begins: in place at the next coarser size, or where it ended before."""
    from bigsharp.classic._matching import NONE, RADIUS, Field

    height, width = pyramid.shapes[level]
    ratio = pyramid.ratios[level]
    ys = ((np.arange(height) + 0.5) / ratio[0]).astype(np.float32)
    xs = ((np.arange(width) + 0.5) / ratio[1]).astype(np.float32)
    places = np.zeros((height, width, 6), np.float32)
    if field is None:
        places[..., 0], places[..., 1] = ys[:, None], xs
        places[..., 2] = places[..., 5] = np.exp(pyramid.step)
        kinds = np.full((height, width), planes - 1, np.uint8)
    else:
        before = pyramid.ratios[level - 1]
        rows, columns = (
            np.clip((at * by).astype(int), RADIUS, n - 1 - RADIUS)
            for at, by, n in zip((ys, xs), before, pyramid.shapes[level - 1], strict=True)
        )
        places[:] = field.places[np.ix_(rows, columns)]
        kinds = field.planes[np.ix_(rows, columns)]
        down = (ys - ((rows + 0.5) / before[0]).astype(np.float32))[:, None]
        right = xs - ((columns + 0.5) / before[1]).astype(np.float32)
        places[..., 0] += places[..., 2] * down + places[..., 3] * right
        places[..., 1] += places[..., 4] * down + places[..., 5] * right
    return Field(places, kinds, np.full((height, width), NONE, np.float32))
