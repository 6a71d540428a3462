"""What can be asked of a picture, declared once: command line, service and page take it from here.

Imports nothing heavy, so that the command line's help answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Self, get_args, get_type_hints

from bigsharp import errors
from bigsharp.defaults import MODEL, SCALE
from bigsharp.errors import BigsharpError
from bigsharp.limits import shown

if TYPE_CHECKING:
    from bigsharp.io.write import Saving
    from bigsharp.restoration.cleaning import Cleaning
    from bigsharp.restoration.target import Size

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_KINDS = {int: "whole number", float: "number", bool: "choice of true and false"}


def option(
    help: str, default: Any = None, *, short: str = "", off: str = "", metavar: str | None = None
) -> Any:
    """A dataclass's field that is an option.

    Parameters
    ----------
    help : str
        One sentence.
    default
    short : str
        Its letter.
    off : str
        The word for its opposite, where that can be said.
    metavar : str, optional
        Stands for its value in the help.
    """
    said = {"help": help, "short": short, "off": off, "metavar": metavar}
    return field(default=default, metadata=said)


def word(name: str) -> str:
    """A field's name as the command line has it: ``min-side``."""
    return name.replace("_", "-")


def types_of(kind: type) -> dict[str, type]:
    """The types of a dataclass's fields, those that may be None without that."""
    hints = get_type_hints(kind)
    return {
        name: next(t for t in get_args(hint) if t is not NoneType)
        if isinstance(hint, UnionType)
        else hint
        for name, hint in hints.items()
        if not name.startswith("_")
    }


@dataclass(frozen=True)
class Words:
    """Options by the names and in the words of the command line."""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """Options out of words, as a form sends them.

        Raises
        ------
        BigsharpError
            One is unknown, or its word is of another type.
        """
        types = types_of(cls)
        names = {word(name): name for name in types}
        for key in given:
            if key not in names:
                raise errors.unknown("option", key, names)
        return cls(**{
            names[key]: _value(names[key], types[names[key]], text) for key, text in given.items()
        })  # fmt: skip

    def words(self) -> list[str]:
        """The command line's words that say the same."""
        said = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value == entry.default or value is None:
                continue
            if value is False:
                said.append(f"--{entry.metadata['off']}")
            else:
                said.append(f"--{word(entry.name)}")
            if not isinstance(value, bool):
                said.append(str(value))
        return said


@dataclass(frozen=True)
class Enlarging(Words):
    """What size is asked for, and by which model."""

    scale: str | None = option("Factor, any number of at least 1 [default: 2].", short="s")
    width: int | None = option("Width of the result in pixels.")
    height: int | None = option("Height; with --width the result fits inside both.")
    fit: str | None = option("As --width and --height: 3840x2160.", metavar="WxH")
    stretch: bool = option("Take --width and --height as they are.", False)
    min_side: int | None = option("Pixels of the shorter side.")
    megapixels: float | None = option("Millions of pixels.")
    model: str = option(
        "A name that `bigsharp models` lists, or a .pt, .safetensors or .onnx file.",
        MODEL,
        short="m",
    )
    colour: str = option(
        "Restore luma; ycbcr or rgb, in three times the time; auto: rgb for drawings, else luma.",
        "auto",
    )
    ensemble: bool = option("The mean over 8 turns and mirrorings, in 8 times the time.", False)
    clean: str = option(
        "Take JPEG's damage away first: auto (by the file's tables), off, or 0 (a little) to 3.",
        "auto",
    )

    @property
    def size(self) -> Size:
        """The size asked for; twice the picture's where nothing is said.

        Raises
        ------
        BigsharpError
            It is none, or there are two.
        """
        from bigsharp.restoration.target import Size

        if self.fit is not None and (self.width, self.height) != (None, None):
            raise BigsharpError("`fit` is `width` and `height`; give either")
        width, height = _sides(self.fit) if self.fit is not None else (self.width, self.height)
        others = (width, height, self.min_side, self.megapixels)
        factor = None if self.scale is None and others != (None,) * 4 else _factor(self.scale)
        return Size(factor, width, height, self.stretch, self.min_side, self.megapixels)

    @property
    def cleaning(self) -> Cleaning:
        """What is taken away first."""
        from bigsharp.restoration.cleaning import Cleaning

        return Cleaning.before_enlarging(self.clean, self.model)

    @property
    def restorer(self) -> str:
        """The model's name, with a + behind it for the ensemble."""
        return self.model + "+" * self.ensemble


