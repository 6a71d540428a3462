"""`bigsharp export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bigsharp.errors import BigsharpError


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .pt file, or a released network's name.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The .onnx or .safetensors file to write.")
    ],
    rgb: Annotated[
        bool,
        typer.Option(
            "--rgb", help="For other programs: an .onnx that enlarges RGB pictures by --scale."
        ),
    ] = False,
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", min=2, help="With --rgb: the factor.")
    ] = None,
) -> None:
    """Turn a network into an .onnx or .safetensors file, which runs without PyTorch."""
    from bigsharp.networks.export import export as write

    if rgb != (scale is not None):
        raise BigsharpError("`rgb` and `scale` are given together, as in --rgb --scale 2")
    write(model, output, scale=scale)
    print(output)
