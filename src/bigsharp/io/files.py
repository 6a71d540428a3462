"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bigsharp.errors import BigsharpError


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its place at `path` when all is written, or not at all.

    A symbolic link stays one; the file it points to is replaced.

    Raises
    ------
    BigsharpError
        The folder does not exist or cannot be written to, or the disk is full.
    """
    target = Path(path).resolve()
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as file:
            temporary = Path(file.name)
            yield file
        # NamedTemporaryFile is private to its owner; a picture has the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        raise BigsharpError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; see `whole_file`."""
    with whole_file(path) as file:
        file.write(content)