@dataclass(frozen=True)
class AtOwnSize(Words):
    """What is to be taken away from a picture at its own size."""

    denoise: str | None = option(
        "Noise of this σ (0 to 255) at most, or auto: as much as there is.", metavar="σ|auto"
    )
    deblock: str | None = option(
        "What JPEG of this quality (1 to 100) does at most, or auto: by the file's tables.",
        metavar="QUALITY|auto",
    )
    model: str | None = option(
        "A .pt, .safetensors or .onnx file trained for either, in place of the released model.",
        short="m",
    )

    @property
    def size(self) -> Size:
        """The picture's own."""
        from bigsharp.restoration.target import Size

        return Size(1)

    @property
    def colour(self) -> str:
        """Each task has its own; see `bigsharp.restoration.pipeline.COLOUR_OF`."""
        return "auto"

    @property
    def cleaning(self) -> Cleaning:
        """What is taken away; where nothing is said, what there seems to be."""
        from bigsharp.restoration.cleaning import Cleaning

        return Cleaning.read(self.denoise, self.deblock)


@dataclass(frozen=True)
class Written(Words):
    """How the result is written."""

    format: str | None = option("png, jpg, webp, tif, avif, bmp, gif or ppm, whatever IN is.")
    quality: int | None = option(
        "1 to 100, of JPEG [default: 95, or IN's if finer; 98 of what was deblocked at its size], "
        "WebP [lossless] or AVIF [90]."
    )
    depth: int | None = option("Bits a sample, 8 or 16 [default: as IN].")
    subsampling: str | None = option("Of JPEG and AVIF: 4:4:4, 4:2:2 or 4:2:0 [default: as IN].")
    progressive: bool | None = option("Kind of JPEG [default: as IN].", off="baseline")
    compress: bool = option("TIFF by Deflate.", True, off="no-compress")

    def __post_init__(self) -> None:
        if self.depth not in (None, 8, 16):
            raise BigsharpError(f"`depth`: 8 or 16, not {self.depth}")

    @property
    def saving(self) -> Saving:
        """How the result is written."""
        from bigsharp.io.write import Saving

        return Saving(
            self.quality,
            self.depth,  # type: ignore[arg-type]
            self.subsampling,
            self.progressive,
            self.compress,
        )


# The fields of the last one come first.
@dataclass(frozen=True)
class Options(Written, Enlarging):
    """What can be asked of a picture that is enlarged."""


@dataclass(frozen=True)
class CleanOptions(Written, AtOwnSize):
    """What can be asked of a picture that is restored at its own size."""


def _value(name: str, kind: type, text: str) -> Any:
    """An option's value out of its word."""
    low = text.lower()
    try:
        if kind is not bool:
            return kind(text)
        if low in (*_TRUE, *_FALSE):
            return low in _TRUE
    except ValueError:
        pass
    raise BigsharpError(f"`{name}`: {shown(text)} is no {_KINDS[kind]}")


def _factor(words: str | None) -> float:
    if words is None:
        return SCALE
    try:
        return float(words.lower().strip().removeprefix("x").removesuffix("x"))
    except ValueError:
        raise BigsharpError(f"`scale`: {shown(words)} is no number such as 2.5") from None


def _sides(words: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})\s*[x×]\s*(\d{1,9})", words.lower())
    if not found:
        raise BigsharpError(f"`fit`: {shown(words)} is no size such as 3840x2160")
    return int(found[1]), int(found[2])
