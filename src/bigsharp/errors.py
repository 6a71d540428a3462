"""The one exception that is meant for a person to read, and the sentences that it says often."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Parameters of the API that are options by another name.
_OPTIONS = {"start": "--from", "scales": "--scale", "levels": "--level"}

#: Names that are all said, whichever may have been meant; and of more, those said at the most.
_FEW, _MOST = 4, 40


class BigsharpError(Exception):
    """Something the caller can put right; the message says what is wrong and what to do.

    A parameter that helps stands in backticks, by its name in the API. The command line prints the
    message as one line, writes `max_pixels` as --max-pixels, and ends with exit status 2.
    """


class TooLarge(BigsharpError):
    """More than a limit allows."""


class NoPicture(BigsharpError):
    """A file of a kind that is not read."""


def as_line(message: str) -> str:
    """A message as one line, in which parameters of the API, in backticks, are options."""
    return re.sub(
        r"`(\w+)`",
        lambda found: _OPTIONS.get(found[1], "--" + found[1].replace("_", "-")),
        printable(" ".join(message.split())),
    )


def printable(text: str) -> str:
    """Text without what moves a terminal's cursor, or tells it something: names may hold it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def unknown(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> BigsharpError:
    """A name that is none of those known: says which it may have been meant to be, or all.

    Parameters
    ----------
    kind : str
        What it should name.
    name : str
    known : iterable of str
    otherwise : str
        What may be given in place of a name.
    """
    from difflib import get_close_matches

    known = list(known)
    near = get_close_matches(name, known, 1, 0.5) if len(known) > _FEW else []
    listed = ", ".join(known[:_MOST]) + (" …" if len(known) > _MOST else "")
    hint = f"did you mean {near[0]!r}?" if near else f"there are {listed}"
    return BigsharpError(f"no {kind} is called {name!r}; {hint}{otherwise}")


def install(what_needs: str, library: str, extra: str) -> str:
    """The sentence for a library that is missing, and that an extra of the package brings."""
    return f"{what_needs} {library}, the extra {extra!r}: pip install 'bigsharp[{extra}]'"
