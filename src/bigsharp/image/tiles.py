"""A result covered with tiles, each with a halo as wide as the network's receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bigsharp.image.arrays import Array

#: Rows and columns of a result.
Window = tuple[slice, slice]

#: Rows of pixels that are converted together.
BAND = 256

#: A part of a result: where it belongs, and its values.
Part = tuple[Window, Array]


@dataclass(frozen=True)
class Tile:
    """A window of the result, and the wider one that the network must see for it.

    Attributes
    ----------
    core, seen : (slice, slice)
        Rows and columns of the result.
    """

    core: tuple[slice, slice]
    seen: tuple[slice, slice]

    @property
    def core_in_seen(self) -> tuple[slice, slice]:
        """The core, counted from the first row and column seen."""
        rows, columns = (
            slice(core.start - seen.start, core.stop - seen.start)
            for core, seen in zip(self.core, self.seen, strict=True)
        )
        return rows, columns


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Cover a result with tiles of about equal size, at most `side` wide and high.

    What is seen ends at the picture's own border, so that the network's zero padding lies where it
    does for the whole picture; inside, a halo as wide as the receptive field keeps it out.
    """
    for rows in even_parts(height, side):
        for columns in even_parts(width, side):
            seen = (_widen(rows, halo, height), _widen(columns, halo, width))
            yield Tile((rows, columns), seen)


def even_parts(length: int, side: int) -> list[slice]:
    """Cut a length into the fewest parts of at most `side`, of about equal length."""
    count = math.ceil(length / side)
    edges = [length * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _widen(part: slice, halo: int, length: int) -> slice:
    return slice(max(0, part.start - halo), min(length, part.stop + halo))
