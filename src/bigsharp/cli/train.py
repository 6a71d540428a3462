"""`bigsharp train`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigsharp.cli.common import (
    Device,
    Quiet,
    Root,
    import_torch,
    numbers,
    progress_bar,
    say,
    stopping,
    words,
)
from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from bigsharp.training.loop import Status, Trainer
    from bigsharp.training.recipe import Recipe


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe's name, a .toml file, or sparse, neighbours, aplus or rfl.",
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
    from bigsharp.classic import selfex

    if recipe in selfex.METHODS:
        raise BigsharpError(f"{recipe} learns from the picture it restores, and is not trained")
    if recipe in classic.METHODS:
        if start or resume or steps or lr or duration or compiled or device != "auto":
            raise BigsharpError(
                f"{recipe} is no network and learns in one go; it takes --data, --scale, --seed, "
                "--output, --root and --quiet"
            )
        _train_method(recipe, output, data, scale, seed or 0, root, quiet)
        return
    import_torch()
    from bigsharp.training.queue import parse_duration
    from bigsharp.training.recipe import load_recipe

    seconds = parse_duration(duration) if duration else math.inf
    settings = load_recipe(recipe).changed(
        data=words(data) if data else None,
        scales=numbers(scale, "--scale") if scale else None,
        steps=steps,
        lr=lr,
        seed=seed,
    )
    folder = output or Path("runs") / settings.name
    _train_network(
        settings, folder, seconds, device, quiet,
        root=root, resume=resume, start=start, compiled=compiled,
    )  # fmt: skip


def _train_network(
    recipe: Recipe, folder: Path, seconds: float, device: str, quiet: bool, **how: Any
) -> None:
    """Train as the recipe says, with what else `Trainer` takes."""
    from bigsharp.training.distributed import peers
    from bigsharp.training.loop import Trainer, choose_device

    chosen = choose_device(device)
    with peers(chosen) as processes:
        quiet = quiet or not processes.is_first
        trainer = Trainer(recipe, folder, device=chosen, peers=processes, **how)
        if trainer.skipped and processes.is_first:
            for line in trainer.skipped:
                say(f"skipped {line}")
            say(f"skipped {len(trainer.skipped)} pictures")
        with (
            stopping(lambda: setattr(trainer, "stop", True)),
            _training_report(trainer, quiet) as report,
        ):
            trainer.train(report, seconds)
    if not trainer.finished:
        say(f"stopped at step {trainer.step}; --resume goes on")
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
            say(line)

    written = train_method(
        name,
        output or Path("runs") / name,
        data=DATA if data is None else words(data),
        scales=SCALES if scale is None else numbers(scale, "--scale"),
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
    with progress_bar(quiet, "{task.fields[report]}") as bar:
        task = bar.add_task("training", total=steps, report="")
        yield lambda status: bar.update(task, completed=status.step, report=str(status))
