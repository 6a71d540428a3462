"""The numbers of the slides and the papers, ``published.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Published:
    """One published score.

    Attributes
    ----------
    table : {"benchmark", "scales", "classic", "denoise", "deblock"}
        Which of the slides' tables; of methods before those; or of what task.
    dataset : str
    scale : float
        Or σ, or JPEG's quality.
    method : str
    trained_on : tuple of float
        The scales, in the table "scales".
    psnr : float
    ssim : float, optional
        Where it is given.
    source : str
    """

    table: str
    dataset: str
    scale: float
    method: str
    trained_on: tuple[float, ...]
    psnr: float
    ssim: float | None
    source: str


@cache
def published(table: str = "benchmark") -> tuple[Published, ...]:
    """Every number of one table, in its order."""
    path = resources.files(__package__) / "published.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return tuple(
        Published(
            row["table"],
            row["dataset"],
            float(row["scale"]),
            row["method"],
            tuple(map(float, row["trained_on"].split())),
            float(row["psnr"]),
            float(row["ssim"]) if row["ssim"] else None,
            row["source"],
        )
        for row in rows
        if row["table"] == table
    )


def find(dataset: str, scale: float, method: str, table: str = "benchmark") -> Published | None:
    """The published score of a method, whatever the case of its name; "aplus" is A+."""
    wanted = (dataset, scale, plain(method))
    found = (e for e in published(table) if (e.dataset, e.scale, plain(e.method)) == wanted)
    return next(found, None)


def plain(method: str) -> str:
    """A method's name as one writes it on the command line."""
    return method.lower().replace("+", "plus")
