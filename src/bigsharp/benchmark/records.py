"""Scores of single images, kept as JSON lines."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bigsharp.errors import BigsharpError

#: What tells one score from another: the same key is never computed twice.
Key = tuple[str, str, str, float, str, str, str, str]


@dataclass(frozen=True)
class Record:
    """One method's score on one image at one scale.

    Attributes
    ----------
    data, image : str
        The image set, and the file's name in it.
    hr : str
        The first 16 digits of the SHA-256 of that file.
    scale : float
    method : str
    weights : str
        The same of what was run, or of the picture that was restored elsewhere; empty for bicubic.
    engine : str
    protocol : str
    psnr, ssim : float
    seconds : float
        For enlarging and restoring.
    versions : dict of str to str
        Of Python, of bigsharp and of what it ran on.
    metrics : dict of str to float
        Further metrics, by name.
    """

    data: str
    image: str
    hr: str
    scale: float
    method: str
    weights: str
    engine: str
    protocol: str
    psnr: float
    ssim: float
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What this is the score of."""
        return (
            self.data, self.image, self.hr, self.scale, self.method, self.weights, self.engine,
            self.protocol,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; the infinite PSNR of an equal image becomes null."""
        return asdict(self) | {"psnr": self.psnr if math.isfinite(self.psnr) else None}


def from_line(line: str) -> Record:
    """The record that one JSON line holds.

    Raises
    ------
    ValueError, TypeError
        It is another's.
    """
    values = json.loads(line)
    if set(values) != {entry.name for entry in fields(Record)}:
        raise ValueError("not the keys of a score")
    if values["psnr"] is None:
        values["psnr"] = math.inf
    return Record(**values)


class RecordFile:
    """A file that records are appended to, one JSON line each.

    A line is written at once, so that a killed run leaves at most the last one torn; that one is
    dropped when the file is opened again.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BigsharpError
        The file cannot be read or written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[Key, Record] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                with path.open("rb+") as file:
                    file.truncate(len(whole))
        except OSError as error:
            raise BigsharpError(f"{path}: cannot be used ({error.strerror})") from None
        for number, line in enumerate(whole.decode(errors="replace").splitlines(), 1):
            try:
                record = from_line(line)
            except (ValueError, TypeError):
                raise BigsharpError(
                    f"{path}: line {number} is no score; mend or remove it, or write elsewhere"
                ) from None
            self.records[record.key] = record

    def append(self, record: Record) -> None:
        """Add a record to the file."""
        line = json.dumps(record.as_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise BigsharpError(f"{self.path}: cannot be written ({error.strerror})") from None
        self.records[record.key] = record
