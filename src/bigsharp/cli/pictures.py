"""What the verbs that restore pictures share: options, the way through many, the report."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from bigsharp import defaults
from bigsharp.cli.common import ENGINE, progress_bar, quiet_libraries, say
from bigsharp.errors import BigsharpError, printable
from bigsharp.options import CleanOptions, Options, option

if TYPE_CHECKING:
    from bigsharp.jobs.job import Job
    from bigsharp.restoration.cleaner import Cleaner
    from bigsharp.restoration.restorer import Restorer

#: Pictures that are worked on at once: while one is decoded or encoded, another is restored.
_AT_ONCE = 2

#: Advice where memory does not suffice.
SMALLER = "use a smaller scale, or a smaller --tile"

#: Bytes that the program itself and its libraries take, and a little more.
_LEAST = 256 << 20

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

Images = Annotated[
    list[str],
    typer.Argument(metavar="IN", help="Pictures, folders, patterns, @LIST files, or - for stdin."),
]


@dataclass(frozen=True)
class Handling:
    """Which files are read and written, and how the work is done."""

    engine: str = option(
        ENGINE,
        "auto",
    )
    recursive: bool = option("Look into folders within folders.", False, short="r")
    name: str | None = option("Of results, made of {stem} {ext} {size} {scale} {model}.")
    overwrite: bool = option("Replace results that exist.", False, short="y")
    skip_existing: bool = option("Leave pictures whose result exists.", False)
    keep_times: bool = option("Give results the times of the originals.", False)
    tile: int = option("Side of a tile; bounds memory, not the result.", defaults.TILE)
    max_pixels: int = option("Refuse pictures or results of more pixels.", defaults.MAX_PIXELS)
    memory: str | None = option(
        "Never take more, as 2G or 500M; what needs it is refused (Linux).", metavar="SIZE"
    )
    jobs: int = option("Pictures that are worked on at once.", _AT_ONCE, short="j")
    log: str = option("A line a picture as text, or json.", "text")
    quiet: bool = option("No progress bar, no report.", False, short="q")

    def __post_init__(self) -> None:
        if self.log not in ("text", "json"):
            raise BigsharpError(f"--log: text or json, not {self.log!r}")
        for name in ("tile", "max_pixels", "jobs"):
            if getattr(self, name) < 1:
                raise BigsharpError(f"`{name}`: at least 1, not {getattr(self, name)}")


def work_through(
    images: list[str],
    output: str | None,
    asked: Options | CleanOptions,
    handling: Handling,
    doing: str,
    beside: str,
    open_models: Callable[[], tuple[Restorer, Cleaner]],
) -> None:
    """Plan, do and report; ends the verb, with status 1 where some of many pictures failed.

    Parameters
    ----------
    images, output
        As `plan` takes them.
    asked : Options or CleanOptions
    handling : Handling
    doing : str
        In a word, for the progress bar.
    beside : str
        The template for a result beside its original.
    open_models : callable
        Opens what enlarges and what cleans, when the plan stands.
    """
    from bigsharp.jobs.job import STANDARD, Order
    from bigsharp.jobs.naming import Naming
    from bigsharp.jobs.plan import plan

    if handling.memory is not None:
        bound_memory(handling.memory)
    order = Order(
        asked.size,
        asked.saving,
        asked.colour,  # type: ignore[arg-type]
        asked.cleaning,
        handling.tile,
        handling.max_pixels,
        handling.keep_times,
    )
    naming = Naming(
        handling.name,
        asked.format,
        asked.model,
        handling.overwrite,
        handling.skip_existing,
        beside,
    )
    planned = plan(images, output, order, naming, recursive=handling.recursive)
    to_stdout = [job.output for job in planned] == [STANDARD]
    with quiet_libraries() as stderr:
        quiet, as_json = handling.quiet or to_stdout, handling.log == "json"
        run = Run(*open_models(), doing, quiet, as_json, stderr)
        failed = run.all(planned, handling.jobs)
    raise typer.Exit(1 if failed else 0)


def bound_memory(size: str) -> None:
    """Let this process have no more memory than 2G, 500M …, whatever asks for it.

    Raises
    ------
    BigsharpError
        That is no size, too little to begin with, or this system has no such bound.
    """
    found = re.fullmatch(r"([\d.]+) *([kmg]?)(?:i?b)?", size.strip().lower())
    try:
        bound = min(int(float(found[1]) * _UNITS[found[2]]), sys.maxsize) if found else 0
    except (ValueError, OverflowError):
        bound = 0
    if bound < _LEAST:
        raise BigsharpError(f"`memory`: {size!r} is no size of at least 256M, such as 2G or 500M")
    if sys.platform != "linux":
        raise BigsharpError("`memory`: this system bounds no program's memory; leave it out")
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))


class _Stopped(Exception):
    """Unwinds a picture that is being worked on, when the program is told to end."""


@dataclass
class Outcome:
    """What became of a job."""

    job: Job
    seconds: float
    error: str | None = None
    lacked_memory: bool = False
    said: str = ""

    def as_json(self) -> str:
        """One line for programs."""
        said: dict[str, Any] = {"source": str(self.job.source), "output": str(self.job.output)}
        said |= {"seconds": round(self.seconds, 3), "error": self.error}
        said |= {"said": self.said} if self.said else {}
        return json.dumps(said)


class Run:
    """Do jobs, some at once, and tell of them.

    Parameters
    ----------
    restorer : Restorer
    cleaner : Cleaner
    doing : str
        In a word, for the progress bar.
    quiet, as_json : bool
        Tell of failures alone; tell in JSON.
    stderr : file
    """

    def __init__(
        self,
        restorer: Restorer,
        cleaner: Cleaner,
        doing: str,
        quiet: bool,
        as_json: bool,
        stderr: TextIO,
    ) -> None:
        self.restorer, self.cleaner = restorer, cleaner
        self.doing = doing
        self.quiet = quiet
        self.as_json = as_json
        self.stderr = stderr
        self._end = Event()
        self._alone = False

    def all(self, jobs: list[Job], at_once: int) -> list[Outcome]:
        """Do them all; gives those that failed, if there was more than one.

        Raises
        ------
        BigsharpError
            There was one, and it failed.
        """
        from bigsharp import workers

        self._alone = len(jobs) == 1
        pool = workers.threads(min(at_once, len(jobs))) if len(jobs) > 1 and at_once > 1 else None
        failed: list[Outcome] = []
        again: list[Job] = []
        with self._bar(jobs) as told:
            self._told = told
            outcomes = workers.spread(self._one, jobs, pool, self._end.set)
            # What does not fit beside another picture may fit alone.
            for outcome in chain(outcomes, map(self._one, again)):
                if outcome.lacked_memory and pool and outcome.job not in again:
                    again.append(outcome.job)
                    continue
                self._report(outcome)
                if outcome.error:
                    failed.append(outcome)
        for outcome in failed:
            say(outcome.error or "", self.stderr)
        if failed:
            say(f"{len(failed)} of {len(jobs)} pictures failed", self.stderr)
        return failed

    def _one(self, job: Job) -> Outcome:
        from bigsharp.jobs.run import run

        began = time.monotonic()
        last, share = 0, 0.0

        def progress(done: int, total: int) -> None:
            nonlocal last, share
            if self._end.is_set():
                raise _Stopped
            self._told((done - last) / total, done - last)
            last, share = done, done / total

        error, lacked_memory = None, False
        said: list[str] = []
        try:
            run(job, self.restorer, self.cleaner, progress, said.append)
        except MemoryError:
            error, lacked_memory = f"{job.source}: not enough memory; {SMALLER}", True
            self._told(-share, -last)
        except BigsharpError as fault:
            if self._alone:
                raise
            error = str(fault)
            if str(job.source) not in error and str(job.output) not in error:
                error = f"{job.source}: {error}"
        if error and self._alone:
            raise BigsharpError(error)
        return Outcome(job, time.monotonic() - began, error, lacked_memory, " ".join(said))

    def _report(self, outcome: Outcome) -> None:
        if self.quiet:
            return
        if self.as_json:
            print(outcome.as_json(), flush=True)
        elif not outcome.error:
            said = f", {outcome.said}" if outcome.said else ""
            name = printable(str(outcome.job.output))
            print(f"{name} ({outcome.seconds:.1f} s{said})", flush=True)

    @contextmanager
    def _bar(self, jobs: list[Job]) -> Iterator[Callable[[float, int], None]]:
        """One bar for all; gives what to call with the new share of a picture, and new pixels."""
        began, pixels = time.monotonic(), 0
        with progress_bar(self.quiet, "{task.fields[speed]}", file=self.stderr) as bar:
            task = bar.add_task(self.doing, total=len(jobs), speed="")

            def told(share: float, more: int) -> None:
                nonlocal pixels
                pixels += more
                speed = f"{pixels / 1e6 / max(time.monotonic() - began, 0.1):.1f} MP/s"
                many = f"{int(bar.tasks[0].completed)}/{len(jobs)} pictures, "
                bar.update(task, advance=share, speed=("" if self._alone else many) + speed)

            yield told
