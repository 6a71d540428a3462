"""Other people's programs that tests compare with."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of one; the test is skipped without it, or fails where all are promised."""
    path = shutil.which(name)
    if path is None and os.environ.get("BIGSHARP_PROGRAMS"):
        pytest.fail(f"{name} is not installed, though BIGSHARP_PROGRAMS is set")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
