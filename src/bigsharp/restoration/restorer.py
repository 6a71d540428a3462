"""What makes a small plane large and sharp: the one seam of all that restores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bigsharp.classic import selfex
from bigsharp.classic.patches import PatchMethod
from bigsharp.defaults import TILE
from bigsharp.engines import Engine, RowEngine
from bigsharp.image.arrays import Array
from bigsharp.image.resize import AxisMap, interpolate
from bigsharp.image.tiles import Part, even_parts, tiles
from bigsharp.restoration.target import Target
from bigsharp.weights.file import Task

#: The model that needs no network.
BICUBIC = "bicubic"

#: Rows that are interpolated together.
_BAND = 128

#: Called with the pixels done and their number, first with 0.
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""


def shifted(before: int, total: int, progress: Progress) -> Progress:
    """Progress of a pass as that of them all, of which so much was done before."""
    return lambda done, _: progress(before + done, total)


class Restorer(Protocol):
    """Anything that restores.

    Attributes
    ----------
    engine : str
        What it runs on.
    task : {"upscale", "denoise", "deblock"}
        The latter two leave the size as it is.
    parameters : int, optional
        Trained values, where their number is known.
    """

    engine: str
    task: Task
    parameters: int | None

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """How it is at its best for a picture of `size`: targets to restore to, each from the last.

        Sizes are height and width in pixels. Where the last one has not `target`'s, it is to be
        resized to that.
        """
        ...

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Enlarge and restore a plane, part by part; the parts cover the result once.

        They are float32, neither clipped nor rounded.

        Parameters
        ----------
        plane : ndarray of float32, shape (H, W), in [0, 1]
            Of the small picture: its luma, a colour, chroma or alpha.
        target : Target
            From `choose_target`.
        tile : int
            Side of a tile in result pixels, where it goes tile by tile.
        progress : callable
        """
        ...


class Wrapping:
    """Of a restorer made of another: all but how it restores.

    Parameters
    ----------
    restorer : Restorer
    """

    def __init__(self, restorer: Restorer) -> None:
        self.restorer = restorer
        self.engine = restorer.engine
        self.task = restorer.task
        self.parameters = restorer.parameters

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """As the restorer does."""
        return self.restorer.passes(target, size)


class Bicubic:
    """The interpolated image is the result."""

    engine = BICUBIC
    task: Task = "upscale"
    parameters: int | None = 0

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """At once, at any scale."""
        return [target]

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Interpolate, some rows at a time."""
        return _counted(self._parts(plane, target), target, progress)

    def _parts(self, plane: Array, target: Target) -> Iterator[Part]:
        maps = target.maps((plane.shape[0], plane.shape[1]))
        for rows in even_parts(target.height, _BAND):
            window = (rows, slice(0, target.width))
            yield window, interpolate(plane, maps, window)


class ByNetwork:
    """A network, which an engine runs on the interpolated plane.

    A network undoes the blur of the scales that it was trained on, and overdoes it at smaller ones.
    There it should restore at the smallest trained scale: shrunk from there, a network trained on
    2, 3 and 4 gave 40.1 dB on Set5 at ×1.5, where at ×1.5 itself it gave 35.7, and bicubic 36.8.

    Parameters
    ----------
    network : Engine
        Ready to run.
    """

    def __init__(self, network: Engine) -> None:
        self.network = network
        self.engine = network.name
        self.task = network.task
        self.parameters = network.parameters

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """At the scales trained on; beyond the largest of them in two passes, or more."""
        if self.task != "upscale":
            return [target]
        return _in_trained_steps(target, size, self.network.scales)

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Restore by rows where the engine takes them, else by tiles."""
        maps = target.maps((plane.shape[0], plane.shape[1]))
        return _counted(self._parts(plane, maps, tile), target, progress)

    def _parts(self, plane: Array, maps: tuple[AxisMap, AxisMap], tile: int) -> Iterator[Part]:
        height, width = (len(axis.weights) for axis in maps)
        if isinstance(self.network, RowEngine) and width <= self.network.widest:
            columns = slice(0, width)
            bands = (interpolate(plane, maps, (r, columns)) for r in even_parts(height, _BAND))
            top = 0
            # What the engine gives comes some rows late.
            for restored in self.network.rows(bands):
                if len(restored):
                    yield (slice(top, top + len(restored)), columns), restored
                top += len(restored)
            return
        for part in tiles(height, width, tile, self.network.halo):
            ilr = interpolate(plane, maps, part.seen)
            yield part.core, self.network.restore(ilr)[part.core_in_seen]


