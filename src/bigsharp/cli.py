"""The command line. Thin: every verb calls the library.

Nothing but Typer is imported before a verb runs, so that the help answers at once.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import bigsharp
from bigsharp import defaults
from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from rich.progress import Progress

    from bigsharp.benchmark.table import Grid
    from bigsharp.scoring.protocol import Rules
    from bigsharp.training.loop import Status, Trainer

app = typer.Typer(
    name="bigsharp",
    help="Make a small picture big and sharp, at any scale factor.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="BIGSHARP_DATA", help="Folder that holds the image sets."),
]
Engine = Annotated[
    str,
    typer.Option(help="What runs the network: auto, native, onnx, or torch (the extra 'train')."),
]
Data = Annotated[str, typer.Option(help="Image sets or folders, separated by commas.")]
Scales = Annotated[str, typer.Option(help="Factors, separated by commas.")]
ProtocolName = Annotated[
    str, typer.Option(help="published, or 8bit-lr (the LR image rounded to 8 bits).")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no report.")]


def main() -> NoReturn:
    """Run the command line; errors meant for people become one line and exit status 2."""
    logging.basicConfig(format="bigsharp: %(message)s")
    try:
        status = app(standalone_mode=False)
    except BigsharpError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("bigsharp: interrupted", file=sys.stderr)
        sys.exit(130)
    except MemoryError:
        _fail("not enough memory; use a smaller scale, or a smaller --tile")
    except Exception as error:
        # A mistake in the command's own words: Typer's exceptions, whatever its version, have this.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message())
    sys.exit(status or 0)


def _fail(message: str) -> NoReturn:
    print(f"bigsharp: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bigsharp {bigsharp.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Make a small picture big and sharp, at any scale factor."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def upscale(
    image: Annotated[Path, typer.Argument(metavar="IN", help="The picture.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result: .png .jpg .webp .tiff or .bmp [default: beside IN, as IN-x3.png].",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", "-s", help="Factor, any number of at least 1 [default: 2]."),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the result in pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the result in pixels.")] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A name that `bigsharp models` lists, or a .pt, .safetensors or .onnx file.",
        ),
    ] = defaults.MODEL,
    engine: Engine = "auto",
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG [default: 95] or WebP [default: lossless]."),
    ] = None,
    tile: Annotated[
        int, typer.Option(min=1, help="Side of a tile; bounds memory, not the result.")
    ] = defaults.TILE,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse pictures or results of more pixels.")
    ] = defaults.MAX_PIXELS,
    quiet: Quiet = False,
) -> None:
    """Enlarge and sharpen a picture."""
    if scale is None and width is None and height is None:
        scale = defaults.SCALE
    began = time.monotonic()
    with _progress_bar(quiet) as bar:
        task = bar.add_task("upscaling", total=None)
        written = bigsharp.load(model, engine).upscale(
            image,
            scale,
            width=width,
            height=height,
            output=output,
            quality=quality,
            tile=tile,
            max_pixels=max_pixels,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if not quiet:
        print(f"{written} ({time.monotonic() - began:.1f} s)")


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print every card whole.")] = False,
) -> None:
    """List the released models and what they score."""
    from bigsharp import weights

    cards = {name: weights.card(name) for name in weights.names()}
    if as_json:
        print(json.dumps(cards, indent=2))
        return
    for name, card in cards.items():
        print(f"{name}: {card['summary']}")
    for family, members in weights.families().items():
        print(f"{family}: one of {', '.join(members)}, by the scale")
    print("bicubic: no network, plain interpolation")


@app.command()
def evaluate(
    data: Data,
    scale: Scales = "2,3,4",
    model: Annotated[
        str, typer.Option(help="Models, or folders of restored pictures, separated by commas.")
    ] = "vdsr,bicubic",
    protocol: ProtocolName = "published",
    engine: Engine = "auto",
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every image's score.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure PSNR and SSIM of models on image sets."""
    from bigsharp.benchmark.run import benchmark as run
    from bigsharp.scoring.protocol import choose

    rules = choose(protocol)
    with _progress_bar(quiet or as_json) as bar:
        task = bar.add_task("evaluating", total=None)
        results = run(
            _words(data),
            _numbers(scale, "--scale"),
            _words(model),
            rules=rules,
            engine=engine,
            root=root,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2, allow_nan=False))
        return
    from bigsharp.benchmark.table import lay_out

    _print_table(lay_out(results, with_published=False), rules)


