"""What the verbs share: options, words and numbers, the progress bar, quiet libraries."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, get_type_hints

import typer

from bigsharp.errors import BigsharpError, as_line
from bigsharp.options import word

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="BIGSHARP_DATA", help="Folder that holds the image sets."),
]
#: The help of what `bigsharp.engines.open_engine` takes.
ENGINE = (
    "What runs the network: auto, native, onnx, or torch (the extra 'train'); with a device, as in "
    "onnx:coreml or torch:cuda:fp16."
)
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no report.")]


def words(text: str) -> list[str]:
    """The words of a list with commas.

    Raises
    ------
    BigsharpError
        There is none.
    """
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise BigsharpError("an empty list was given; separate names by commas")
    return found


def numbers(text: str, option: str) -> list[float]:
    """The numbers of a list with commas.

    Raises
    ------
    BigsharpError
        There is none, or something else.
    """
    try:
        return [float(word) for word in words(text)]
    except ValueError:
        raise BigsharpError(f"{option}: {text!r} is not a list of numbers such as 2,3,4") from None


def say(message: str, file: TextIO | None = None) -> None:
    """Print one line on standard error, as this program's; see `errors.as_line`."""
    print(f"bigsharp: {as_line(message)}", file=file or sys.stderr, flush=True)


def taking(**kinds: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the fields of dataclasses as options.

    Parameters
    ----------
    **kinds
        By the name of the verb's parameter: a dataclass made of `bigsharp.options.option`, whose
        fields become options in that parameter's place.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @wraps(verb)
        def told(**given: Any) -> None:
            made = {
                name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
                for name, kind in kinds.items()
            }
            verb(**made, **given)

        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(verb, eval_str=True).parameters.values():
            parameters += _options_of(kinds[own.name]) if own.name in kinds else [own]
        told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        told.__annotations__ = {each.name: each.annotation for each in parameters}
        return told

    return decorate


def _options_of(kind: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind)
    for entry in fields(kind):
        said = entry.metadata
        name = f"--{word(entry.name)}"
        shape = typer.Option(
            f"{name}/--{said['off']}" if said["off"] else name,
            *([f"-{said['short']}"] if said["short"] else []),
            help=said["help"],
            metavar=said["metavar"],
        )
        yield inspect.Parameter(
            entry.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=entry.default,
            annotation=Annotated[hints[entry.name], shape],
        )


def progress_bar(quiet: bool, *more: str | ProgressColumn, file: TextIO | None = None) -> Progress:
    """A bar on standard error that leaves nothing behind; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    file = file or sys.stderr
    shown = file.isatty() and not quiet
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *(TextColumn(column) if isinstance(column, str) else column for column in more),
        TimeRemainingColumn(),
        # Older versions of rich end even a disabled bar with an empty line; `quiet` stops that.
        console=Console(file=file, quiet=not shown),
        transient=True,
        disable=not shown,
    )


@contextmanager
def quiet_libraries() -> Iterator[TextIO]:
    """Keep what decoders print themselves off standard error; gives that to write to.

    They print into its descriptor, past Python. Each fault is told once, by us.
    """
    if not _is_descriptor_2(sys.stderr):
        yield sys.stderr
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        with os.fdopen(kept, "w", encoding=sys.stderr.encoding, errors="backslashreplace",
                       closefd=False) as file:  # fmt: skip
            yield file
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _is_descriptor_2(file: TextIO) -> bool:
    try:
        return file.fileno() == 2
    except (OSError, ValueError):  # No file of the system's.
        return False


@contextmanager
def told_to_end(heard: Callable[[int], None]) -> Iterator[None]:
    """Let Ctrl-C, a polite kill or a lost terminal call `heard`; afterwards they do as before."""
    import signal

    def handle(signum: int, frame: object) -> None:
        heard(signum)

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Who is left to go on without a terminal (nohup) shall do so.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stopping(stop: Callable[[], None]) -> AbstractContextManager[None]:
    """Let Ctrl-C, or a polite kill, end training after the current step."""
    return told_to_end(lambda signum: stop())


def import_torch() -> None:
    """Import PyTorch for training, or say how to install it."""
    # Before it is imported: its threads would spin for a while after each operation, on the cores
    # that the native engine's need. VDSR takes 1.5 times as many steps a second so.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bigsharp.networks import require_torch

    require_torch()
