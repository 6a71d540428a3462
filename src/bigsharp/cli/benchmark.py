"""`bigsharp benchmark`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigsharp import errors
from bigsharp.cli.common import Engine, Quiet, Root, numbers, progress_bar, say, words
from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from bigsharp.benchmark.run import Result
    from bigsharp.benchmark.table import Grid

#: What can be scored: levels, if it has any, and methods, where nothing is said.
_TASKS = {
    "upscale": ("", "bicubic,vdsr"),
    "denoise": ("15,25,50", "input,vdsr-denoise"),
    "deblock": ("10,20,30,40", "input,vdsr-deblock"),
    "photo": ("30,50,70,90", "bicubic,vdsr,vdsr-deblock>vdsr"),
}


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
    engine: Engine = "auto",
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every image's score.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score methods on image sets and lay the published tables beside; goes on where it stopped."""
    from bigsharp.benchmark import run, table
    from bigsharp.benchmark.comparison import choose_images
    from bigsharp.benchmark.methods import open_methods
    from bigsharp.benchmark.perceptual import usable
    from bigsharp.benchmark.records import RecordFile
    from bigsharp.benchmark.report import require_libraries, write_report
    from bigsharp.scoring.protocol import choose
    from bigsharp.scoring.sets import find_images

    if task not in _TASKS:
        raise errors.unknown("task", task, _TASKS)
    levels, default = _TASKS[task]
    if report:
        if task == "photo":
            raise BigsharpError("--report shows one protocol; photos go by one for each quality")
        require_libraries()
    if task in ("denoise", "deblock"):
        if protocol != "published":
            raise BigsharpError(f"--protocol is for upscaling; {task} has its own")
        protocol = task
    if level and not levels:
        raise BigsharpError("--level is of noise and JPEG; give --task denoise, deblock or photo")
    if scale and task in ("denoise", "deblock"):
        raise BigsharpError(f"--scale: {task} keeps a picture's size; give --level")
    strengths = numbers(level or levels, "--level") if levels else []
    qualities = strengths if task == "photo" else [None]
    several = [
        choose(protocol, border=border, colour=colour, rounded=rounding, quality=quality)
        for quality in qualities
    ]
    chosen = words(methods or default)
    further, reasons = usable(words(metrics) if metrics else [])
    for reason in reasons:
        say(f"a column is left out: {reason}")
    kept = RecordFile(output / "records.jsonl") if files else None
    sets = words(data)
    scales = strengths if task in ("denoise", "deblock") else numbers(scale or "2,3,4", "--scale")
    found = {name: find_images(name, root) for name in sets}
    shown_images = choose_images(crop or (), found)
    opened = open_methods(chosen, engine)
    results: list[Result] = []
    with progress_bar(quiet or as_json) as bar:
        shown = bar.add_task("scoring", total=None)
        settings: dict[str, Any] = {
            "engine": engine,
            "kept": kept,
            "jobs": jobs,
            "progress": lambda done, total: bar.update(shown, completed=done, total=total),
        }
        for rules in several:
            if check:
                run.check(found, scales, rules=rules, **settings)
            results += run.benchmark(
                found, scales, chosen, opened=opened, metrics=further, rules=rules, **settings
            )
    results.sort(key=lambda result: (sets.index(result.data), scales.index(result.scale)))
    published_in = {"upscale": "benchmark", "photo": ""}.get(task, task)
    grid = table.lay_out(results, metrics=further, theirs_in=published_in)
    note = "; ".join(f"protocol {rules.name}: {rules.description}" for rules in several)
    if files:
        table.write(grid, output, note)
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2, allow_nan=False))
    elif not quiet:
        _print_table(grid, note)
        if files:
            print(output / "table.md")
    if report:
        command = shlex.join(["bigsharp", *sys.argv[1:]])
        page = write_report(
            results, grid, opened, several[0], output, images=shown_images, command=command
        )
        print(page)


def _print_table(grid: Grid, note: str) -> None:
    from rich.console import Console

    from bigsharp.benchmark.table import terminal_table

    # Into a file or a pipe goes the whole table, however wide.
    Console(width=None if sys.stdout.isatty() else 1000).print(terminal_table(grid))
    print(note)
