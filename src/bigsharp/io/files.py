"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import io
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bigsharp.errors import BigsharpError

#: Where Linux names what a process has open.
_DESCRIPTORS = Path("/proc/self/fd")


class _File(io.BufferedRandom):
    """A file that is written through Python alone."""

    def fileno(self) -> int:
        # Pillow would write to it itself, and not notice that a disk took the half of it.
        raise io.UnsupportedOperation("fileno")


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its place at `path` when all is written, or not at all.

    Its folder is made where it is missing. A symbolic link stays one; the file it points to is
    replaced. Where the system has files without a name (Linux, on most file systems), a process
    that is killed leaves nothing; elsewhere, a file called ``.part-…``.

    Raises
    ------
    BigsharpError
        The folder cannot be made or written to, or the disk is full.
    """
    temporary = None
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not `tempfile`: what that makes is private, and a picture has the usual permissions.
        part = target.parent / f".part-{secrets.token_hex(8)}"
        with _File(_new(part)) as file:
            temporary = part
            yield file
            file.flush()
            _give_name(file.raw, part)
        part.replace(target)
    except OSError as error:
        raise BigsharpError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _new(part: Path) -> io.FileIO:
    """A new file, without a name where it can be given one later."""
    if sys.platform == "linux" and _DESCRIPTORS.is_dir():
        with suppress(OSError):
            return io.FileIO(os.open(part.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "r+")
    return io.FileIO(part, "x+")


def _give_name(file: io.RawIOBase, name: Path) -> None:
    """Give a file a name if it has none (open(2), O_TMPFILE)."""
    if name.exists():
        return
    folder = os.open(_DESCRIPTORS, os.O_RDONLY)
    try:
        os.link(str(file.fileno()), name, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; see `whole_file`."""
    with whole_file(path) as file:
        file.write(content)


def check_path(path: str | Path) -> None:
    """Find out, before any work is done, whether a file can be written there.

    Folders on the way to it may be missing, if they can be made.

    Raises
    ------
    BigsharpError
        A folder may not be written to or is none, the path is a folder or some other thing that is
        no file, or one that the system does not take.
    """
    path = Path(path)
    try:
        # What the system says of a name too long, a link to itself or a NUL, `exists` swallows.
        with suppress(FileNotFoundError):
            path.stat()
        if path.is_dir():
            raise BigsharpError(f"{path}: is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise BigsharpError(f"{path}: is a device or a pipe; name a file")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BigsharpError(f"{path}: cannot be written ({reason}); name another file") from None
    if not os.access(os.path.realpath(folder), os.W_OK):
        raise BigsharpError(f"{path}: no permission to write into {folder}")
