"""The command line, a file a verb. Thin: every verb calls the library.

Nothing but Typer is imported before a verb runs, so that the help answers at once.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
import warnings
from typing import Annotated, NoReturn

import typer

import bigsharp
from bigsharp.cli import benchmark, data, export, models, queue, train, upscale
from bigsharp.cli.common import say
from bigsharp.errors import BigsharpError

app = typer.Typer(
    name="bigsharp",
    help="Make a small picture big and sharp, at any scale factor.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    upscale.upscale,
    models.models,
    benchmark.benchmark,
    train.train,
    queue.queue,
    export.export,
    data.data,
):
    app.command()(verb)


class _Ended(BaseException):
    """Ctrl-C, or a polite kill. Not `KeyboardInterrupt`, which Typer ends without a word."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def main() -> NoReturn:
    """Run the command line; errors meant for people become one line and exit status 2."""
    logging.basicConfig(format="bigsharp: %(message)s")
    # What decoders say of odd files beside their exceptions is no news to a user.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        status = app(standalone_mode=False)
    except BigsharpError as error:
        _fail(_as_options(str(error)))
    except _Ended as end:
        say(end.word)
        sys.exit(end.status)
    except MemoryError:
        _fail("not enough memory; use a smaller scale, or a smaller --tile")
    except Exception as error:
        # A mistake in the command's own words: Typer's exceptions, whatever its version, have this.
        if not hasattr(error, "format_message"):
            raise
        _fail(_with_hint(error.format_message()))
    sys.exit(status or 0)


def _end(signum: int, frame: object) -> None:
    raise _Ended(signum)


def _as_options(message: str) -> str:
    """Parameters of the API, which stand in backticks, as options of the command line."""
    return re.sub(r"`(\w+)`", lambda found: "--" + found[1].replace("_", "-"), message)


def _with_hint(message: str) -> str:
    """Whoever leaves the verb out means to upscale."""
    found = re.match(r"No such command '(.+\.\w+)'", message)
    return f"{message} Did you mean: bigsharp upscale {found[1]}" if found else message


def _fail(message: str) -> NoReturn:
    say(message)
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
