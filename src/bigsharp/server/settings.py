"""What a service is set to; imports nothing heavy, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from bigsharp.errors import BigsharpError
from bigsharp.options import option

#: Bytes.
MEGABYTE = 1_000_000

#: Characters of a token at least: 16 of base64 are 96 bits.
_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """The limits of a service, all positive."""

    workers: int = option("Pictures that are worked on at once, a process each.", 2)
    queue: int = option("Pictures that may wait; further ones are answered 429.", 32)
    max_upload: int = option("Megabytes of a request; larger ones are answered 413.", 64)
    max_pixels: int = option("Refuse pictures or results of more pixels.", 100_000_000)
    upload_seconds: float = option("For a request to arrive; later it is answered 408.", 60)
    job_seconds: float = option("For a picture; then it is given up.", 600)
    wait_seconds: float = option("That POST /v1/upscale waits before it answers 202.", 60)
    keep_seconds: float = option("That results are kept.", 3600)
    stop_seconds: float = option("For running pictures when the service is told to end.", 10)
    space: int = option("Megabytes of disk; the oldest results make room.", 2000)

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not value > 0:
                raise BigsharpError(f"`{entry.name}`: more than 0, not {value}")


def check_token(token: str) -> None:
    """Refuse a token that could be guessed, or that no header can carry.

    Raises
    ------
    BigsharpError
        It is short, or holds other than ASCII's visible characters.
    """
    if len(token) < _TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise BigsharpError(
            f"`token`: at least {_TOKEN} letters, digits and signs, as of "
            'python -c "import secrets; print(secrets.token_urlsafe())"'
        )
