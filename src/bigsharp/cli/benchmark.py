"""`bigsharp benchmark`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigsharp.cli.common import Engine, Quiet, Root, numbers, progress_bar, say, words

if TYPE_CHECKING:
    from bigsharp.benchmark.table import Grid
    from bigsharp.scoring.protocol import Rules


def benchmark(
    data: Annotated[str, typer.Option(help="Image sets or folders, separated by commas.")],
    scale: Annotated[str, typer.Option(help="Factors, separated by commas.")] = "2,3,4",
    methods: Annotated[
        str,
        typer.Option(
            help="Models, by name or file, folders of restored pictures; NAME=WHAT names one."
        ),
    ] = "bicubic,vdsr",
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
        bool, typer.Option("--check", help="First see that bicubic scores as published.")
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

    if report:
        require_libraries()
    rules = choose(protocol, border=border, colour=colour, rounded=rounding)
    further, reasons = usable(words(metrics) if metrics else [])
    for reason in reasons:
        say(f"a column is left out: {reason}")
    kept = RecordFile(output / "records.jsonl") if files else None
    sets, scales = words(data), numbers(scale, "--scale")
    images = choose_images(crop or (), sets, root)
    opened = open_methods(words(methods), engine)
    with progress_bar(quiet or as_json) as bar:
        task = bar.add_task("scoring", total=None)
        settings: dict[str, Any] = {
            "rules": rules,
            "engine": engine,
            "root": root,
            "kept": kept,
            "jobs": jobs,
            "progress": lambda done, total: bar.update(task, completed=done, total=total),
        }
        if check:
            run.check_bicubic(sets, scales, **settings)
        results = run.benchmark(
            sets, scales, words(methods), opened=opened, metrics=further, **settings
        )
    grid = table.lay_out(results, metrics=further)
    if files:
        table.write(grid, output, f"protocol {rules.name}: {rules.description}")
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2, allow_nan=False))
    elif not quiet:
        _print_table(grid, rules)
        if files:
            print(output / "table.md")
    if report:
        command = shlex.join(["bigsharp", *sys.argv[1:]])
        page = write_report(results, grid, opened, rules, output, images=images, command=command)
        print(page)


def _print_table(grid: Grid, rules: Rules) -> None:
    from rich.console import Console

    from bigsharp.benchmark.table import terminal_table

    # Into a file or a pipe goes the whole table, however wide.
    Console(width=None if sys.stdout.isatty() else 1000).print(terminal_table(grid))
    print(f"protocol {rules.name}: {rules.description}")
