"""`bigsharp study`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigsharp.cli.common import (
    Device,
    Quiet,
    Root,
    import_torch,
    progress_bar,
    say,
    stopping,
)
from bigsharp.errors import BigsharpError

if TYPE_CHECKING:
    from bigsharp.studies.run import Tell
    from bigsharp.studies.study import Study
    from bigsharp.training.loop import Status

#: Steps between two lines of a log.
_EVERY = 100


def study(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A study; without one they are listed.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All studies, one after another.")] = False,
    budget: Annotated[
        str, typer.Option(help="small, for a CPU, or paper: as the papers train, for a GPU.")
    ] = "small",
    plot: Annotated[
        bool, typer.Option("--plot", help="Only draw, from the results that are kept.")
    ] = False,
    background: Annotated[
        bool,
        typer.Option("--background", help="Only train, by `bigsharp queue`, left to itself."),
    ] = False,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder of results and figures; the pages are OUTPUT.md and .html.",
        ),
    ] = Path("docs/studies"),
    runs: Annotated[Path, typer.Option(help="Folder of the runs that are trained.")] = Path(
        "runs/studies"
    ),
    device: Device = "auto",
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Train, measure and draw what the slides show; goes on where it stopped."""
    from bigsharp import errors, studies
    from bigsharp.benchmark.report import require_libraries
    from bigsharp.studies.page import publish
    from bigsharp.studies.run import find_sets
    from bigsharp.studies.study import BUDGETS

    if budget not in BUDGETS:
        raise errors.unknown("budget", budget, BUDGETS)
    if (name and every) or (plot and background):
        raise BigsharpError("give a study or --all, and --plot or --background, not both")
    if (plot or background) and not (name or every):
        raise BigsharpError("--plot and --background are of a study, or of --all")
    names = [name] if name else list(studies.NAMES)
    chosen = {name: studies.load(name) for name in names}
    if not name and not every:
        for each, what in chosen.items():
            print(f"{each:12} {what.title}")
        return
    if not background:
        require_libraries()
    if not plot:
        import_torch()
        find_sets(chosen, budget, output, root)  # before hours of training
    if background:
        _background(chosen, budget, output, runs, device, root)
        return
    if not plot:
        _train(chosen, budget, output, runs, device, root, quiet)
    drawn, lacking = publish(chosen, budget, output)
    if lacking:
        say(lacking)
    if not quiet:
        print(*drawn, sep="\n")


def _background(
    chosen: dict[str, Study], budget: str, output: Path, runs: Path, device: str, root: Path | None
) -> None:
    """Leave all that is missing to a queue."""
    from bigsharp.studies.run import leave_to_queue

    left = leave_to_queue(chosen, budget, output, runs, device, root)
    if left is None:
        print("nothing is left to train; the same without --background measures and draws")
        return
    file, number, seconds = left
    print(
        f"process {number} works, for about {_time(seconds)}; see {file}.log; then the same "
        "without --background measures"
    )


def _train(
    chosen: dict[str, Study],
    budget: str,
    output: Path,
    runs: Path,
    device: str,
    root: Path | None,
    quiet: bool,
) -> None:
    """Train and measure what is missing of each study."""
    from bigsharp.studies.run import Runner, estimate, kept_results, missing_runs
    from bigsharp.training.loop import choose_device

    runner = Runner(runs, output, choose_device(device), root)
    for name, study in chosen.items():
        found = kept_results(name, study, budget, output)
        missing = missing_runs(study, found)
        if not missing:
            continue
        if not quiet:
            seconds = estimate(missing.values(), runs, runner.device)
            count = len(study.all_runs(budget))
            done = count - len(missing)
            say(f"{name}: {done} of {count} runs are there, the others take about {_time(seconds)}")
        with stopping(runner.stop), _progress(name, len(missing), quiet) as tell:
            runner.run(study, found, tell)
        if runner.stopped:
            say("stopped; the same command goes on")
            raise typer.Exit(130)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _progress(name: str, count: int, quiet: bool) -> Iterator[Tell]:
    """A progress bar over the runs, or, where standard error is no terminal, lines."""
    begun: dict[tuple[str, int], None] = {}

    def told(label: str, seed: int) -> str:
        begun.setdefault((label, seed))
        return f"{name}: {label}, seed {seed} ({len(begun)} of {count})"

    def line(label: str, seed: int, status: Status) -> None:
        text = told(label, seed)
        if not quiet and (status.step % _EVERY == 0 or status.step == status.steps):
            print(
                f"{text}: step {status.step}/{status.steps}  {status}", file=sys.stderr, flush=True
            )

    if not sys.stderr.isatty():
        yield line
        return
    with progress_bar(quiet, "{task.fields[report]}") as bar:
        task = bar.add_task(name, total=count, report="")

        def advance(label: str, seed: int, status: Status) -> None:
            text = told(label, seed)
            done = len(begun) - 1 + status.step / status.steps
            bar.update(task, completed=done, description=text, report=str(status))

        yield advance
