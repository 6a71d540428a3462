"""The slides' plots, each made anew: one file a plot."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bigsharp import errors

if TYPE_CHECKING:
    from bigsharp.studies.study import Study

NAMES = (
    "depth", "residual", "scales", "convergence", "context", "recursion", "ensemble", "supervision",
    "data",
)  # fmt: skip


def load(name: str) -> Study:
    """The study of this name.

    Raises
    ------
    BigsharpError
        There is none.
    """
    if name not in NAMES:
        raise errors.unknown("study", name, NAMES)
    study: Study = import_module(f"bigsharp.studies.{name}").STUDY
    return study
