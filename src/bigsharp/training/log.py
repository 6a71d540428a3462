"""The record of a run: ``log.csv``, and TensorBoard's files where it is installed."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

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
        self.board = None
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            after = rows[-1]["step"] + 1 if rows else 0
            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=after)

    def add(self, row: dict[str, Any], pictures: dict[str, Tensor]) -> None:
        """Append a row; `pictures`, each (1, H, W) in [0, 1], go to TensorBoard alone."""
        self.rows.append(row)
        self._write_csv()
        if self.board is None:
            return
        for key, value in row.items():
            if key != "step" and value is not None:
                self.board.add_scalar(key, value, row["step"])
        for name, picture in pictures.items():
            self.board.add_image(name, picture, row["step"])
        self.board.flush()

    def close(self) -> None:
        """Let TensorBoard's file go."""
        if self.board is not None:
            self.board.close()

    def _write_csv(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0])
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes(self.folder / "log.csv", text.getvalue().encode())
