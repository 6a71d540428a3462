"""A network's weights in a safetensors file, which is read without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array

SUFFIX = ".safetensors"

#: The metadata entry that says what network the weights are of.
_ABOUT = "bigsharp"


@dataclass(frozen=True)
class Packed:
    """Everything that builds a network again.

    Attributes
    ----------
    architecture : {"srcnn", "vdsr", "drcn"}
    options : dict
        The arguments of that network's class.
    scales : sequence of float
        What it was trained on.
    state : dict of str to ndarray of float32
        Its weights, by PyTorch's names and in PyTorch's order.
    """

    architecture: str
    options: Mapping[str, Any]
    scales: tuple[float, ...]
    state: Mapping[str, Array]


def to_bytes(packed: Packed) -> bytes:
    """The content of a weights file."""
    from safetensors.numpy import save

    about = {
        "architecture": packed.architecture,
        "options": dict(packed.options),
        "scales": list(packed.scales),
    }
    return save(dict(packed.state), {_ABOUT: json.dumps(about)})


def read(path: str | Path) -> Packed:
    """Read a weights file.

    Raises
    ------
    BigsharpError
        It is missing, or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            about = json.loads(file.metadata()[_ABOUT])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Packed(about["architecture"], about["options"], tuple(about["scales"]), state)
    except FileNotFoundError:
        raise BigsharpError(f"{path}: no such file") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise BigsharpError(f"{path}: not a weights file written by bigsharp") from None