@app.command()
def benchmark(
    data: Data,
    scale: Scales = "2,3,4",
    methods: Annotated[
        str,
        typer.Option(
            help="Models, by name or file, folders of restored pictures; NAME=WHAT names one."
        ),
    ] = "bicubic,vdsr",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the scores and tables.")
    ] = Path("benchmark"),
    protocol: ProtocolName = "published",
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
            help="Show this image in the report; again for more [default: each set's first].",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the cores.")] = 1,
    engine: Engine = "auto",
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Score methods on image sets and lay the published tables beside; goes on where it stopped."""
    from bigsharp.benchmark import run, table
    from bigsharp.benchmark.methods import open_methods
    from bigsharp.benchmark.perceptual import usable
    from bigsharp.benchmark.records import RecordFile
    from bigsharp.benchmark.report import choose_images, require_libraries, write_report
    from bigsharp.scoring.protocol import choose

    if report:
        require_libraries()
    rules = choose(protocol, border=border, colour=colour, rounded=rounding)
    further, reasons = usable(_words(metrics) if metrics else [])
    for reason in reasons:
        print(f"bigsharp: a column is left out: {reason}", file=sys.stderr)
    kept = RecordFile(output / "records.jsonl")
    sets, scales = _words(data), _numbers(scale, "--scale")
    images = choose_images(crop or (), sets, root)
    with _progress_bar(quiet) as bar:
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
        results = run.benchmark(sets, scales, _words(methods), metrics=further, **settings)
    grid = table.lay_out(results, metrics=further)
    table.write(grid, output, f"protocol {rules.name}: {rules.description}")
    if not quiet:
        _print_table(grid, rules)
        print(output / "table.md")
    if report:
        opened = open_methods(_words(methods), engine)
        command = shlex.join(["bigsharp", *sys.argv[1:]])
        page = write_report(results, grid, opened, rules, output, images=images, command=command)
        print(page)


def _print_table(grid: Grid, rules: Rules) -> None:
    from rich.console import Console

    from bigsharp.benchmark.table import terminal_table

    # Into a file or a pipe goes the whole table, however wide.
    Console(width=None if sys.stdout.isatty() else 1000).print(terminal_table(grid))
    print(f"protocol {rules.name}: {rules.description}")


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A recipe's name, a .toml file, or sparse, neighbours or aplus."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder [default: runs/RECIPE, or runs/RECIPE-xSCALE]."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Train on these image sets or folders, separated by commas."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start from a released model's weights, or a file's."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    scale: Annotated[
        str | None, typer.Option(help="Train for these factors alone, separated by commas.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate, instead of the recipe's.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of all that is drawn by chance, instead of the recipe's."),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option("--for", help="Stop after so long, say 90s, 45m, 2h or 1h30m."),
    ] = None,
    device: Device = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Run the network through torch.compile.")
    ] = False,
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Train a network on image sets, on several GPUs through `torchrun -m bigsharp`."""
    from bigsharp import classic

    if recipe in classic.METHODS:
        if start or resume or steps or lr or duration or compiled:
            raise BigsharpError(
                f"{recipe} is no network and learns in one go; it takes --data, --scale, --seed, "
                "--output, --root and --quiet"
            )
        _train_method(recipe, output, data, scale, seed or 0, root, quiet)
        return
    _import_torch()
    from bigsharp.training.distributed import peers
    from bigsharp.training.loop import Trainer, choose_device
    from bigsharp.training.queue import parse_duration
    from bigsharp.training.recipe import load_recipe

    if start and resume:
        raise BigsharpError("--from begins a new run and --resume goes on with one; give either")
    seconds = parse_duration(duration) if duration else math.inf
    settings = load_recipe(recipe).changed(
        data=_words(data) if data else None,
        scales=_numbers(scale, "--scale") if scale else None,
        steps=steps,
        lr=lr,
        seed=seed,
    )
    folder = output or Path("runs") / (settings.name + (f"-x{scale}" if scale else ""))
    chosen = choose_device(device)
    with peers(chosen) as processes:
        quiet = quiet or not processes.is_first
        trainer = Trainer(
            settings,
            folder,
            root=root,
            device=chosen,
            resume=resume,
            start=start,
            compiled=compiled,
            peers=processes,
        )
        if trainer.skipped and processes.is_first:
            for line in trainer.skipped:
                print(f"bigsharp: skipped {line}", file=sys.stderr)
            print(f"bigsharp: skipped {len(trainer.skipped)} pictures", file=sys.stderr)
        with (
            _stopping(lambda: setattr(trainer, "stop", True)),
            _training_report(trainer, quiet) as report,
        ):
            trainer.train(report, seconds)
    if not trainer.finished:
        print(f"bigsharp: stopped at step {trainer.step}; --resume goes on", file=sys.stderr)
        if trainer.stop:
            raise typer.Exit(130)
    if not quiet:
        print(f"{folder / 'best.pt'}")


