"""bigsharp makes a small picture big and sharp, at any scale factor.

>>> import bigsharp
>>> bigsharp.upscale("small.png", scale=3)  # doctest: +SKIP
PosixPath('small-x3.png')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from bigsharp.api import Upscaler, load, restore, upscale
    from bigsharp.io.write import Saving
    from bigsharp.restoration.models import available_models
    from bigsharp.restoration.target import Size

__version__ = "0.1.0"
__all__ = [
    "BigsharpError",
    "Saving",
    "Size",
    "Upscaler",
    "available_models",
    "load",
    "restore",
    "upscale",
]

# Imported at first use, so that `import bigsharp` and the command line's help stay fast.
_LAZY = {
    "Saving": "bigsharp.io.write",
    "Size": "bigsharp.restoration.target",
    "Upscaler": "bigsharp.api",
    "load": "bigsharp.api",
    "restore": "bigsharp.api",
    "upscale": "bigsharp.api",
    "available_models": "bigsharp.restoration.models",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'bigsharp' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
