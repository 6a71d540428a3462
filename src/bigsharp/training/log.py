"""The record of a run: its validations, ``log.csv``, and TensorBoard's file where that is there."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes

_PSNR = "psnr_"


@dataclass(frozen=True)
class Validation:
    """What a run has reached at one step.

    Attributes
    ----------
    step : int
    seconds : float
        Trained so far, over all sessions.
    lr : float
        The rate of the coming step.
    loss : float, optional
        Of the step before; none before the first.
    psnr : dict of str to float
        On the held-out images, in dB, by what spoiled them: x2 …
    """

    step: int
    seconds: float
    lr: float
    loss: float | None
    psnr: dict[str, float]

    @property
    def mean(self) -> float:
        """Mean PSNR over them all, by which checkpoints are chosen."""
        return fmean(self.psnr.values())

    def as_row(self) -> dict[str, Any]:
        """Plain values: a row of ``log.csv``, and what a checkpoint keeps."""
        row = {"step": self.step, "seconds": self.seconds, "lr": self.lr, "loss": self.loss}
        return row | {f"{_PSNR}{name}": value for name, value in self.psnr.items()}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Validation:
        """What `as_row` gave."""
        psnr = {k.removeprefix(_PSNR): v for k, v in row.items() if k.startswith(_PSNR)}
        return cls(row["step"], row["seconds"], row["lr"], row["loss"], psnr)


class RunLog:
    """The validations of a run, in order.

    Parameters
    ----------
    folder : Path, optional
        The run's; without it nothing is written.
    earlier : iterable of Validation
        Those so far; what TensorBoard holds of later steps is dropped.
    """

    def __init__(self, folder: Path | None, earlier: Iterable[Validation] = ()) -> None:
        self.folder = folder
        self.validations = list(earlier)
        self._board: Board | None = None

    @property
    def psnr(self) -> dict[str, float]:
        """The latest; empty before the first."""
        return self.validations[-1].psnr if self.validations else {}

    @property
    def means(self) -> list[float]:
        """The mean PSNR of each validation."""
        return [validation.mean for validation in self.validations]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All validations as plain values."""
        return [validation.as_row() for validation in self.validations]

    def open(self) -> None:
        """Begin to write, where there is a folder.

        Raises
        ------
        BigsharpError
            TensorBoard's file cannot be written.
        """
        if self.folder is not None and find_spec("tensorboard") is not None:
            after = self.validations[-1].step + 1 if self.validations else 0
            self._board = Board(self.folder / "tensorboard", after)

    def add(self, validation: Validation) -> None:
        """Append one, to ``log.csv`` too."""
        self.validations.append(validation)
        if self.folder is None:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, validation.as_row())
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes(self.folder / "log.csv", text.getvalue().encode())

    def show(self, pictures: dict[str, Tensor]) -> None:
        """Send the latest, and pictures of shape (1, H, W) in [0, 1], to TensorBoard."""
        if self._board is not None:
            self._board.add(self.validations[-1].as_row(), pictures)


class Board:
    """One event file of TensorBoard.

    PyTorch's SummaryWriter leaves the file to a thread, which prints a traceback where it fails, on
    a full disk say. So the file is written here, by the parts of TensorBoard that it would use.

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
