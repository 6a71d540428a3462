"""The size of a result."""

from __future__ import annotations

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
    def scale(self) -> float:
        """The larger of its factors."""
        return max(self.vertical, self.horizontal)

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


def choose_target(
    size: tuple[int, int],
    scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Target:
    """Work out the size of the result.

    Parameters
    ----------
    size : (int, int)
        Height and width of the picture.
    scale : float, optional
        Factor ≥ 1 for both axes; the result is ``ceil(size · scale)``.
    width, height : int, optional
        Size of the result instead; where one is left out, the proportions are kept.

    Raises
    ------
    BigsharpError
        Both a scale and a size, or neither; a scale below 1 or a size below the picture's.
    """
    if (scale is None) == (width is None and height is None):
        raise BigsharpError("give either a scale, or a width, a height or both")
    if scale is not None:
        if not 1 <= scale <= _LARGEST:
            raise BigsharpError(f"the scale must be a number of at least 1, not {scale:g}")
        rows, columns = (scaled_size(n, scale) for n in size)
        return Target(rows, columns, scale, scale)
    if max(width or 0, height or 0) > _LARGEST:
        raise BigsharpError(f"a side of the result can have {_LARGEST:,} pixels at most")
    vertical = height / size[0] if height is not None else None
    horizontal = width / size[1] if width is not None else None
    # Where one side is left out, the other's factor serves for both.
    vertical, horizontal = vertical or horizontal or 0, horizontal or vertical or 0
    if min(vertical, horizontal) < 1:
        wanted = " × ".join(str(n) if n is not None else "?" for n in (width, height))
        raise BigsharpError(
            f"the picture is {size[1]} × {size[0]} already; bigsharp enlarges, and {wanted} is less"
        )
    rows = height if height is not None else round(size[0] * vertical)
    columns = width if width is not None else round(size[1] * horizontal)
    return Target(rows, columns, vertical, horizontal)
