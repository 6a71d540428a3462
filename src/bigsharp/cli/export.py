"""`bigsharp export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
            "--rgb",
            help="For other programs: an .onnx that enlarges RGB pictures by --scale, or cleans "
            "them.",
        ),
    ] = False,
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", min=2, help="With --rgb: the factor.")
    ] = None,
) -> None:
    """Turn a network into an .onnx or .safetensors file, which runs without PyTorch."""
    from bigsharp.networks.export import export as write

    write(model, output, rgb=rgb, scale=scale)
    print(output)