class Family:
    """One network a scale.

    Parameters
    ----------
    networks : sequence of Engine
        Each trained at one scale, or a few.
    """

    def __init__(self, networks: Sequence[Engine]) -> None:
        self.members = [ByNetwork(network) for network in networks]
        self.task = self.members[0].task
        self.engine = self.members[0].engine
        self.parameters = self.members[0].parameters

    def at(self, scale: float) -> ByNetwork:
        """The member for a scale: the one that was trained nearest to it, as a ratio."""
        return min(
            self.members, key=lambda m: min(abs(math.log(s / scale)) for s in m.network.scales)
        )

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """As the member for its scale does; beyond all scales in passes, each by its own member."""
        scales = [scale for member in self.members for scale in member.network.scales]
        *before, last = target.passes(max(scales), size)
        size = before[-1].size if before else size
        return [*before, *self.at(last.scale).passes(last, size)]

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Restore by the member for the scale."""
        return self.at(target.scale).restore(plane, target, tile, progress)


class ByPatches:
    """A method that restores the plane itself, at whole scales, a model each.

    Where another scale is asked for, the next larger one restores, or the largest. To restore at ×3
    and to shrink gave 0.14 dB more at ×2.1 than to enlarge from ×2 (A+, images of BSDS200).

    Parameters
    ----------
    methods : sequence of PatchMethod
        Of different scales.
    """

    engine = "numpy"
    task: Task = "upscale"

    def __init__(self, methods: Sequence[PatchMethod]) -> None:
        self.methods = sorted(methods, key=lambda method: method.scale)
        self.parameters: int | None = self.methods[0].parameters

    def at(self, scale: float) -> PatchMethod:
        """The method for a scale."""
        return next((m for m in self.methods if m.scale >= scale), self.methods[-1])

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """At the scale of the method for the target's."""
        scale = self.at(target.scale).scale
        return [Target(size[0] * scale, size[1] * scale, scale, scale)]

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Restore tile by tile, to a target of `passes`."""
        return _counted(self.at(target.scale).parts(plane), target, progress)


class BySelfExamples:
    """A method that learns from the picture alone, and restores it whole, at any scale.

    Parameters
    ----------
    settings : Settings
        Of `bigsharp.classic.selfex`.
    threads : int
        0 for all cores.

    Raises
    ------
    BigsharpError
        Numba is not installed.
    """

    engine = "numba"
    task: Task = "upscale"
    parameters: int | None = 0

    def __init__(self, settings: selfex.Settings, threads: int = 0) -> None:
        selfex.check()
        self.settings = settings
        self.threads = threads

    def passes(self, target: Target, size: tuple[int, int]) -> list[Target]:
        """At once, at any scale."""
        return [target]

    def restore(
        self, plane: Array, target: Target, tile: int = TILE, progress: Progress = silent
    ) -> Iterator[Part]:
        """Restore in one part: an example may lie anywhere in the picture."""
        height, width = target.height, target.width
        progress(0, height * width)
        steps = selfex.restored(plane, (height, width), self.settings, self.threads)
        for share, picture in steps:
            progress(int(share * height * width), height * width)
            result = picture
        yield (slice(0, height), slice(0, width)), result


def detour(passes: Sequence[Target], target: Target) -> list[str]:
    """In a few words, how a target is reached where passes do not end there; else nothing."""
    last = passes[-1]
    if last.size == target.size:
        return []
    scale = math.prod(each.scale for each in passes)
    larger = last.height * last.width > target.height * target.width
    return [f"restored at ×{scale:.3g} and {'shrunk' if larger else 'enlarged'}"]


def _in_trained_steps(
    target: Target, size: tuple[int, int], scales: Sequence[float]
) -> list[Target]:
    """Steps within the scales trained on; one, where they allow none or are not known."""
    if not scales:
        return [target]
    *before, last = target.passes(max(scales), size)
    if before and last.scale < min(scales):
        return [target]
    return [*before, last.at_least(min(scales), before[-1].size if before else size)]


def _counted(parts: Iterator[Part], target: Target, progress: Progress) -> Iterator[Part]:
    """The same parts, and a report behind each."""
    done, total = 0, target.height * target.width
    progress(done, total)
    for window, luma in parts:
        yield window, luma
        done += luma.size
        progress(done, total)
