"""`bigsharp benchmark`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigsharp.cli.common import ENGINE, Quiet, Root, numbers, progress_bar, say, words

if TYPE_CHECKING:
    from bigsharp.benchmark.table import Grid


def benchmark(
    data: Annotated[str, typer.Option(help="Image sets or folders, separated by commas.")],
    task: Annotated[
        str,
        typer.Option(
            help="upscale; denoise or deblock, at the pictures' own size; or photo: upscale what "
            "went through JPEG."
        ),
    ] = "upscale",
    scale: Annotated[
        str | None, typer.Option(help="Factors, separated by commas [default: 2,3,4].")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="σ of noise [default: 15,25,50], qualities of JPEG [10,20,30,40; of "
            "photos 30,50,70,90]."
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Models, by name or file, A>B for one after another; folders of restored "
            "pictures; input for what is spoiled; NAME=WHAT names one [default: bicubic and vdsr, "
            "or input and the task's model]."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the scores and tables.")
    ] = Path("benchmark"),
    files: Annotated[
        bool, typer.Option(help="Keep scores and tables in files, and go on from those there.")
    ] = True,
    protocol: Annotated[
        str, typer.Option(help="published, or 8bit-lr (the LR image rounded to 8 bits).")
    ] = "published",
    border: Annotated[
        int | None, typer.Option(help="Pixels shaved [default: the scale, rounded up].")
    ] = None,
    colour: Annotated[str, typer.Option(help="Score y (luma) or rgb.")] = "y",
    rounding: Annotated[
        bool, typer.Option(help="Round the output to 8 bits before it is scored.")
    ] = True,
    metrics: Annotated[
        str, typer.Option(help="Beyond PSNR and SSIM, separated by commas: ifc, lpips.")
    ] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="First see that bicubic, or input, scores as published."),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Draw the figures and write report.html.")
    ] = False,
    crop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE[:LEFT,TOP,WIDTH,HEIGHT]",
            help="Show this image in the report; again for more [default: two of each known set].",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the cores.")] = 1,
    engine: Annotated[str, typer.Option(help=ENGINE)] = "auto",
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every image's score.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score methods on image sets and lay the published tables beside; goes on where it stopped."""
    from bigsharp.benchmark import table, tasks
    from bigsharp.benchmark.comparison import choose_images
    from bigsharp.benchmark.measure import measure
    from bigsharp.benchmark.perceptual import usable
    from bigsharp.benchmark.records import RecordFile
    from bigsharp.benchmark.report import require_libraries, write_report
    from bigsharp.scoring.sets import find_images

    if report:
        require_libraries()
    asked = tasks.choose(task).changed(
        scales=numbers(scale, "--scale") if scale else None,
        levels=numbers(level, "--level") if level else None,
        methods=words(methods) if methods else None,
        protocol=protocol,
        border=border,
        colour=colour,
        rounded=rounding,
    )
    further, reasons = usable(words(metrics) if metrics else [])
    for reason in reasons:
        say(f"a column is left out: {reason}")
    kept = RecordFile(output / "records.jsonl") if files else None
    found = {name: find_images(name, root) for name in words(data)}
    images = choose_images(crop or (), found)
    with progress_bar(quiet or as_json) as bar:
        shown = bar.add_task("scoring", total=None)
        measured = measure(
            asked, found, metrics=further, check=check, engine=engine, kept=kept, jobs=jobs,
            progress=lambda done, total: bar.update(shown, completed=done, total=total),
        )  # fmt: skip
    if files:
        table.write(measured.grid, output, asked.note)
    if as_json:
        results = [result.as_dict() for result in measured.results]
        print(json.dumps(results, indent=2, allow_nan=False))
    elif not quiet:
        _print_table(measured.grid, asked.note)
        if files:
            print(output / "table.md")
    if report:
        command = shlex.join(["bigsharp", *sys.argv[1:]])
        print(write_report(measured, output, images=images, command=command))


def _print_table(grid: Grid, note: str) -> None:
    from rich.console import Console

    from bigsharp.benchmark.table import terminal_table

    # Into a file or a pipe goes the whole table, however wide.
    Console(width=None if sys.stdout.isatty() else 1000).print(terminal_table(grid))
    print(note)
