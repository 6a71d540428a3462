"""The released weights: NAME.safetensors, of a network NAME.onnx too, and the card, NAME.json.

A method without weights has a card alone.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from bigsharp import errors

_FOLDER = Path(str(resources.files(__name__)))


def names() -> list[str]:
    """The released weights, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def cards() -> list[str]:
    """What has a card, sorted: the released weights, and methods that have none."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def families() -> dict[str, list[str]]:
    """Models that are one network a scale: name to members, srcnn-x2, srcnn-x3 … for srcnn."""
    found: dict[str, list[str]] = {}
    for name in names():
        if match := re.fullmatch(r"(.+)-x[\d.]+", name):
            found.setdefault(match[1], []).append(name)
    return found


def card(name: str) -> dict[str, Any]:
    """A card of `cards`: what the model is, how it was trained, and what it scores."""
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def path(name: str, extension: str) -> Path:
    """The file of a released model; `extension` is ".onnx" or ".safetensors".

    Raises
    ------
    BigsharpError
        No model of this name is released.
    """
    if name not in names():
        raise errors.unknown("released model", name, names())
    return _FOLDER / (name + extension)
