"""The folder that a service keeps its pictures in, and those that killed services left."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PREFIX, _LOCK = "bigsharp-", "lock"

#: A folder that nobody else can put anything into.
_PRIVATE = stat.S_IFDIR | 0o700


@contextmanager
def own_folder() -> Iterator[Path]:
    """An empty folder that is deleted at the end, and first what services left that were killed.

    The folder around it holds a file with this process's number, locked as long as that lives.
    """
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_left(place):
            shutil.rmtree(place, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (place / _LOCK).open("x") as file:
            _lock(file, wait=True)
            # A file that is locked and empty is of a service that starts.
            print(os.getpid(), file=file, flush=True)
            folder = place / "pictures"
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_left(place: Path) -> bool:
    """Whether it is the folder of a service of this user that runs no more, for certain."""
    try:
        info = place.lstat()
        if info.st_mode != _PRIVATE or info.st_uid != os.getuid():
            return False
        with (place / _LOCK).open() as file:
            return _lock(file) and bool(file.read())
    except (AttributeError, OSError):  # Windows has no users' numbers.
        return False


def _lock(file: IO[str], wait: bool = False) -> bool:
    """Whether nobody else has it; from now on until it is closed it is locked."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
