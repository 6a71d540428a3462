"""What is asked of pictures, and of one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from bigsharp import errors
from bigsharp.defaults import MAX_PIXELS, TILE
from bigsharp.errors import BigsharpError
from bigsharp.io.formats import Format
from bigsharp.io.write import Saving
from bigsharp.restoration.cleaning import Cleaning
from bigsharp.restoration.pipeline import Colour
from bigsharp.restoration.target import Size

#: Standard input, or output.
STANDARD = Path("-")


@dataclass(frozen=True)
class Order:
    """What is asked of each picture.

    Attributes
    ----------
    size : Size
    saving : Saving
    colour : {"auto", "luma", "ycbcr", "rgb"}
        What is restored; see `upscale_picture`.
    cleaning : Cleaning
        What is taken away first.
    tile : int
        Side of a tile in result pixels, for what goes tile by tile.
    max_pixels : int
        Refuse pictures, or results, of more pixels than this.
    keep_times : bool
        Give the result the times of the original.

    Raises
    ------
    BigsharpError
        There is no such tile or colour.
    """

    size: Size
    saving: Saving = field(default_factory=Saving)
    colour: Colour = "auto"
    cleaning: Cleaning = field(default_factory=Cleaning)
    tile: int = TILE
    max_pixels: int = MAX_PIXELS
    keep_times: bool = False

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise BigsharpError(f"a tile is at least 1 pixel wide, not {self.tile}")
        if self.colour not in get_args(Colour):
            raise errors.unknown("colour mode", self.colour, get_args(Colour))


@dataclass(frozen=True)
class Job:
    """A picture file to make of another.

    Attributes
    ----------
    source, output : Path
        `STANDARD` for standard input and output.
    order : Order
    format : Format, optional
        By default the original's, if that is written.
    """

    source: Path
    output: Path
    order: Order
    format: Format | None = None
