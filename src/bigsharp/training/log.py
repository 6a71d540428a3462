"""The record of a run: ``log.csv``, and TensorBoard's file where that is installed."""

from __future__ import annotations

import csv
import io
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from bigsharp.errors import BigsharpError
from bigsharp.files import write_bytes


class RunLog:
    """Rows of numbers, one a validation, and sample pictures.

    Parameters
    ----------
    folder : Path
        The run's.
    rows : list of dict
        Those so far; what TensorBoard holds of later steps is dropped.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        self.folder, self.rows = folder, rows
        after = rows[-1]["step"] + 1 if rows else 0
        installed = find_spec("tensorboard") is not None
        self.board = Board(folder / "tensorboard", after) if installed else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a row to the table."""
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0])
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes(self.folder / "log.csv", text.getvalue().encode())

    def show(self, row: dict[str, Any], pictures: dict[str, Tensor]) -> None:
        """Send a row, and pictures of shape (1, H, W) in [0, 1], to TensorBoard."""
        if self.board is not None:
            self.board.add(row, pictures)


class Board:
    """One event file of TensorBoard.

    PyTorch's own writer leaves the file to a thread, whose failures (a full disk) nobody catches.

    Parameters
    ----------
    folder : Path
    after : int
        Steps from this one on in older files of the folder are void.

    Raises
    ------
    BigsharpError
        The file cannot be written; so do the methods.
    """

    def __init__(self, folder: Path, after: int) -> None:
        self.folder = folder
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.bigsharp"
        self._append({"file_version": "brain.Event:2"})
        self._append({"step": after, "session_log": {"status": 1}})  # 1 is START

    def add(self, row: dict[str, Any], pictures: dict[str, Tensor]) -> None:
        """Append the numbers of a row and pictures of its step."""
        from torch.utils.tensorboard.summary import image, scalar

        summaries = [
            scalar(key, value) for key, value in row.items() if key != "step" and value is not None
        ]
        summaries += [image(name, picture, dataformats="CHW") for name, picture in pictures.items()]
        self._append(*({"step": row["step"], "summary": summary} for summary in summaries))

    def _append(self, *events: dict[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        try:
            self.folder.mkdir(exist_ok=True)
            with self.path.open("ab") as file:
                writer = RecordWriter(file)
                for event in events:
                    writer.write(Event(wall_time=time.time(), **event).SerializeToString())
        except OSError as error:
            raise BigsharpError(f"{self.folder}: cannot be written ({error.strerror})") from None
