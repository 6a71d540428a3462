"""`bigsharp export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .pt file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The .onnx or .safetensors file to write.")
    ],
) -> None:
    """Turn a checkpoint into an .onnx or .safetensors file, which runs without PyTorch."""
    from bigsharp.networks import require_torch

    require_torch()
    from bigsharp.networks.export import export as write

    write(checkpoint, output)
    print(output)
