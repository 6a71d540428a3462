"""The formats that are written, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bigsharp import errors
from bigsharp.errors import BigsharpError


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        Pillow's.
    extensions : tuple of str
        The usual one first.
    alpha, deep : bool
        Whether it holds transparency, and 16 bits a sample.
    has_quality : bool
        Whether it has a setting from 1 to 100.
    largest : int, optional
        The most pixels that a side can have.
    several : {"frames", "pages"}, optional
        What it holds where there is more than one picture.
    gathers : bool
        Whether all of them are in memory before the first is written.
    """

    name: str
    extensions: tuple[str, ...]
    alpha: bool = False
    deep: bool = False
    has_quality: bool = False
    largest: int | None = None
    several: Literal["frames", "pages"] | None = None
    gathers: bool = False

    def __str__(self) -> str:
        return self.name


FORMATS = (
    Format("PNG", (".png", ".apng"), alpha=True, deep=True, several="frames"),
    Format("JPEG", (".jpg", ".jpeg", ".jfif", ".jpe"), has_quality=True, largest=65_500),
    Format("WEBP", (".webp",), alpha=True, has_quality=True, largest=16_383, several="frames"),
    Format("TIFF", (".tif", ".tiff"), alpha=True, deep=True, several="pages"),
    Format(
        "AVIF",
        (".avif",),
        alpha=True,
        has_quality=True,
        largest=65_536,
        several="frames",
        gathers=True,
    ),
    Format("BMP", (".bmp",), alpha=True),
    Format("GIF", (".gif",), alpha=True, largest=65_535, several="frames"),
    Format("PPM", (".ppm", ".pgm", ".pnm"), deep=True),
)

_BY_EXTENSION = {extension: entry for entry in FORMATS for extension in entry.extensions}

#: Every extension that a picture is written with.
EXTENSIONS = tuple(_BY_EXTENSION)

#: Extensions by which a folder's pictures are known; more is read than is written.
READ = frozenset(EXTENSIONS) | {
    *(".heic", ".heif", ".jxl", ".jp2", ".j2k", ".tga", ".psd", ".ico", ".qoi", ".dds", ".pcx"),
    *(".sgi", ".rgb", ".icns", ".dib", ".mpo", ".pbm"),
}


def format_of(path: str | Path) -> Format:
    """The format that a file's extension stands for.

    Raises
    ------
    BigsharpError
        The extension is none of those that bigsharp writes.
    """
    extension = Path(path).suffix.lower()
    if extension not in _BY_EXTENSION:
        given = f"the extension {extension!r}" if extension else "a name without extension"
        raise BigsharpError(f"{path}: cannot write {given}; use one of {' '.join(EXTENSIONS)}")
    return _BY_EXTENSION[extension]


def is_written(path: str | Path) -> bool:
    """Whether a file's extension is that of a format which is written."""
    return Path(path).suffix.lower() in _BY_EXTENSION


def format_named(name: str) -> Format:
    """A format by its name or one of its extensions, in any case, with a dot or without.

    Raises
    ------
    BigsharpError
        There is none.
    """
    word = name.lower().removeprefix(".")
    for entry in FORMATS:
        if word == entry.name.lower() or f".{word}" in entry.extensions:
            return entry
    raise errors.unknown("format", name, [entry.extensions[0][1:] for entry in FORMATS])


def format_like(name: str | None) -> Format:
    """The format of Pillow's name, or PNG where that one is not written."""
    return next((entry for entry in FORMATS if entry.name == name), FORMATS[0])