def _train_method(
    name: str,
    output: Path | None,
    data: str | None,
    scale: str | None,
    seed: int,
    root: Path | None,
    quiet: bool,
) -> None:
    """Train one of `bigsharp.classic.METHODS`."""
    from bigsharp.classic.train import Settings
    from bigsharp.training.classic import DATA, SCALES, train_method

    def report(line: str) -> None:
        if not quiet:
            print(f"bigsharp: {line}", file=sys.stderr, flush=True)

    written = train_method(
        name,
        output or Path("runs") / name,
        data=_words(data) if data else DATA,
        scales=_numbers(scale, "--scale") if scale else SCALES,
        settings=Settings(seed=seed),
        root=root,
        report=report,
    )
    if not quiet:
        for path in written:
            print(path)


@contextmanager
def _training_report(trainer: Trainer, quiet: bool) -> Iterator[Callable[[Status], None]]:
    """A progress bar, or, where standard error is no terminal, one line a validation."""
    steps, every = trainer.recipe.steps, trainer.recipe.validate_every

    def line(status: Status) -> None:
        if not quiet and (status.step % every == 0 or status.step == steps):
            print(f"step {status.step}/{steps}  {status}", file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        yield line
        return
    with _progress_bar(quiet, "{task.fields[report]}") as bar:
        task = bar.add_task("training", total=steps, report="")
        yield lambda status: bar.update(task, completed=status.step, report=str(status))


@app.command()
def queue(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml file: [[run]] tables.")],
    background: Annotated[
        bool, typer.Option("--background", help="Leave it to itself; it writes FILE.log.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Only say what each run has reached.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="End one that works, and wait for its checkpoint.")
    ] = False,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Train the runs of a file one after another, at the lowest priority.

    It goes on where it stopped.
    """
    _import_torch()
    from bigsharp.training import queue as queues
    from bigsharp.training.loop import choose_device

    if sum((background, show, stop)) > 1:
        raise BigsharpError("--background, --show and --stop are three things; give one")
    entries, faults = queues.read_queue(file)
    if stop:
        queues.stop(file)
    elif background:
        print(f"process {queues.start(file, device, root)} works; see {file}.log")
        return
    for line in faults:
        print(f"bigsharp: {line}", file=sys.stderr)
    if show or stop:
        for entry in entries:
            print(entry.status())
        raise typer.Exit(1 if faults else 0)
    worker = queues.Worker(root, choose_device(device), lambda line: print(line, flush=True))
    with _stopping(worker.stop), queues.working(file):
        failed = worker.work(entries)
    if worker.stopped:
        print("bigsharp: stopped; the same command goes on", file=sys.stderr)
        raise typer.Exit(130)
    raise typer.Exit(1 if failed or faults else 0)


@app.command()
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


@app.command()
def data(
    check: Annotated[
        bool, typer.Option("--check", help="Look for test images among the training images.")
    ] = False,
    tests: Annotated[
        str | None, typer.Option("--data", help="Test on these [default: all test sets there].")
    ] = None,
    trainings: Annotated[
        str | None,
        typer.Option("--against", help="Train on these [default: all training sets there]."),
    ] = None,
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Say which image sets are there, and where each is published.

    With --check: whether images that are tested on lie among those that are trained on.
    """
    from bigsharp.scoring import leaks, sets

    if not check:
        for line in sets.survey(root):
            print(line)
        return
    searched = sets.choose(_words(tests) if tests else [], "test", root)
    trained_on = sets.choose(_words(trainings) if trainings else [], "train", root)
    with _progress_bar(quiet) as bar:
        task = bar.add_task("looking", total=None)
        copies = leaks.find_copies(
            searched,
            trained_on,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    for copy in copies:
        print(copy)
    if not quiet:
        print(f"{len(copies)} found of {len(searched)} × {len(trained_on)} pairs", file=sys.stderr)
    raise typer.Exit(1 if copies else 0)


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C, or a polite kill, end training after the current step."""

    def handle(signum: int, frame: object) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _import_torch() -> None:
    """Import PyTorch for training, or say how to install it."""
    # Before it is imported: its threads would spin for a while after each operation, on the cores
    # that the native engine's need. VDSR takes 1.5 times as many steps a second so.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bigsharp.networks import require_torch

    require_torch()


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise BigsharpError("an empty list was given; separate names by commas")
    return words


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError:
        raise BigsharpError(f"{option}: {text!r} is not a list of numbers such as 2,3,4") from None


def _progress_bar(quiet: bool, *more: str) -> Progress:
    """A bar on standard error that leaves nothing behind; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = sys.stderr.isatty() and not quiet
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *(TextColumn(column) for column in more),
        TimeRemainingColumn(),
        # Older versions of rich end even a disabled bar with an empty line; `quiet` stops that.
        console=Console(stderr=True, quiet=not shown),
        transient=True,
        disable=not shown,
    )
