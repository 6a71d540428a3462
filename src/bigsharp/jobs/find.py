"""The picture files that words on the command line stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bigsharp.errors import BigsharpError
from bigsharp.io.formats import READ
from bigsharp.jobs.job import STANDARD

#: Bytes of a list of pictures.
_LONGEST_LIST = 64 << 20

#: Files and folders whose names begin so are passed over.
_HIDDEN = "."


def place_of(path: Path) -> str:
    """Where a path leads to, the same for all paths that lead there."""
    return os.path.normcase(os.path.realpath(path))


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder of that name, which may be none."""
    # `Path.is_dir` raises where a name is too long.
    return os.path.isdir(path)  # noqa: PTH112


def is_several(words: str) -> bool:
    """Whether words stand for a folder, a list or a pattern rather than for one file."""
    exists = os.path.lexists(words)
    return is_folder(words) or (not exists and (words.startswith("@") or glob.has_magic(words)))


def find_pictures(
    inputs: Sequence[str | Path], recursive: bool, output: Path | None
) -> Iterator[tuple[Path, Path]]:
    """Every picture, and the folder that it lies in within the input that it was found by.

    Each comes once, however often it is named; a link is one of its own.

    Parameters
    ----------
    inputs, recursive
        As `plan` takes them.
    output : Path, optional
        A folder that is not looked into.

    Raises
    ------
    BigsharpError
        A folder, pattern or list stands for none, or cannot be read.
    """
    seen = set()
    for source, within in _find(inputs, recursive, output, frozenset()):
        place = (place_of(source.parent), os.path.normcase(source.name))
        if place not in seen:
            seen.add(place)
            yield source, within


def _find(
    inputs: Sequence[str | Path], recursive: bool, output: Path | None, lists: frozenset[str]
) -> Iterator[tuple[Path, Path]]:
    """The same, as often as they are named; `lists` are the places of those that led here."""
    for words in inputs:
        if not str(words):
            raise BigsharpError("an empty name is no picture")
        path = Path(words)
        if path == STANDARD and len(inputs) > 1:
            raise BigsharpError("- is standard input, and no other picture goes with it")
        if not os.path.lexists(path) and str(words).startswith("@"):
            name = str(words)[1:]
            place = place_of(Path(name))
            if place in lists:
                raise BigsharpError(f"{name}: names itself")
            yield from _find(_lines(name), recursive, output, lists | {place})
        elif is_folder(path):
            yield from _in_folder(path, recursive, output)
        elif not os.path.lexists(path) and glob.has_magic(str(words)):
            # Shells on Windows hand patterns on.
            names = glob.glob(str(words), recursive=True)  # noqa: PTH207  (Path's has a root)
            matches = [Path(name) for name in sorted(names)]
            if not matches:
                raise BigsharpError(f"{words}: no picture fits the pattern")
            yield from ((match, Path()) for match in matches if match.is_file())
        else:
            yield path, Path()


def _in_folder(folder: Path, recursive: bool, output: Path | None) -> Iterator[tuple[Path, Path]]:
    found = False
    avoided = output.resolve() if output is not None else None
    for place, folders, names in os.walk(folder, onerror=_refuse_to_pass_over):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders
            if recursive and not name.startswith(_HIDDEN) and (here / name).resolve() != avoided
        )  # fmt: skip
        for name in sorted(names):
            if Path(name).suffix.lower() in READ and not name.startswith(_HIDDEN):
                found = True
                yield here / name, here.relative_to(folder)
    if not found:
        deeper = "" if recursive else "; `recursive` looks into the folders within it"
        raise BigsharpError(f"{folder}: holds no picture{deeper}")


def _refuse_to_pass_over(error: OSError) -> None:
    raise BigsharpError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _lines(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LONGEST_LIST + 1)
    except OSError as error:
        raise BigsharpError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > _LONGEST_LIST:
        raise BigsharpError(f"{path}: is longer than any list of pictures")
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise BigsharpError(f"{path}: names no picture")
    return names
