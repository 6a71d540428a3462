"""The command line, a file a verb. Thin: every verb calls the library.

Nothing but Typer is imported before a verb runs, so that the help answers at once.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import signal
import sys
import warnings
from typing import Annotated, NoReturn

import typer

import bigsharp
from bigsharp.cli import (
    benchmark,
    data,
    engines,
    export,
    models,
    queue,
    restore,
    serve,
    study,
    train,
    upscale,
)
from bigsharp.cli.common import say, told_to_end
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
    restore.restore,
    serve.serve,
    models.models,
    engines.engines,
    benchmark.benchmark,
    train.train,
    queue.queue,
    study.study,
    export.export,
    data.data,
):
    app.command()(verb)


#: What a system says of output that it cannot take.
_NOT_TAKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)


class _Ended(BaseException):
    """Ctrl-C, or a polite kill. Not `KeyboardInterrupt`, which Typer ends without a word."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def main() -> NoReturn:
    """Run the command line; errors meant for people become one line and exit status 2."""
    _make_sound()
    _make_printable()
    logging.basicConfig(format="bigsharp: %(message)s")
    # What decoders say of odd files beside their exceptions is no news to a user.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")
    try:
        with told_to_end(_end):
            status = app(standalone_mode=False)
            sys.stdout.flush()
    except BigsharpError as error:
        _fail(str(error))
    except _Ended as end:
        say(end.word)
        sys.exit(end.status)
    except MemoryError:
        _fail("not enough memory")
    except OSError as error:
        # A path that no system takes, say; or nobody takes what is printed.
        if error.filename is None and error.errno not in (*_NOT_TAKEN, errno.EPIPE):
            raise
        if error.filename is None:
            # Else Python tries once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:  # Who closes a pipe has enough, as `head` has.
            sys.exit(1)
        _fail(f"{error.filename or 'standard output'}: {error.strerror}")
    except Exception as error:
        # A mistake in the command's own words: Typer's exceptions, whatever its version, have this.
        if not hasattr(error, "format_message"):
            raise
        _fail(_with_hint(error.format_message()))
    sys.exit(status or 0)


def _make_sound() -> None:
    """See that there are three standard streams, and that what is written is written whole."""
    for number, (name, way) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        stream = getattr(sys, name)
        if stream is None:
            # Else the next file that is opened would have its number. What is written to standard
            # output is an error as it was.
            nothing = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
        # Where Python does not buffer, a write can take a part and say no word.
        if stream is None or isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            setattr(sys, name, open(number, way, closefd=False))  # noqa: SIM115


def _make_printable() -> None:
    """Let any path be printed on any console: Windows' code pages have no ×, and names any byte."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unicode = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")


def _end(signum: int) -> NoReturn:
    raise _Ended(signum)


def _with_hint(message: str) -> str:
    """Whoever leaves the verb out means to upscale."""
    found = re.match(r"No such command '(.+\.\w+)'", message)
    return f"{message} Did you mean: bigsharp upscale {found[1]}" if found else message


def _fail(message: str) -> NoReturn:
    say(message)
    sys.exit(2)


def _details() -> None:
    """Print what a report of a bug should say."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from bigsharp import kernels

    print(f"native engine: {kernels.instructions() or kernels.why_not()}")
    print(f"Python {platform.python_version()} on {platform.platform()}")
    for library in ("numpy", "pillow", "openimageio", "onnxruntime", "typer", "torch"):
        try:
            print(f"{library} {version(library)}")
        except PackageNotFoundError:
            print(f"{library}: not installed")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: engine and libraries, too.")
    ] = False,
) -> None:
    """Make a small picture big and sharp, at any scale factor."""
    if version:
        print(f"bigsharp {bigsharp.__version__}")
        if verbose:
            _details()
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
