"""The size of a result."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigsharp.errors import BigsharpError
from bigsharp.image.resize import AxisMap, scaled_size

#: Of a scale or a side; beyond it no picture can be meant, and float arithmetic would overflow.
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class Target:
    """The size of a result, and the factor that each axis is enlarged by.

    Attributes
    ----------
    height, width : int
    vertical, horizontal : float
    """

    height: int
    width: int
    vertical: float
    horizontal: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def scale(self) -> float:
        """The larger of its factors."""
        return max(self.vertical, self.horizontal)

    def after(self, step: Target) -> Target:
        """What is left to do when `step` has been."""
        vertical, horizontal = self.vertical / step.vertical, self.horizontal / step.horizontal
        return Target(self.height, self.width, vertical, horizontal)

    def passes(self, most: float, size: tuple[int, int]) -> list[Target]:
        """Equal steps that lead there from a picture of `size`, none of a factor over `most`."""
        count = math.ceil(round(math.log(self.scale, most), 9)) if self.scale > most > 1 else 1
        steps, left = [], self
        for remaining in range(count, 1, -1):
            vertical, horizontal = (
                factor ** (1 / remaining) for factor in (left.vertical, left.horizontal)
            )
            rows, columns = scaled_size(size[0], vertical), scaled_size(size[1], horizontal)
            steps.append(Target(rows, columns, vertical, horizontal))
            left, size = left.after(steps[-1]), steps[-1].size
        return [*steps, left]

    def maps(self, size: tuple[int, int]) -> tuple[AxisMap, AxisMap]:
        """The bicubic interpolation that leads there from a picture of `size`, an axis each."""
        return (
            AxisMap.bicubic(size[0], self.height, self.vertical),
            AxisMap.bicubic(size[1], self.width, self.horizontal),
        )

    def at_least(self, scale: float, size: tuple[int, int]) -> Target:
        """The target of a picture of `size` whose factors are `scale` or more; maybe this one."""
        if min(self.vertical, self.horizontal) >= scale:
            return self
        vertical, horizontal = max(self.vertical, scale), max(self.horizontal, scale)
        rows, columns = scaled_size(size[0], vertical), scaled_size(size[1], horizontal)
        return Target(rows, columns, vertical, horizontal)


@dataclass(frozen=True)
class Size:
    """What size is asked for, of a picture whatever its own.

    One of these is given, or a width and a height.

    Attributes
    ----------
    scale : float, optional
        Factor ≥ 1 for both axes; the result is ``ceil(size · scale)``.
    width, height : int, optional
        Pixels; where one is left out, the proportions are kept. With both, the result is as large
        as fits inside, unless `stretch`.
    stretch : bool
        Make the result exactly `width` × `height`.
    min_side : int, optional
        Pixels of the shorter side at least.
    megapixels : float, optional
        Of the result at least.

    Raises
    ------
    BigsharpError
        None or two of them, or one that is not positive.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    stretch: bool = False
    min_side: int | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        sides = self.width is not None or self.height is not None
        given = [self.scale is not None, sides, self.min_side is not None,
                 self.megapixels is not None]  # fmt: skip
        if sum(given) != 1:
            raise BigsharpError(
                "give one of: a scale; a width, a height or both; a `min_side`; `megapixels`"
            )
        if self.stretch and (self.width is None or self.height is None):
            raise BigsharpError("to stretch takes a width and a height")
        if self.scale is not None and not 1 <= self.scale <= _LARGEST:
            raise BigsharpError(f"the scale must be a number of at least 1, not {self.scale:g}")
        sizes = [self.width, self.height, self.min_side, self.megapixels]
        if not all(0 < n <= _LARGEST for n in sizes if n is not None):
            raise BigsharpError(f"a side of the result has 1 to {_LARGEST:,} pixels")

    def __str__(self) -> str:
        """A word for file names: x3, 800w, 600h, 800x600, min1000, 12mp."""
        if self.scale is not None:
            return f"x{self.scale:.4g}"
        if self.min_side is not None:
            return f"min{self.min_side}"
        if self.megapixels is not None:
            return f"{self.megapixels:g}mp"
        if self.width and self.height:
            return f"{self.width}x{self.height}"
        return f"{self.width}w" if self.width else f"{self.height}h"

    def of(self, size: tuple[int, int]) -> Target:
        """The result's size for a picture of `size`: its height and width.

        A picture that has the shorter side or the megapixels already stays as it is.

        Raises
        ------
        BigsharpError
            The picture is larger than the width or height asked for.
        """
        height, width = size
        if self.scale is not None:
            return _by(self.scale, size)
        if self.min_side is not None:
            return _by(max(1, self.min_side / min(size)), size)
        if self.megapixels is not None:
            return _by(max(1, math.sqrt(self.megapixels * 1e6 / (height * width))), size)
        vertical = self.height / height if self.height is not None else math.inf
        horizontal = self.width / width if self.width is not None else math.inf
        factor = min(vertical, horizontal)
        if factor < 1:
            wanted = " × ".join(str(n) if n is not None else "?" for n in (self.width, self.height))
            raise BigsharpError(
                f"the picture is {width} × {height} already; bigsharp enlarges, "
                f"and {wanted} is less"
            )
        if self.stretch:
            return Target(round(height * vertical), round(width * horizontal), vertical, horizontal)
        return Target(round(height * factor), round(width * factor), factor, factor)


def _by(scale: float, size: tuple[int, int]) -> Target:
    rows, columns = (scaled_size(n, scale) for n in size)
    return Target(rows, columns, scale, scale)


def choose_target(size: tuple[int, int], scale: float) -> Target:
    """The target of a picture of `size` at a scale; see `Size`."""
    return Size(scale).of(size)
